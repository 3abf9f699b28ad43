"""Sampling-bias-corrected two-tower (Yi et al., RecSys 2019)."""

from tfrec import _checks
from tfrec.embeddings import Embeddings
from tfrec.features import FeatureSpec
from tfrec.layers.retrieval.streaming_frequency import StreamingFrequency
from tfrec.models.towers import check_towers, plain_tower, tower_inputs
from tfrec.models.two_tower import TwoTower


def sampling_bias_corrected(
    spec: FeatureSpec,
    *,
    item_id: str,
    hidden_units: tuple = (512, 128),
    num_buckets: int | None = None,
    num_hashes: int = 1,
    frequency_rate: float = 0.01,
    initial_gap: float = 100.0,
    sequential: bool = True,
    poolings: tuple = ("mean", "last"),
    temperature: float = 0.05,
    activation: str = "relu",
    dropout: float = 0.0,
    unknown_rate: float = 0.01,
    seed: int | None = None,
) -> TwoTower:
    """DSSM's towers; how often an item is drawn is estimated while training.

    `s_ij = u_i . v_j / temperature - log p_j`, p_j from a `StreamingFrequency`
    (sections 4 and 5): no counts are needed beforehand, items may be hashed, and p
    follows a popularity that moves. The estimate is saved with the model, training
    goes on with it, and neither tower holds it. Labels are the rewards in [0, 1].

    Args:
        spec: FeatureSpec with columns of side user (or context) and of side item.
        item_id: str. The Categorical that says which item a row is about.
        hidden_units: tuple of ints >= 1. Widths of both towers; the last is that
            of the exported vectors.
        num_buckets: int >= 1 for each hash, or None: 4 times the rows of `item_id`'s
            table.
        num_hashes: int >= 1.
        frequency_rate: number in (0, 1). How fast p follows.
        initial_gap: number > 0, in steps. What is taken for the gap between two
            batches with an item before it was met.
        sequential: bool. p is rows per batch, else the chance to be in a batch: see
            `StreamingFrequency`.
        poolings, temperature, activation, dropout, unknown_rate, seed: as in `dssm`.

    Returns: a `TwoTower`; compile it with `tfrec.losses.InBatchSoftmax()`.
    Raises: `ValueError` on a bad argument or a spec without both sides.
    """
    owner = "sampling_bias_corrected"
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
    _checks.rate(owner, frequency_rate=frequency_rate)
    _checks.number(owner, above=0, frequency_rate=frequency_rate)
    _checks.number(owner, above=0, initial_gap=initial_gap)
    if num_buckets is None:
        num_buckets = 4 * spec.tables[spec[item_id].table_name].rows
    frequency = StreamingFrequency(
        num_buckets,
        num_hashes,
        frequency_rate,
        initial_gap,
        sequential,
        name=f"{owner}_frequency",
    )
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
        *towers, item_id=item_id, temperature=temperature, log_q=frequency, name=owner
    )
