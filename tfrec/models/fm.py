"""Factorisation machine (Rendle, ICDM 2010)."""

import keras

from tfrec.features import FeatureSpec
from tfrec.layers.interaction.fm import FM
from tfrec.models.logits import summed
from tfrec.models.ranker_parts import ranker_parts


def fm(
    spec: FeatureSpec,
    *,
    unknown_rate: float = 0.01,
    l2: float = 0.0,
    seed: int | None = None,
) -> keras.Model:
    """First-order weights, and for each pair of fields the product of their vectors.

    `logit = b + sum_f l_f + sum_{i<j} <E_i, E_j>` (eq. 1). A sequence is a field:
    the mean of its real values. A number x is the field x v.

    Args:
        spec: FeatureSpec; all columns with one `embedding_dim`.
        unknown_rate: number in [0, 1). Share of training ids looked up as unknown.
        l2: number >= 0, on the rows that are looked up; see `EmbeddingTable`.
        seed: int or None.

    Returns: a `keras.Model`, list of named inputs -> logits `(batch, 1)`.
    Raises: `ValueError` on a bad argument or columns of different width.
    """
    parts = ranker_parts("fm", spec, unknown_rate=unknown_rate, l2=l2, seed=seed)
    pairs = FM(name="fm_pairs")(parts.fields)
    logit = summed("fm", parts.linear, pairs)
    return keras.Model(parts.inputs, logit, name="fm")
