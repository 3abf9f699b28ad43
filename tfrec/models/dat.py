"""Dual augmented two-tower (Yu et al., DLP-KDD 2021)."""

from tfrec import _checks
from tfrec.embeddings import Embeddings
from tfrec.features import FeatureSpec
from tfrec.layers.basic.activation import check_activation
from tfrec.models.towers import (
    check_categorical,
    check_towers,
    flat,
    item_log_q,
    pooled,
    tower,
    tower_inputs,
)
from tfrec.models.two_tower import TwoTower
from tfrec.models.two_tower_checks import check_mimic


def dat(
    spec: FeatureSpec,
    *,
    user_id: str,
    item_id: str,
    category: str | None = None,
    hidden_units: tuple = (128, 32),
    final_activation: str = "linear",
    mimic: tuple = (0.5, 0.5),
    alignment: float = 1.0,
    poolings: tuple = ("mean", "last"),
    temperature: float = 0.05,
    log_q: bool = True,
    activation: str = "relu",
    dropout: float = 0.0,
    unknown_rate: float = 0.01,
    seed: int | None = None,
) -> TwoTower:
    """Two towers, each given a vector that mimics the other's output.

    `z_u = [E_u ; a_u]`, a_u a row of a table of its own by user id, as wide as the
    towers' output p; dense layers and unit length give p_u (section 3.2); the item's
    side likewise. Beside the loss of the pairs stand `AdaptiveMimic` of a_u to
    sg(p_v) and of a_v to sg(p_u) for positives (eq. 5), and `CategoryAlignment` of
    the item vectors (eq. 8): `loss + l1 loss_u + l2 loss_v + l3 loss_CA` (eq. 9).

    Differs: pairs are scored by softmax in the batch with temperature and log q (the
    paper: a sigmoid of the inner product, with sampled negatives), the last layer is
    linear (the paper: ReLU, which confines the vectors to one orthant).

    Args:
        spec: FeatureSpec with columns of side user (or context) and of side item.
        user_id: str. The Categorical of side user that says whose a_u it is.
        item_id: str. The Categorical of side item that says whose a_v it is and
            which item a row is about.
        category: str or None. The Categorical of side item whose values are the
            categories to align; None: no alignment.
        hidden_units: tuple of ints >= 1. Widths of both towers; the last is that
            of the exported and of the augmented vectors.
        final_activation: name of a Keras activation, of the last dense layer.
        mimic: pair of numbers >= 0, l1 and l2.
        alignment: number >= 0, l3.
        poolings, temperature, log_q, activation, dropout, unknown_rate, seed: as in
            `dssm`.

    Returns: a `TwoTower`; compile it with `tfrec.losses.InBatchSoftmax()`.
    Raises: `ValueError` on a bad argument or a spec without both sides.
    """
    owner = "dat"
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
    check_categorical(owner, spec, "user", user_id=user_id)
    if category is not None:
        check_categorical(owner, spec, "item", category=category)
    _checks.boolean(owner, log_q=log_q)
    check_activation(owner, own=("dice",), final_activation=final_activation)
    check_mimic(owner, mimic)
    _checks.number(owner, 0, alignment=alignment)
    counted = item_log_q(owner, spec, item_id) if log_q else None
    embeddings = Embeddings(spec, unknown_rate=unknown_rate, seed=seed)
    towers, augmented = [], []
    for side, inputs in tower_inputs(owner, spec).items():
        name = f"{owner}_{side}"
        fields = embeddings(inputs)
        own_id = user_id if side == "user" else item_id
        tables = Embeddings(
            spec.select([own_id]),
            embedding_dim=hidden_units[-1],
            unknown_rate=unknown_rate,
            seed=seed,
            name="augmented",
        )
        (id_input,) = [tensor for tensor in inputs if tensor.name == own_id]
        vector = tables([id_input]).vectors[own_id]
        x = flat([*pooled(fields, poolings, name), vector], fields.numbers, name)
        towers.append(
            tower(
                inputs,
                x,
                side,
                owner,
                hidden_units=hidden_units,
                activation=activation,
                last_activation=final_activation,
                dropout=dropout,
                seed=seed,
            )
        )
        augmented.append(vector)
    return TwoTower(
        *towers,
        item_id=item_id,
        temperature=temperature,
        log_q=counted,
        augmented=augmented,
        mimic=mimic,
        category=category,
        alignment=alignment,
        name=owner,
    )
