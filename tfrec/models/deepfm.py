"""DeepFM (Guo et al., IJCAI 2017, arXiv:1703.04247)."""

import keras

from tfrec import _checks
from tfrec.embeddings import Embeddings, inputs_of
from tfrec.features import FeatureSpec
from tfrec.layers.basic.linear_term import LinearTerm
from tfrec.layers.basic.mlp import MLP
from tfrec.layers.interaction.fm import FM
from tfrec.models.towers import (
    SIDES,
    check_spec,
    common_dim,
    flat,
    joined,
    pooled,
    stacked,
)


def deepfm(
    spec: FeatureSpec,
    *,
    hidden_units: tuple = (256, 128),
    activation: str = "relu",
    dropout: float = 0.0,
    unknown_rate: float = 0.01,
    seed: int | None = None,
) -> keras.Model:
    """First-order weights, pairs of fields, and a deep part on the same vectors.

    `logit = b + sum_f l_f + 1/2 sum_k [(sum_f E_fk)^2 - sum_f E_fk^2] + MLP(E)`
    (section 2.1, eq. 1 to 4), l from tables of width 1, E `(batch, fields, dim)`.
    A sequence is a field: the mean of its real values. A number x is the field
    x v. Columns of the user (and context) are looked up once where one user
    meets many items.

    Args:
        spec: FeatureSpec; all columns with one `embedding_dim`.
        hidden_units: tuple of ints >= 1. Widths of the deep part.
        activation: name of a Keras activation.
        dropout: number in [0, 1), in the deep part.
        unknown_rate: number in [0, 1). Share of training ids looked up as unknown.
        seed: int or None.

    Returns: a `keras.Model`, list of named inputs -> logits `(batch, 1)`.
    Raises: `ValueError` on a bad argument or columns of different width.
    """
    owner = "deepfm"
    check_spec(owner, spec)
    _checks.hidden_units(owner, hidden_units=hidden_units)
    _checks.rate(owner, dropout=dropout, unknown_rate=unknown_rate)
    dim = common_dim(owner, spec)
    tables = Embeddings(spec, unknown_rate=unknown_rate, seed=seed)
    weights = Embeddings(
        spec,
        embedding_dim=1,
        unknown_rate=unknown_rate,
        scale=0.0,
        seed=seed,
        name="weights",
    )
    inputs, first, numbers, fields = [], [], [], []
    for side, sides in SIDES.items():
        of_side = inputs_of(spec, *sides)
        if not of_side:
            continue
        inputs += of_side
        looked_up = tables(of_side)
        vectors = pooled(looked_up, ("mean",), f"deepfm_{side}")
        scalars = pooled(weights(of_side), ("mean",), f"deepfm_{side}_linear")
        if scalars:
            first.append(flat(scalars, {}, f"deepfm_{side}_linear"))
        x = None
        if looked_up.numbers:
            x = flat([], looked_up.numbers, f"deepfm_{side}_numbers")
            numbers.append(x)
        fields.append(stacked(vectors, x, dim, f"deepfm_{side}", seed))

    vectors = joined(fields, "deepfm_fields")  # (B, F, D)
    terms = [
        joined(part, f"deepfm_{name}")
        for part, name in ((first, "weights"), (numbers, "numbers"))
        if part
    ]
    if first:
        linear = LinearTerm(name="deepfm_linear")(terms)
    else:  # numbers only: b + sum_n w_n x_n
        weighted = keras.layers.Dense(
            1, kernel_initializer="zeros", name="deepfm_linear"
        )
        linear = weighted(terms[0])
    pairs = FM(name="deepfm_pairs")(vectors)
    deep = MLP(
        (*hidden_units, 1),
        activation=activation,
        last_activation="linear",
        dropout=dropout,
        seed=seed,
        name="deepfm_deep",
    )(keras.layers.Flatten(name="deepfm_flat")(vectors))
    logit = keras.layers.Add(dtype="float32", name="deepfm_logit")(
        [linear, pairs, deep]
    )
    return keras.Model(inputs, logit, name="deepfm")
