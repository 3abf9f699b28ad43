"""DSSM two-tower (Huang et al., CIKM 2013), trained in the batch."""

import keras
import numpy as np

from tfrec import _checks
from tfrec.embeddings import Embeddings, inputs_of
from tfrec.features import Categorical, FeatureSpec
from tfrec.layers.basic.dropout import Dropout
from tfrec.layers.basic.mlp import MLP
from tfrec.layers.sequence.masked_pooling import MODES
from tfrec.models.towers import SIDES, check_side, check_spec, flat, pooled
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
        poolings: non-empty tuple of "mean", "sum", "sqrtn", "max", "last": how
            each sequence becomes vectors, side by side.
        temperature: number > 0.
        log_q: subtract the log of the item's share of the training rows, as the
            vocabulary counted them.
        activation: name of a Keras activation.
        dropout: number in [0, 1), on the input of each dense layer.
        unknown_rate: number in [0, 1). Share of training ids looked up as unknown.
        seed: int or None.

    Returns: a `TwoTower`; compile it with `tfrec.losses.InBatchSoftmax()`.
    Raises: `ValueError` on a bad argument or a spec without both sides.
    """
    owner = "dssm"
    check_spec(owner, spec)
    _checks.hidden_units(owner, hidden_units=hidden_units)
    _checks.number(owner, above=0, temperature=temperature)
    _checks.rate(owner, dropout=dropout, unknown_rate=unknown_rate)
    _checks.boolean(owner, log_q=log_q)
    if not isinstance(poolings, (tuple, list)) or not poolings:
        rule = "must be a non-empty tuple of names"
        raise _checks.argument(owner, "poolings", rule, poolings)
    for mode in poolings:
        _checks.one_of(owner, MODES, poolings=mode)
    if not hidden_units:
        rule = "must name at least the width of the vectors"
        raise _checks.argument(owner, "hidden_units", rule, hidden_units)
    check_item_id(owner, spec, item_id)
    counted = item_log_q(owner, spec, item_id) if log_q else None
    embeddings = Embeddings(spec, unknown_rate=unknown_rate, seed=seed)
    towers = []
    for number, (side, sides) in enumerate(SIDES.items()):
        inputs = inputs_of(spec, *sides)
        check_side(owner, spec, inputs, side)
        fields = embeddings(inputs)
        name = f"dssm_{side}"
        x = flat(pooled(fields, poolings, name), fields.numbers, name)
        seed_of_side = None if seed is None else seed + 1000 * (number + 1)
        # A seed of its own: draws of the layers behind it must not repeat these.
        drawn = None if seed is None else seed_of_side + 500
        x = Dropout(dropout, seed=drawn, name=f"{name}_drop")(x)
        x = MLP(
            hidden_units,
            activation=activation,
            last_activation="linear",
            dropout=dropout,
            seed=seed_of_side,
            name=f"{name}_mlp",
        )(x)
        # In float32: the 1e-12 that guards a zero vector is none in float16.
        x = keras.layers.UnitNormalization(dtype="float32", name=f"{name}_unit")(x)
        towers.append(keras.Model(inputs, x, name=f"{side}_tower"))
    return TwoTower(
        *towers,
        item_id=item_id,
        temperature=temperature,
        log_q=counted,
        name="dssm",
    )


def check_item_id(owner: str, spec: FeatureSpec, item_id: str) -> None:
    """Raises `ValueError` when `item_id` is not a Categorical of the items."""
    names = [c.name for c in spec if type(c) is Categorical and c.side == "item"]
    if item_id not in names:
        rule = 'must name a Categorical of side "item"'
        way_out = f"The spec has {_checks.quoted(names) or 'none'}."
        raise _checks.argument(owner, "item_id", rule, item_id, way_out)


def item_log_q(owner: str, spec: FeatureSpec, item_id: str) -> np.ndarray:
    """`log(count / total)` by id, from the vocabulary's counts.

    Ids that were never counted (padding, an unknown row without occurrences) are
    given half an occurrence. Raises: `ValueError` when `item_id` has no vocabulary.
    """
    column = spec[item_id]
    if column.hash_buckets is not None:
        rule = "must have a vocabulary, whose counts give log q"
        way_out = "Drop its `hash_buckets`, or pass log_q=False."
        raise _checks.argument(owner, "item_id", rule, item_id, way_out)
    counts = np.maximum(spec.vocabulary(column.table_name).counts(), 0.5)
    return np.log(counts / counts[1:].sum())
