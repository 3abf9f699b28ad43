"""Losses that Keras does not have; each is a `keras.losses.Loss`."""

from tfrec.losses.in_batch_softmax import InBatchSoftmax as InBatchSoftmax
