"""DSSM two-tower (Huang et al., CIKM 2013), trained in the batch."""

from tfrec import _checks
from tfrec.embeddings import Embeddings
from tfrec.features import FeatureSpec
from tfrec.models.towers import check_towers, item_log_q, plain_tower, tower_inputs
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
    counted = item_log_q(owner, spec, item_id) if log_q else None
    embeddings = Embeddings(spec, unknown_rate=unknown_rate, seed=seed)
    towers = [
        plain_tower(
            inputs,
            embeddings(inputs),
            side,
            owner,
            poolings,
            hidden_units=hidden_units,
            activation=activation,
            dropout=dropout,
            seed=seed,
        )
        for side, inputs in tower_inputs(owner, spec).items()
    ]
    return TwoTower(
        *towers, item_id=item_id, temperature=temperature, log_q=counted, name=owner
    )
