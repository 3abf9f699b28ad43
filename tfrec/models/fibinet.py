"""FiBiNET (Huang et al., RecSys 2019, arXiv:1905.09433)."""

import keras

from tfrec import _checks
from tfrec.features import FeatureSpec
from tfrec.layers.interaction.bilinear_interaction import BilinearInteraction
from tfrec.layers.interaction.senet import SENet
from tfrec.models.logits import deep_part, summed
from tfrec.models.ranker_parts import ranker_parts


def fibinet(
    spec: FeatureSpec,
    *,
    kernels: str = "interaction",
    reduction: int = 3,
    squeeze: str = "mean",
    gate: str = "relu",
    hidden_units: tuple = (256, 128),
    activation: str = "relu",
    dropout: float = 0.0,
    unknown_rate: float = 0.01,
    l2: float = 0.0,
    seed: int | None = None,
) -> keras.Model:
    """Bilinear products of the fields as they are and as SENet weighs them.

    `logit = b + sum_f l_f + MLP([p; q])` (section 3.6, eq. 8), p the products of E
    and q, with kernels of its own, those of `V = SENet(E)`. A sequence is a field:
    the mean of its real values. A number x is the field x v.

    Args:
        spec: FeatureSpec; two or more fields, all columns with one `embedding_dim`.
            The order of its columns is part of the model.
        kernels: as in `BilinearInteraction`.
        reduction: as in `SENet`, and so `squeeze`; `gate` is its `activation`.
        hidden_units: tuple of ints >= 1. Widths of the deep part.
        activation: name of a Keras activation or `"dice"`, in the deep part.
        dropout: number in [0, 1), in the deep part.
        unknown_rate: number in [0, 1). Share of training ids looked up as unknown.
        l2: number >= 0, on the rows that are looked up; see `EmbeddingTable`.
        seed: int or None.

    Returns: a `keras.Model`, list of named inputs -> logits `(batch, 1)`. Layer
    `fibinet_senet` gives the fields' weights by `gates(fields)`.
    Raises: `ValueError` on a bad argument, one field, or columns of different width.
    """
    owner = "fibinet"
    _checks.one_of(owner, ("relu", "sigmoid"), gate=gate)
    deep = deep_part(
        owner,
        hidden_units=hidden_units,
        activation=activation,
        dropout=dropout,
        seed=seed,
    )
    senet = SENet(reduction, squeeze, gate, seed=seed, name="fibinet_senet")
    p, q = (
        BilinearInteraction(
            kernels, None if seed is None else seed + place, name=f"fibinet_{name}"
        )
        for place, name in enumerate("pq")
    )
    parts = ranker_parts(owner, spec, unknown_rate=unknown_rate, l2=l2, seed=seed)
    if len(parts.names) < 2:
        rule = "must have two fields or more, to make pairs of"
        way_out = "Add a column of either side."
        raise _checks.argument(owner, "spec", rule, parts.names, way_out)
    pairs = [p(parts.fields), q(senet(parts.fields))]
    both = keras.layers.Concatenate(axis=1, name="fibinet_pairs")(pairs)
    return keras.Model(
        parts.inputs, summed(owner, parts.linear, deep(both)), name=owner
    )
