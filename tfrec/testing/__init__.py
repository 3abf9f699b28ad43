"""Contracts for layers and models, and data whose right answer is known."""

from tfrec.testing import planted as planted
from tfrec.testing.layers import check_layer as check_layer
from tfrec.testing.models import check_model as check_model
