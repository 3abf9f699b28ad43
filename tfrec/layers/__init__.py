"""One technique a file: tensors in, tensors out; never sees a FeatureSpec."""

from tfrec.layers.basic.dropout import Dropout as Dropout
from tfrec.layers.basic.join_sides import JoinSides as JoinSides
from tfrec.layers.basic.linear_term import LinearTerm as LinearTerm
from tfrec.layers.basic.mlp import MLP as MLP
from tfrec.layers.basic.numeric_fields import NumericFields as NumericFields
from tfrec.layers.basic.padding_mask import PaddingMask as PaddingMask
from tfrec.layers.interaction.fm import FM as FM
from tfrec.layers.sequence.masked_pooling import MaskedPooling as MaskedPooling
from tfrec.layers.sequence.weighted_pooling import WeightedPooling as WeightedPooling
