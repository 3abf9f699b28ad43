"""Losses that Keras does not have; each is a `keras.losses.Loss`."""

from tfrec.losses.adaptive_mimic import AdaptiveMimic as AdaptiveMimic
from tfrec.losses.category_alignment import CategoryAlignment as CategoryAlignment
from tfrec.losses.in_batch_softmax import InBatchSoftmax as InBatchSoftmax
