"""YouTube's candidate generation (Covington et al., RecSys 2016, section 3)."""

import keras

from tfrec import _checks
from tfrec.embeddings import Embeddings, inputs_of
from tfrec.features import FeatureSpec
from tfrec.layers.basic.mlp import MLP
from tfrec.models.histories import check_histories
from tfrec.models.towers import (
    SIDES,
    check_towers,
    final,
    flat,
    item_log_q,
    pooled,
)
from tfrec.models.two_tower import TwoTower


def youtube_dnn(
    spec: FeatureSpec,
    *,
    item_id: str,
    hidden_units: tuple = (256, 128, 64),
    activation: str = "relu",
    temperature: float | None = None,
    log_q: bool = True,
    dropout: float = 0.0,
    unknown_rate: float = 0.01,
    seed: int | None = None,
) -> TwoTower:
    """A tower on averaged histories against one softmax vector an item.

    `u = tower([mean of each sequence; fields; numbers])`, activated to the last
    layer, `P(i | u) ~ exp(u . W_i)` (section 3.1). W is a table of its own beside
    the one that histories look up. The item's other columns are not read.
    With a temperature `P(i | u) ~ exp(cos(u, W_i) / temperature)`, which is not the
    paper's: vectors of free length start near zero, and want a higher learning rate
    and more rows than unit vectors do.

    Example age (section 3.3) is a Numeric of the context with `serve=False` and
    `scaling` "none" or "log1p": the exported tower then sees age 0.

    Differs: the softmax is sampled from the batch's items, corrected for how often
    they are drawn, in place of several thousand classes drawn for each batch.

    Args:
        spec: FeatureSpec with a Sequence of items on the user's side.
        item_id: str. The Categorical that says which item a row is about.
        hidden_units: tuple of ints >= 1. Widths of the tower; the last is that of
            W and of the exported vectors.
        activation: name of a Keras activation, or "dice".
        temperature: number > 0: both vectors have unit length. None: any length.
        log_q: subtract the log of the item's share of the training rows, as the
            vocabulary counted them.
        dropout: number in [0, 1), behind each dense layer but the last.
        unknown_rate: number in [0, 1). Share of training ids looked up as unknown.
        seed: int or None.

    Returns: a `TwoTower`; compile it with `tfrec.losses.InBatchSoftmax()`.
    Raises: `ValueError` on a bad argument or a spec without such a Sequence.
    """
    owner = "youtube_dnn"
    divisor = 1.0 if temperature is None else temperature
    check_towers(
        owner,
        spec,
        item_id,
        hidden_units,
        ("mean",),
        temperature=divisor,
        activation=activation,
        dropout=dropout,
        unknown_rate=unknown_rate,
        seed=seed,
    )
    _checks.boolean(owner, log_q=log_q)
    check_histories(owner, spec, item_id)
    counted = item_log_q(owner, spec, item_id) if log_q else None
    inputs = inputs_of(spec, *SIDES["user"])
    fields = Embeddings(spec, unknown_rate=unknown_rate, seed=seed)(inputs)
    x = flat(pooled(fields, ("mean",), owner), fields.numbers, owner)
    user = MLP(
        hidden_units,
        activation=activation,
        dropout=dropout,
        seed=seed,
        name=f"{owner}_mlp",
    )(x)

    alone = spec.select([item_id])
    softmax = Embeddings(
        alone,
        embedding_dim=hidden_units[-1],
        unknown_rate=unknown_rate,
        seed=None if seed is None else seed + 500,
        name="softmax",
    )
    of_item = inputs_of(alone, "item")
    item = softmax(of_item).vectors[item_id]
    towers = []
    for side, tensors, vector in (("user", inputs, user), ("item", of_item, item)):
        name = f"{owner}_{side}_vector"
        vector = final(temperature, name)(vector)
        towers.append(keras.Model(tensors, vector, name=f"{side}_tower"))
    return TwoTower(
        *towers, item_id=item_id, temperature=divisor, log_q=counted, name=owner
    )
