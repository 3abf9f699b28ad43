"""Wide & Deep (Cheng et al., DLRS 2016, arXiv:1606.07792)."""

import keras

from tfrec.features import Crossed, FeatureSpec
from tfrec.models.flat_parts import first_order, listed, ranker_inputs, side_by_side
from tfrec.models.logits import deep_part, summed


def wide_and_deep(
    spec: FeatureSpec,
    *,
    hidden_units: tuple = (256, 128),
    activation: str = "relu",
    dropout: float = 0.0,
    unknown_rate: float = 0.01,
    l2: float = 0.0,
    seed: int | None = None,
) -> keras.Model:
    """A wide part that memorises crosses and a deep part that generalises.

    `logit = w . [x; phi(x)] + MLP([E; numbers])` (section 3.3). The wide part has
    a weight for each value of each column; the crosses phi are the spec's `Crossed`
    columns, which the deep part does not see. A sequence counts with the mean of
    its real values.

    Differs: from the paper in that one optimizer trains both parts; Keras's
    `compile` takes one.

    Args:
        spec: FeatureSpec; columns may differ in `embedding_dim`.
        hidden_units: tuple of ints >= 1. Widths of the deep part.
        activation: name of a Keras activation or `"dice"`.
        dropout: number in [0, 1), in the deep part.
        unknown_rate: number in [0, 1). Share of training ids looked up as unknown.
        l2: number >= 0, on the rows that are looked up; see `EmbeddingTable`.
        seed: int or None.

    Returns: a `keras.Model`, list of named inputs -> logits `(batch, 1)`.
    Raises: `ValueError` on a bad argument.
    """
    owner = "wide_and_deep"
    inputs = ranker_inputs(owner, spec, unknown_rate=unknown_rate, l2=l2)
    deep = deep_part(
        owner,
        hidden_units=hidden_units,
        activation=activation,
        dropout=dropout,
        seed=seed,
    )
    options = {"unknown_rate": unknown_rate, "l2": l2, "seed": seed}
    wide = first_order(owner, spec, inputs, **options)
    crossed = [column.name for column in spec if isinstance(column, Crossed)]
    x = side_by_side(owner, spec.without(*crossed), inputs, **options)
    return keras.Model(listed(inputs), summed(owner, wide, deep(x)), name=owner)
