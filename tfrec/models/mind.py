"""Multi-Interest Network with Dynamic routing (CIKM 2019, arXiv:1904.08030)."""

import keras

from tfrec import _checks
from tfrec.embeddings import Embeddings
from tfrec.features import FeatureSpec, Sequence
from tfrec.features.columns import half
from tfrec.layers.sequence.capsule_routing import CapsuleRouting
from tfrec.layers.sequence.interest_mlp import InterestMLP
from tfrec.layers.sequence.label_aware_attention import MODES, LabelAwareAttention
from tfrec.layers.sequence.masked_pooling import MaskedPooling
from tfrec.models.histories import check_histories
from tfrec.models.towers import (
    check_categorical,
    check_spec,
    common_dim,
    final,
    flat,
    item_log_q,
    pooled,
    stacked,
    tower_inputs,
)
from tfrec.models.two_tower import TwoTower


def mind(
    spec: FeatureSpec,
    *,
    item_id: str,
    history: str | None = None,
    num_interests: int = 4,
    num_rounds: int = 3,
    hidden_units: tuple = (128,),
    activation: str = "relu",
    last_activation: str = "linear",
    attention: str = "hard",
    power: float | None = None,
    temperature: float | None = None,
    log_q: bool = True,
    dropout: float = 0.0,
    unknown_rate: float = 0.01,
    seed: int | None = None,
) -> TwoTower:
    """A user as a few interests, of which the best one scores an item.

    The item's vector e is the mean of its fields' vectors (section 3.2). A behaviour
    is the mean of its item's vector and of those attributes `along` it that the item
    has too. Capsules u_j cluster the behaviours (section 3.3); `v_j = MLP([u_j;
    p])`, p the user's other fields, pooled sequences and numbers side by side. In
    training v is read from the v_j with the row's own item (section 3.4) and
    `P(i | u) ~ exp(v . e_i)`; `predict` gives `max_j v_j . e`. With a temperature all
    v_j and e are divided by their lengths, and `P(i | u) ~ exp(v . e_i / temperature)`,
    which is not the paper's: vectors of free length start near zero, and want a
    higher learning rate and more rows than unit vectors do.

    Differs: the last layer is linear where the paper has ReLU, since e can be
    negative; the softmax is sampled from the batch's items, corrected for how often
    they are drawn; and as `CapsuleRouting` and `LabelAwareAttention` say.

    Args:
        spec: FeatureSpec with a Sequence of items on the user's side; columns of the
            item with one `embedding_dim`, the width of the vectors.
        item_id: str. The Categorical that says which item a row is about.
        history: str. The Sequence of behaviours; None: the only one of the items.
        num_interests: int >= 1. At most as many are alive for a user; of a user with
            n behaviours log2(n).
        num_rounds: int >= 1. Of routing.
        hidden_units: tuple of ints >= 1. Widths before the vectors' own.
        activation, last_activation: names of Keras activations, or "dice".
        attention, power: mode and power of `LabelAwareAttention`.
        temperature: number > 0: all vectors have unit length. None: any length.
        log_q: subtract the log of the item's share of the training rows, as the
            vocabulary counted them.
        dropout: number in [0, 1), behind each dense layer but the last.
        unknown_rate: number in [0, 1). Share of training ids looked up as unknown.
        seed: int or None.

    Returns: a `TwoTower`; compile it with `tfrec.losses.InBatchSoftmax()`. Its
    `user_tower` gives vectors `(batch, num_interests, dim)` and how many are alive,
    `(batch,)`; the others are zero.
    Raises: `ValueError` on a bad argument or a spec without such a Sequence.
    """
    owner = "mind"
    check_spec(owner, spec)
    check_categorical(owner, spec, "item", item_id=item_id)
    _checks.hidden_units(owner, hidden_units=hidden_units)
    _checks.one_of(owner, MODES, attention=attention)
    _checks.rate(owner, dropout=dropout, unknown_rate=unknown_rate)
    _checks.positive_int(owner, num_interests=num_interests, num_rounds=num_rounds)
    divisor = 1.0 if temperature is None else temperature
    _checks.number(owner, above=0, temperature=divisor)
    _checks.boolean(owner, log_q=log_q)
    history = _history(owner, spec, item_id, history)
    counted = item_log_q(owner, spec, item_id) if log_q else None
    dim = common_dim(owner, spec.select([c.name for c in spec if half(c) == "item"]))
    inputs = tower_inputs(owner, spec)
    routing = CapsuleRouting(
        num_interests,
        dim,
        spec[history].max_length,
        num_rounds,
        seed=seed,
        name="mind_capsules",
    )
    dense = InterestMLP(
        (*hidden_units, dim),
        activation=activation,
        last_activation=last_activation,
        dropout=dropout,
        seed=seed,
        name="mind_interests",
    )
    label_aware = LabelAwareAttention(attention, power, name="mind_attention")
    embeddings = Embeddings(spec, unknown_rate=unknown_rate, seed=seed)

    fields = embeddings(inputs["user"])
    steps = [fields.sequences.pop(name) for name in _attributes(spec, history)]
    behaviours = steps[0]
    if len(steps) > 1:
        behaviours = keras.layers.Average(name="mind_behaviours")(steps)
    capsules, alive = routing(behaviours, mask=fields.masks[history])
    of_user = [capsules, alive]
    tensors = pooled(fields, ("mean",), "mind_user")
    if tensors or fields.numbers:
        of_user.append(flat(tensors, fields.numbers, "mind_user"))
    interests = dense(of_user)

    fields = embeddings(inputs["item"])
    numbers = flat([], fields.numbers, "mind_item") if fields.numbers else None
    tensors = pooled(fields, ("mean",), "mind_item")
    item = stacked(tensors, numbers, dim, "mind_item", seed)  # (B, F, D)
    item = MaskedPooling("mean", name="mind_item_mean")(item)

    interests, item = (
        final(temperature, f"mind_{name}")(vector)
        for name, vector in (("user_vectors", interests), ("item_vector", item))
    )
    return TwoTower(
        keras.Model(inputs["user"], [interests, alive], name="user_tower"),
        keras.Model(inputs["item"], item, name="item_tower"),
        item_id=item_id,
        temperature=divisor,
        log_q=counted,
        attention=label_aware,
        name=owner,
    )


def _history(owner, spec, item_id, history):
    """The name of the Sequence of behaviours.

    Raises: `ValueError` when it is none, or not said where there are several.
    """
    names = check_histories(owner, spec, item_id)
    if history is None and len(names) == 1:
        return names[0]
    if history not in names:
        rule = f'must name a Sequence of the items of "{item_id}"'
        way_out = f"The spec has {_checks.quoted(names)}."
        raise _checks.argument(owner, "history", rule, history, way_out)
    return history


def _attributes(spec, history):
    """The history and what goes along it of the item's own columns."""
    own = {spec.table_of(column) for column in spec if half(column) == "item"}
    along = [
        column.name
        for column in spec
        if isinstance(column, Sequence)
        and column.along == history
        and spec.table_of(column) in own
    ]
    return [history, *along]
