"""DeepFM (Guo et al., IJCAI 2017, arXiv:1703.04247)."""

import keras

from tfrec.features import FeatureSpec
from tfrec.layers.interaction.fm import FM
from tfrec.models.logits import deep_part, summed
from tfrec.models.ranker_parts import ranker_parts


def deepfm(
    spec: FeatureSpec,
    *,
    hidden_units: tuple = (256, 128),
    activation: str = "relu",
    dropout: float = 0.0,
    unknown_rate: float = 0.01,
    l2: float = 0.0,
    seed: int | None = None,
) -> keras.Model:
    """First-order weights, pairs of fields, and a deep part on the same vectors.

    `logit = b + sum_f l_f + 1/2 sum_k [(sum_f E_fk)^2 - sum_f E_fk^2] + MLP(E)`
    (section 2.1, eq. 1 to 4), l looked up beside E, `(batch, fields, dim)`.
    A sequence is a field: the mean of its real values. A number x is the field
    x v. Columns of the user (and context) are looked up once where one user
    meets many items.

    Args:
        spec: FeatureSpec; all columns with one `embedding_dim`.
        hidden_units: tuple of ints >= 1. Widths of the deep part.
        activation: name of a Keras activation.
        dropout: number in [0, 1), in the deep part.
        unknown_rate: number in [0, 1). Share of training ids looked up as unknown.
        l2: number >= 0, on the rows that are looked up; see `EmbeddingTable`.
        seed: int or None.

    Returns: a `keras.Model`, list of named inputs -> logits `(batch, 1)`.
    Raises: `ValueError` on a bad argument or columns of different width.
    """
    owner = "deepfm"
    deep = deep_part(
        owner,
        hidden_units=hidden_units,
        activation=activation,
        dropout=dropout,
        seed=seed,
    )
    parts = ranker_parts(owner, spec, unknown_rate=unknown_rate, l2=l2, seed=seed)
    pairs = FM(name="deepfm_pairs")(parts.fields)
    logit = summed(owner, parts.linear, pairs, deep(parts.fields))
    return keras.Model(parts.inputs, logit, name=owner)
