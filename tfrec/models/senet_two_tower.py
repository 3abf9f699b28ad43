"""Two towers behind gates of fields (SENet: FiBiNET, arXiv:1905.09433)."""

import keras

from tfrec import _checks
from tfrec.embeddings import Embeddings
from tfrec.features import FeatureSpec
from tfrec.layers.interaction.senet import SENet
from tfrec.models.towers import (
    check_towers,
    common_dim,
    flat,
    item_log_q,
    pooled,
    stacked,
    tower,
    tower_inputs,
)
from tfrec.models.two_tower import TwoTower


def senet_two_tower(
    spec: FeatureSpec,
    *,
    item_id: str,
    hidden_units: tuple = (128, 64),
    reduction: int = 3,
    squeeze: str = "mean",
    gate: str = "sigmoid",
    poolings: tuple = ("mean", "last"),
    temperature: float = 0.05,
    log_q: bool = True,
    activation: str = "relu",
    dropout: float = 0.0,
    unknown_rate: float = 0.01,
    seed: int | None = None,
) -> TwoTower:
    """DSSM whose towers weigh each field before the first dense layer.

    `V_f = A_f E_f`, `A = gate(relu(z W1) W2)`, z the mean of each field vector
    (section 3.3, eq. 2 to 4), one block a tower, so that a field that is noise for
    this row does not reach the inner product. A number x is the field x v; a
    sequence is one field a pooling.

    Differs: the gate is a sigmoid (the paper: ReLU, which may shut all fields of a
    row and leaves them without gradient).

    Args:
        spec: FeatureSpec with columns of side user (or context) and of side item,
            all with one `embedding_dim`.
        item_id: str. The Categorical that says which item a row is about.
        hidden_units: tuple of ints >= 1. Widths of both towers; the last is that
            of the exported vectors.
        reduction: int >= 1. The gates' hidden layer has fields // reduction units.
        squeeze: "mean" or "max".
        gate: "sigmoid" or "relu".
        poolings, temperature, log_q, activation, dropout, unknown_rate, seed: as in
            `dssm`.

    Returns: a `TwoTower`; compile it with `tfrec.losses.InBatchSoftmax()`.
    Raises: `ValueError` on a bad argument, a spec without both sides, or columns of
    different width.
    """
    owner = "senet_two_tower"
    check_towers(
        owner,
        spec,
        item_id,
        hidden_units,
        poolings,
        temperature=temperature,
        activation=activation,
        dropout=dropout,
        unknown_rate=unknown_rate,
        seed=seed,
    )
    _checks.boolean(owner, log_q=log_q)
    _checks.positive_int(owner, reduction=reduction)
    _checks.one_of(owner, ("mean", "max"), squeeze=squeeze)
    _checks.one_of(owner, ("sigmoid", "relu"), gate=gate)
    counted = item_log_q(owner, spec, item_id) if log_q else None
    dim = common_dim(owner, spec)
    embeddings = Embeddings(spec, unknown_rate=unknown_rate, seed=seed)
    towers = []
    for side, inputs in tower_inputs(owner, spec).items():
        name = f"{owner}_{side}"
        fields = embeddings(inputs)
        numbers = flat([], fields.numbers, name) if fields.numbers else None
        vectors = pooled(fields, poolings, name)
        x = stacked(vectors, numbers, dim, name, seed)  # (B, F, D)
        gates = SENet(reduction, squeeze, gate, seed=seed, name=f"{name}_gates")
        x = keras.layers.Flatten(name=f"{name}_flat")(gates(x))
        options = {"hidden_units": hidden_units, "activation": activation}
        towers.append(
            tower(inputs, x, side, owner, dropout=dropout, seed=seed, **options)
        )
    return TwoTower(
        *towers, item_id=item_id, temperature=temperature, log_q=counted, name=owner
    )
