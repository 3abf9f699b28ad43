"""DSSM two-tower (Huang et al., CIKM 2013), trained in the batch."""

import keras
import numpy as np

from tfrec import _checks
from tfrec.embeddings import Embeddings, inputs_of
from tfrec.features import Categorical, FeatureSpec
from tfrec.layers.basic.mlp import MLP
from tfrec.layers.sequence.masked_pooling import MODES
from tfrec.models.towers import check_side, flat, pooled
from tfrec.models.two_tower import TwoTower


def dssm(
    spec: FeatureSpec,
    *,
    item_id: str,
    hidden_units: tuple = (128, 64),
    poolings: tuple = ("mean", "last"),
    temperature: float = 0.05,
    log_q: bool = True,
    activation: str = "relu",
    dropout: float = 0.0,
    unknown_rate: float = 0.01,
    seed: int | None = None,
) -> TwoTower:
    """Two towers whose normalised outputs meet in an inner product.

    `h_l = act(h_{l-1} W_l + b_l)`, the last layer linear; `u = h / ||h||`,
    `v` likewise; `s = u . v / temperature` (section 3.1, R(Q, D) and gamma =
    1 / temperature). Field vectors, pooled sequences and numbers stand side by
    side in h_0; a sequence of items looks up the item tower's own table.

    Differs: ReLU inside and linear at the end (the paper: tanh everywhere); the
    negatives are the batch's other items, corrected for how often they are drawn.

    Args:
        spec: FeatureSpec with columns of side user (or context) and of side item.
        item_id: str. The Categorical that says which item a row is about.
        hidden_units: tuple of ints >= 1. Widths of both towers; the last is that
            of the exported vectors.
        poolings: how each sequence becomes vectors: of "mean", "sum", "sqrtn",
            "max", "last".
        temperature: number > 0.
        log_q: subtract the log of the item's share of the training rows, as the
            vocabulary counted them.
        activation: name of a Keras activation.
        dropout: number in [0, 1), after each inner layer.
        unknown_rate: number in [0, 1). Share of training ids looked up as unknown.
        seed: int or None.

    Returns: a `TwoTower`; compile it with `tfrec.losses.InBatchSoftmax()`.
    Raises: `ValueError` on a bad argument or a spec without both sides.
    """
    owner = "dssm"
    _checks.hidden_units(owner, hidden_units=hidden_units)
    for mode in poolings:
        _checks.one_of(owner, MODES, poolings=mode)
    if not hidden_units:
        rule = "must name at least the width of the vectors"
        raise _checks.argument(owner, "hidden_units", rule, hidden_units)
    embeddings = Embeddings(spec, unknown_rate=unknown_rate, seed=seed)
    towers = []
    for number, (side, sides) in enumerate(SIDES.items()):
        inputs = inputs_of(spec, *sides)
        check_side(owner, spec, inputs, side)
        fields = embeddings(inputs)
        x = flat(pooled(fields, poolings, side), fields.numbers, side)
        x = MLP(
            hidden_units,
            activation=activation,
            last_activation="linear",
            dropout=dropout,
            seed=None if seed is None else seed + 1000 * (number + 1),
            name=f"{side}_mlp",
        )(x)
        x = keras.layers.UnitNormalization(name=f"{side}_embedding")(x)
        towers.append(keras.Model(inputs, x, name=f"{side}_tower"))
    return TwoTower(
        *towers,
        item_id=item_id,
        temperature=temperature,
        log_q=item_log_q(owner, spec, item_id) if log_q else None,
        name="dssm",
    )


SIDES = {"user": ("user", "context"), "item": ("item",)}


def item_log_q(owner: str, spec: FeatureSpec, item_id: str) -> np.ndarray:
    """`log(count / total)` by id, from the vocabulary's counts.

    Ids that were never counted (padding, an unknown row without occurrences) are
    given half an occurrence. Raises: `ValueError` when `item_id` has no vocabulary.
    """
    column = spec.get(item_id)
    if type(column) is not Categorical or column.hash_buckets is not None:
        rule = "must be a Categorical with a vocabulary"
        names = [c.name for c in spec if type(c) is Categorical]
        way_out = f"The spec has {_checks.quoted(names)}; or pass log_q=False."
        raise _checks.argument(owner, "item_id", rule, item_id, way_out)
    counts = np.maximum(spec.vocabulary(column.table_name).counts(), 0.5)
    return np.log(counts / counts[1:].sum())
