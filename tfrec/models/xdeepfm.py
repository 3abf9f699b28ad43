"""xDeepFM (Lian et al., KDD 2018, arXiv:1803.05170)."""

import keras

from tfrec.features import FeatureSpec
from tfrec.layers.basic.activation import check_activation
from tfrec.layers.interaction.cin import CIN, check_maps
from tfrec.models.logits import deep_part, summed, weighted
from tfrec.models.ranker_parts import ranker_parts


def xdeepfm(
    spec: FeatureSpec,
    *,
    cin_units: tuple = (128, 128),
    cin_activation: str = "linear",
    split_half: bool = False,
    hidden_units: tuple = (256, 128),
    activation: str = "relu",
    dropout: float = 0.0,
    unknown_rate: float = 0.01,
    l2: float = 0.0,
    seed: int | None = None,
) -> keras.Model:
    """First-order weights, products of whole fields of rising degree, a deep part.

    `logit = b + sum_f l_f + w . CIN(E) + MLP(E)` (section 3.3, eq. 9). A sequence is
    a field: the mean of its real values. A number x is the field x v.

    Args:
        spec: FeatureSpec; all columns with one `embedding_dim`.
        cin_units: `hidden_units` of `CIN`.
        cin_activation: `activation` of `CIN`.
        split_half: as in `CIN`.
        hidden_units: tuple of ints >= 1. Widths of the deep part.
        activation: name of a Keras activation or `"dice"`.
        dropout: number in [0, 1), in the deep part.
        unknown_rate: number in [0, 1). Share of training ids looked up as unknown.
        l2: number >= 0, on the rows that are looked up; see `EmbeddingTable`.
        seed: int or None.

    Returns: a `keras.Model`, list of named inputs -> logits `(batch, 1)`.
    Raises: `ValueError` on a bad argument or columns of different width.
    """
    owner = "xdeepfm"
    check_maps(owner, split_half, cin_units=cin_units)
    check_activation(owner, cin_activation=cin_activation)
    cin = CIN(cin_units, cin_activation, split_half, seed, name="xdeepfm_cin")
    deep = deep_part(
        owner,
        hidden_units=hidden_units,
        activation=activation,
        dropout=dropout,
        seed=seed,
    )
    parts = ranker_parts(owner, spec, unknown_rate=unknown_rate, l2=l2, seed=seed)
    products = weighted(owner, cin(parts.fields), seed)
    logit = summed(owner, parts.linear, products, deep(parts.fields))
    return keras.Model(parts.inputs, logit, name=owner)
