"""Contracts for layers, losses and models, and data whose right answer is known."""

from tfrec.testing import planted as planted
from tfrec.testing.layers import check_layer as check_layer
from tfrec.testing.losses import check_loss as check_loss
from tfrec.testing.models import check_model as check_model
from tfrec.testing.replicas import check_replicas as check_replicas
from tfrec.testing.served import check_served as check_served
