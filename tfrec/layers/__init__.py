"""One technique a file: tensors in, tensors out; never sees a FeatureSpec."""

from tfrec.layers.basic.dice import Dice as Dice
from tfrec.layers.basic.dropout import Dropout as Dropout
from tfrec.layers.basic.join_sides import JoinSides as JoinSides
from tfrec.layers.basic.linear_term import LinearTerm as LinearTerm
from tfrec.layers.basic.mlp import MLP as MLP
from tfrec.layers.basic.numeric_fields import NumericFields as NumericFields
from tfrec.layers.basic.padding_mask import PaddingMask as PaddingMask
from tfrec.layers.interaction.bilinear_interaction import (
    BilinearInteraction as BilinearInteraction,
)
from tfrec.layers.interaction.cin import CIN as CIN
from tfrec.layers.interaction.cross_network import CrossNetwork as CrossNetwork
from tfrec.layers.interaction.fm import FM as FM
from tfrec.layers.interaction.self_attention_interaction import (
    SelfAttentionInteraction as SelfAttentionInteraction,
)
from tfrec.layers.interaction.senet import SENet as SENet
from tfrec.layers.retrieval.streaming_frequency import (
    StreamingFrequency as StreamingFrequency,
)
from tfrec.layers.sequence.capsule_routing import CapsuleRouting as CapsuleRouting
from tfrec.layers.sequence.interest_mlp import InterestMLP as InterestMLP
from tfrec.layers.sequence.label_aware_attention import (
    LabelAwareAttention as LabelAwareAttention,
)
from tfrec.layers.sequence.masked_pooling import MaskedPooling as MaskedPooling
from tfrec.layers.sequence.target_attention import TargetAttention as TargetAttention
from tfrec.layers.sequence.weighted_pooling import WeightedPooling as WeightedPooling
