"""One function a model: a spec and hyper-parameters in, a keras.Model out."""

from tfrec.models.deepfm import deepfm as deepfm
from tfrec.models.dssm import dssm as dssm
from tfrec.models.two_tower import TwoTower as TwoTower
