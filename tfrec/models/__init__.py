"""One function a model: a spec and hyper-parameters in, a keras.Model out."""

from tfrec.models.autoint import autoint as autoint
from tfrec.models.compile_dense import compile_dense as compile_dense
from tfrec.models.dat import dat as dat
from tfrec.models.dcn import dcn as dcn
from tfrec.models.deepfm import deepfm as deepfm
from tfrec.models.din import din as din
from tfrec.models.dssm import dssm as dssm
from tfrec.models.fibinet import fibinet as fibinet
from tfrec.models.fm import fm as fm
from tfrec.models.lr import lr as lr
from tfrec.models.mind import mind as mind
from tfrec.models.sampling_bias_corrected import (
    sampling_bias_corrected as sampling_bias_corrected,
)
from tfrec.models.senet_two_tower import senet_two_tower as senet_two_tower
from tfrec.models.two_tower import TwoTower as TwoTower
from tfrec.models.wide_and_deep import wide_and_deep as wide_and_deep
from tfrec.models.xdeepfm import xdeepfm as xdeepfm
from tfrec.models.youtube_dnn import youtube_dnn as youtube_dnn
