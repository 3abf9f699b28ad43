"""AutoInt (Song et al., CIKM 2019, arXiv:1810.11921)."""

import keras

from tfrec import _checks
from tfrec.features import FeatureSpec
from tfrec.layers.interaction.self_attention_interaction import (
    SelfAttentionInteraction,
)
from tfrec.models.logits import deep_part, summed, weighted
from tfrec.models.ranker_parts import ranker_parts


def autoint(
    spec: FeatureSpec,
    *,
    num_layers: int = 3,
    num_heads: int = 2,
    units: int = 32,
    scale: bool = False,
    hidden_units: tuple = (),
    activation: str = "relu",
    dropout: float = 0.0,
    unknown_rate: float = 0.01,
    l2: float = 0.0,
    seed: int | None = None,
) -> keras.Model:
    """Fields that attend to each other, layer upon layer.

    `logit = w . flatten(E[L]) + b` (section 4.5, eq. 9), E[l] the output of
    interacting layer l on E[l-1], E[0] the field vectors; with `hidden_units` plus
    `MLP(E[0])` (AutoInt+, section 5.2). A sequence is a field: the mean of its real
    values. A number x is the field x v.

    Args:
        spec: FeatureSpec; all columns with one `embedding_dim`.
        num_layers: int >= 1. Interacting layers.
        num_heads: as in `SelfAttentionInteraction`, and so `units` and `scale`.
        hidden_units: tuple of ints >= 1. Widths of the deep part; empty: none.
        activation: name of a Keras activation or `"dice"`, in the deep part.
        dropout: number in [0, 1), in the deep part.
        unknown_rate: number in [0, 1). Share of training ids looked up as unknown.
        l2: number >= 0, on the rows that are looked up; see `EmbeddingTable`.
        seed: int or None.

    Returns: a `keras.Model`, list of named inputs -> logits `(batch, 1)`. Layers
    `autoint_0`, `autoint_1`, ... give their attention by `attention(fields)`.
    Raises: `ValueError` on a bad argument or columns of different width.
    """
    owner = "autoint"
    _checks.positive_int(owner, num_layers=num_layers)
    deep = deep_part(
        owner,
        hidden_units=hidden_units,
        activation=activation,
        dropout=dropout,
        seed=seed,
    )
    attentions = [
        SelfAttentionInteraction(
            num_heads,
            units,
            scale,
            None if seed is None else seed + 4 * layer,  # 4 kernels a layer
            name=f"autoint_{layer}",
        )
        for layer in range(num_layers)
    ]
    parts = ranker_parts(
        owner, spec, linear=False, unknown_rate=unknown_rate, l2=l2, seed=seed
    )
    fields = parts.fields
    for attention in attentions:
        fields = attention(fields)
    terms = [weighted(owner, fields, seed, bias=True)]
    if hidden_units:
        terms.append(deep(parts.fields))
    return keras.Model(parts.inputs, summed(owner, *terms), name=owner)
