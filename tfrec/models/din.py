"""Deep Interest Network (Zhou et al., KDD 2018, arXiv:1706.06978)."""

import keras

from tfrec import _checks
from tfrec.embeddings import Embeddings
from tfrec.features import FeatureSpec, Sequence
from tfrec.features.columns import half
from tfrec.layers.sequence.target_attention import TargetAttention
from tfrec.models.logits import deep_part, summed
from tfrec.models.towers import check_spec, flat, joined, pooled, tower_inputs


def din(
    spec: FeatureSpec,
    *,
    hidden_units: tuple = (200, 80),
    activation: str = "relu",
    attention_units: tuple = (80, 40),
    normalization: str | None = None,
    dropout: float = 0.0,
    unknown_rate: float = 0.01,
    l2: float = 0.0,
    seed: int | None = None,
) -> keras.Model:
    """A history summed as the candidate asks for it, and a deep part on all.

    `u = sum_t a(q, k_t) k_t` (section 4.3, eq. 3), `logit = MLP([user; item; u])`.
    A Sequence meets the item's column of the same table; those `along` it that meet
    one too stand beside it: q and k_t are then the item's vectors, and the step's,
    side by side. Other sequences are fields: the mean of their real values. Columns
    of the user (and context), and the history's part of the attention's first
    layer, are computed once where one user meets many items.

    Differs: `activation` is ReLU where the paper has Dice ("dice"), whose moments
    would count rows of sample weight 0; `l2` weighs a row by how often it is looked
    up, not by 1 / its frequency.

    Args:
        spec: FeatureSpec with a Sequence `of` a column of the item.
        hidden_units: tuple of ints >= 1. Widths of the deep part.
        activation: name of a Keras activation, or "dice"; of the deep part.
        attention_units: tuple of ints >= 1. Widths of the attention's MLP, whose
            activation is the sigmoid.
        normalization: None, "softmax" or "scaled_softmax"; see `TargetAttention`.
        dropout: number in [0, 1), in the deep part.
        unknown_rate: number in [0, 1). Share of training ids looked up as unknown.
        l2: number >= 0, on the rows that are looked up; see `EmbeddingTable`.
        seed: int or None.

    Returns: a `keras.Model`, list of named inputs -> logits `(batch, 1)`.
    Raises: `ValueError` on a bad argument, or a spec without such a Sequence.
    """
    owner = "din"
    check_spec(owner, spec)
    _checks.hidden_units(owner, attention_units=attention_units)
    _checks.rate(owner, unknown_rate=unknown_rate)
    _checks.number(owner, 0, l2=l2)
    inputs = tower_inputs(owner, spec)
    histories = _histories(owner, spec)
    deep = deep_part(
        owner,
        hidden_units=hidden_units,
        activation=activation,
        dropout=dropout,
        seed=seed,
    )
    attentions = {
        lead: TargetAttention(
            attention_units,
            normalization=normalization,
            seed=None if seed is None else seed + 100 * (number + 1),
            name=f"din_{lead}_attention",
        )
        for number, lead in enumerate(histories)
    }
    embeddings = Embeddings(spec, unknown_rate=unknown_rate, l2=l2, seed=seed)
    user, item = (embeddings(of_side) for of_side in inputs.values())

    attended = []
    for lead, pairs in histories.items():
        name = f"din_{lead}"
        query = _wide([item.vectors[column] for _, column in pairs], f"{name}_query")
        keys = _wide([user.sequences.pop(step) for step, _ in pairs], f"{name}_keys")
        attended.append(attentions[lead]([query, keys], mask=user.masks[pairs[0][0]]))

    halves = []
    for side, fields in (("user", user), ("item", item)):
        tensors = pooled(fields, ("mean",), f"din_{side}")
        if tensors or fields.numbers:
            halves.append(flat(tensors, fields.numbers, f"din_{side}"))
    x = joined([*halves, *attended], "din_fields")
    logit = summed(owner, deep(x))
    return keras.Model([*inputs["user"], *inputs["item"]], logit, name=owner)


def _histories(owner, spec):
    """{lead: [(sequence, the item's column of its table), ...]}, in their order.

    Raises: `ValueError` when no sequence meets a column of the item.
    """
    by_table = {}
    for column in spec:
        is_vector = not isinstance(column, Sequence) and spec.table_of(column)
        if half(column) == "item" and is_vector:
            by_table.setdefault(spec.table_of(column), column.name)
    found = {}
    sequences = [c for c in spec if isinstance(c, Sequence) and half(c) == "user"]
    for column in sequences:
        meets = column.of
        if half(spec[meets]) != "item":
            meets = by_table.get(spec.table_of(column))
        if meets is not None:
            lead = column.along or column.name
            found.setdefault(lead, []).append((column.name, meets))
    if not found:
        rule = "must have a Sequence `of` a column of the item, on the user's side"
        names = [f"{c.name} of {c.of}" for c in sequences]
        one = next(iter(by_table.values()), "item_id")
        way_out = f'Add Sequence("history", of="{one}").'
        raise _checks.argument(owner, "spec", rule, names, way_out)
    return found


def _wide(tensors, name):
    """Tensors side by side."""
    if len(tensors) == 1:
        return tensors[0]
    return keras.layers.Concatenate(name=name)(tensors)
