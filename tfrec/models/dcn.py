"""Deep & cross networks (arXiv:1708.05123 and arXiv:2008.13535)."""

import keras

from tfrec import _checks
from tfrec.features import FeatureSpec
from tfrec.layers.interaction.cross_network import CrossNetwork
from tfrec.models.flat_parts import listed, ranker_inputs, side_by_side
from tfrec.models.logits import deep_part, summed, weighted


def dcn(
    spec: FeatureSpec,
    *,
    form: str = "full",
    num_layers: int = 3,
    rank: int | None = None,
    num_experts: int | None = None,
    structure: str = "parallel",
    hidden_units: tuple = (256, 128),
    activation: str = "relu",
    dropout: float = 0.0,
    batch_norm: bool = False,
    unknown_rate: float = 0.01,
    l2: float = 0.0,
    seed: int | None = None,
) -> keras.Model:
    """Explicit crosses of bounded degree, beside or under a deep part.

    x0: vectors, the mean of each sequence's, and numbers, side by side.
    `parallel`: `logit = w . [cross(x0); mlp(x0)] + b`; `stacked`: `logit = w .
    mlp(cross(x0)) + b` (DCN-V2, section 3.3). DCN of 2017 is `form="vector"`,
    DCN-V2 `"full"` or `"low_rank"`, its mixture of experts `"mixture"`.

    Args:
        spec: FeatureSpec; columns may differ in `embedding_dim`; scale numbers, whose
            degree grows with `num_layers`.
        form: as in `CrossNetwork`, and so `num_layers`, `rank` and `num_experts`.
        structure: `"parallel"` or `"stacked"`.
        hidden_units: tuple of ints >= 1. Widths of the deep part.
        activation: name of a Keras activation or `"dice"`.
        dropout: number in [0, 1), in the deep part.
        batch_norm: bool, in the deep part; see `MLP`.
        unknown_rate: number in [0, 1). Share of training ids looked up as unknown.
        l2: number >= 0, on the rows that are looked up; see `EmbeddingTable`.
        seed: int or None.

    Returns: a `keras.Model`, list of named inputs -> logits `(batch, 1)`.
    Raises: `ValueError` on a bad argument.
    """
    owner = "dcn"
    inputs = ranker_inputs(owner, spec, unknown_rate=unknown_rate, l2=l2)
    _checks.one_of(owner, ("parallel", "stacked"), structure=structure)
    cross = CrossNetwork(num_layers, form, rank, num_experts, seed, name="dcn_cross")
    deep = deep_part(
        owner,
        hidden_units=hidden_units,
        activation=activation,
        dropout=dropout,
        batch_norm=batch_norm,
        seed=seed,
    )
    x0 = side_by_side(owner, spec, inputs, unknown_rate=unknown_rate, l2=l2, seed=seed)
    crossed = cross(x0)
    # w . [crossed; h] is the sum of two products; the deep part ends in one of them.
    if structure == "stacked":
        terms = [deep(crossed)]
    else:
        terms = [weighted(owner, crossed, seed), deep(x0)]
    return keras.Model(listed(inputs), summed(owner, *terms), name=owner)
