import dataclasses

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from scipy.stats import spearmanr

from tfrec import export
from tfrec.data import from_pandas
from tfrec.features import Categorical, FeatureSpec
from tfrec.losses import InBatchSoftmax
from tfrec.models import dssm, sampling_bias_corrected
from tfrec.optimizers import RowSparseAdagrad
from tfrec.testing import check_model, planted


def make(spec, function=sampling_bias_corrected, **options):
    options = {"item_id": "item_id", "hidden_units": (8, 4), "seed": 1, **options}
    model = function(spec, **options)
    model.compile(RowSparseAdagrad(0.2), InBatchSoftmax())
    return model


def test_towers_are_those_of_dssm(spec, frame):
    """But for the names: equal weights, equal vectors."""
    columns, _ = next(iter(from_pandas(frame, spec, batch_size=32)))
    model, plain = make(spec), make(spec, dssm)
    for one, other in (("user_tower",) * 2, ("item_tower",) * 2):
        found = getattr(model, one).predict(columns, verbose=0)
        wanted = getattr(plain, other).predict(columns, verbose=0)
        np.testing.assert_array_equal(found, wanted)


@pytest.mark.slow
def test_it_counts_what_it_trains_on(spec, frame):
    model = make(spec, frequency_rate=0.05, num_hashes=2)
    layer = model.frequency
    assert layer.num_buckets == 4 * spec.tables["item_id"].rows
    rows = from_pandas(frame, spec, batch_size=32)
    model.fit(rows, epochs=30, shuffle=False, verbose=0)
    assert int(layer.step) == 30 * 5
    ids = np.concatenate([columns["item_id"] for columns, _ in rows])
    known = np.unique(ids)
    wanted = np.array([np.mean(ids == one) * 32 for one in known])
    found = np.exp(layer(known))
    assert spearmanr(found, wanted)[0] > 0.75
    assert np.abs(found / wanted - 1).mean() < 0.5


def test_exports_hold_nothing_of_the_stream(spec, frame, tmp_path):
    model = make(spec)
    places = export.save(model, spec, tmp_path, examples=frame[:3])
    for place in places.values():
        names = [
            n for n, _ in tf.train.list_variables(str(place / "variables/variables"))
        ]
        assert len(names) > 3
        assert len(names) <= len(model.towers.weights) + 2
    towers = (model.user_tower, model.item_tower)
    assert not [w.path for t in towers for w in t.weights if "frequency" in w.path]


def test_hashed_items_need_no_counts(frame):
    columns = [
        Categorical("user_id", side="user", hash_buckets=50),
        Categorical("item_id", side="item", hash_buckets=50),
    ]
    spec = FeatureSpec(columns)
    rows = from_pandas(frame, spec, batch_size=32)
    losses = make(spec).fit(rows, epochs=3, shuffle=False, verbose=0).history["loss"]
    assert np.isfinite(losses).all() and losses[-1] < losses[0]


@pytest.mark.slow
def test_contract(spec, frame):
    weighted = dataclasses.replace(spec, weight="weight")
    options = {"dropout": 0.2, "unknown_rate": 0.1, "num_hashes": 2}
    check_model(lambda: make(weighted, **options), weighted, frame)


@pytest.mark.slow
def test_planted_order_is_found_with_the_correction_only(tmp_path):
    """Good items are met often; without log q they lose by it."""
    log = planted.popularity()
    columns = [Categorical("group", side="user"), Categorical("item_id", side="item")]
    spec = FeatureSpec(columns).adapt(log.frame, tmp_path)
    groups, items = log.logits.shape
    numbers = np.arange(items)
    every = {
        "group": [f"g{n % groups}" for n in numbers],
        "item_id": [f"i{n}" for n in numbers],
    }
    every = from_pandas(pd.DataFrame(every), spec, batch_size=items)
    ways = {
        "stream": (sampling_bias_corrected, {"frequency_rate": 0.05, "num_hashes": 3}),
        "counts": (dssm, {}),
        "none": (dssm, {"log_q": False}),
    }
    found = {}
    for name, (function, options) in ways.items():
        options |= {"hidden_units": (32,), "temperature": 0.1}
        model = make(spec, function, **options)
        rows = from_pandas(log.frame, spec, batch_size=128, shuffle=True)
        model.fit(rows, epochs=4, shuffle=False, verbose=0)
        u = model.user_tower.predict(every, verbose=0)[:groups]
        scores = u @ model.item_tower.predict(every, verbose=0).T
        pairs = zip(scores, log.logits, strict=True)
        found[name] = np.mean([spearmanr(*pair)[0] for pair in pairs])
    assert found["stream"] > 0.95 and found["counts"] > 0.95, found
    assert found["none"] < 0.75, found


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"num_buckets": 0}, "`num_buckets` must be an int >= 1"),
        ({"num_hashes": 0}, "`num_hashes` must be an int >= 1"),
        ({"frequency_rate": 0}, "`frequency_rate` must be a number > 0"),
        ({"frequency_rate": 1}, r"`frequency_rate` must be a number in \[0, 1\)"),
        ({"initial_gap": 0}, "sampling_bias_corrected: `initial_gap` must be a number"),
        ({"sequential": 1}, "`sequential` must be True or False"),
        ({"item_id": "city"}, '`item_id` must name a Categorical of side "item"'),
        ({"temperature": 0}, "`temperature` must be a number > 0"),
    ],
)
def test_bad_arguments(spec, arguments, message):
    with pytest.raises(ValueError, match=message):
        make(spec, **arguments)
    with pytest.raises(TypeError, match="nonsense"):
        make(spec, nonsense=1)
