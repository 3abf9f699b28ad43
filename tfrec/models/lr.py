"""Logistic regression (McMahan et al., Ad Click Prediction, KDD 2013)."""

import keras

from tfrec.features import FeatureSpec
from tfrec.models.flat_parts import first_order, listed, ranker_inputs
from tfrec.models.logits import summed


def lr(
    spec: FeatureSpec,
    *,
    unknown_rate: float = 0.01,
    l2: float = 0.0,
    seed: int | None = None,
) -> keras.Model:
    """One weight for each value of each column.

    `logit = b + sum_f l_f + sum_n w_n x_n`, l from tables of width 1, all 0 at the
    start. A sequence counts with the mean of its real values' weights. Pairs of
    values count where the spec has them as `Crossed` columns.

    Args:
        spec: FeatureSpec; columns' `embedding_dim` are not used.
        unknown_rate: number in [0, 1). Share of training ids looked up as unknown.
        l2: number >= 0, on the rows that are looked up; see `EmbeddingTable`.
        seed: int or None.

    Returns: a `keras.Model`, list of named inputs -> logits `(batch, 1)`.
    Raises: `ValueError` on a bad argument.
    """
    inputs = ranker_inputs("lr", spec, unknown_rate=unknown_rate, l2=l2)
    options = {"unknown_rate": unknown_rate, "l2": l2, "seed": seed}
    logit = summed("lr", first_order("lr", spec, inputs, **options))
    return keras.Model(listed(inputs), logit, name="lr")
