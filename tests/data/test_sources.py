import itertools
import re

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from tfrec.data import from_csv, from_pandas, from_parquet, histories, sources, stream
from tfrec.features import (
    Bucketized,
    Categorical,
    FeatureSpec,
    MultiCategorical,
    Numeric,
    Sequence,
)

COLUMNS = [
    Categorical("user", side="user", dtype="int64"),
    Sequence("history", of="movie", max_length=4, separator="|"),
    Categorical("movie", side="item", max_size=8),
    MultiCategorical("genres", side="item", separator="|", max_length=2),
    Numeric("price", side="item", fill=0, scaling="standard"),
    Bucketized("year", side="item", num_buckets=3),
]


def raises(text, kind=ValueError):
    return pytest.raises(kind, match=re.escape(text))


@pytest.fixture
def rows(log):
    """The log with histories as separated strings, which CSV can hold."""
    log = histories(log, user="user", item="movie", time="time")
    log["history"] = ["|".join(values) for values in log["history"]]
    log["row"] = np.arange(len(log), dtype=float)
    log["weight"] = log["rating"] / 2
    return log


@pytest.fixture
def spec(rows, tmp_path):
    """Labels `row`: each row can be told from its label."""
    return FeatureSpec(COLUMNS, labels=["row"]).adapt(rows, tmp_path / "vocabularies")


def changed(spec, **changes):
    return FeatureSpec(
        changes.pop("columns", spec.columns),
        labels=changes.pop("labels", spec.labels),
        weight=changes.pop("weight", None),
        vocabularies=changes.pop("vocabularies", spec.vocabularies),
    )


def flat(dataset):
    """Every batch as plain lists."""
    return [
        tf.nest.map_structure(lambda x: x.numpy().tolist(), batch) for batch in dataset
    ]


def labels(dataset):
    return [int(label) for _, batch in dataset for label in batch.numpy()]


@pytest.fixture(params=["pandas", "parquet", "csv", "files"])
def reader(request, rows, tmp_path):
    """Makes a data set of the same rows, from memory or from files."""
    folder = tmp_path / "rows"
    folder.mkdir()
    if request.param == "pandas":
        return lambda spec, **options: from_pandas(rows, spec, **options)
    if request.param == "csv":
        rows.to_csv(folder / "log.csv", index=False)
        return lambda spec, **options: from_csv(folder / "log.csv", spec, **options)
    cuts = [0, 300] if request.param == "parquet" else [0, 70, 70, 123, 300]
    for number, (start, stop) in enumerate(itertools.pairwise(cuts)):
        rows[start:stop].to_parquet(folder / f"{number}.parquet", row_group_size=37)
    return lambda spec, **options: from_parquet(folder, spec, **options)


@pytest.mark.parametrize("batch_size", [1, 7, 100, 300, 1000])
def test_every_source_gives_the_same_batches(reader, rows, spec, batch_size):
    wanted = flat(from_pandas(rows, spec, batch_size=batch_size))
    dataset = reader(spec, batch_size=batch_size)
    assert flat(dataset) == wanted == flat(dataset)
    sizes = [len(batch[1]) for batch in wanted]
    assert sizes == [batch_size] * (300 // batch_size) + [300 % batch_size] * (
        300 % batch_size > 0
    )
    assert labels(dataset) == list(range(300))


def test_rows_stay_whole(reader, rows, spec):
    """What stands in one row stands in one row, shuffled or not."""
    whole = from_pandas(rows, spec, batch_size=300)
    columns, _ = next(iter(whole))
    for batch, y in reader(spec, batch_size=64, shuffle=True, seed=3):
        place = y.numpy().astype(int)
        for name, values in batch.items():
            np.testing.assert_array_equal(values, columns[name].numpy()[place])


def test_element_spec(reader, spec):
    columns, y = reader(spec, batch_size=64).element_spec
    found = {name: (s.shape.as_list(), s.dtype.name) for name, s in columns.items()}
    assert found == {
        "user": ([None], "int32"),
        "history": ([None, 4], "int32"),
        "movie": ([None], "int32"),
        "genres": ([None, 2], "int32"),
        "price": ([None], "float32"),
        "year": ([None], "int32"),
    }
    assert (y.shape.as_list(), y.dtype) == ([None], tf.float32)
    columns, y = reader(spec, batch_size=64, drop_remainder=True).element_spec
    assert columns["history"].shape == [64, 4] and y.shape == [64]


def test_shuffling_permutes_all_rows(reader, spec):
    dataset = reader(spec, batch_size=32, shuffle=True, seed=7)
    epochs = [labels(dataset) for _ in range(3)]
    for epoch in epochs:
        assert sorted(epoch) == list(range(300))
        moved = np.abs(np.array(epoch) - np.arange(300))
        assert moved.mean() > 50  # a third of 300 is what chance gives
    assert epochs[0] != epochs[1] != epochs[2]
    again = reader(spec, batch_size=32, shuffle=True, seed=7)
    assert [labels(again) for _ in range(3)] == epochs
    other = reader(spec, batch_size=32, shuffle=True, seed=8)
    assert labels(other) not in epochs


def test_the_order_does_not_depend_on_the_global_seed(reader, spec):
    orders = []
    for seed in (1, 2):
        keras.utils.set_random_seed(seed)
        orders.append(labels(reader(spec, shuffle=True, seed=0)))
    assert orders[0] == orders[1]


@pytest.mark.parametrize("buffer_rows", [1, 10, 64, 100, 299, 300, 10_000])
def test_buffers_of_any_size_lose_nothing(rows, spec, tmp_path, buffer_rows):
    rows[:200].to_parquet(tmp_path / "a.parquet", row_group_size=11)
    rows[200:].to_csv(tmp_path / "b.csv", index=False)
    paths = [tmp_path / "b.csv", tmp_path / "a.parquet"]
    options = {"batch_size": 32, "shuffle": True, "buffer_rows": buffer_rows}
    dataset = from_csv(paths, spec, **options)
    epochs = [labels(dataset), labels(dataset)]
    assert sorted(epochs[0]) == sorted(epochs[1]) == list(range(300))
    assert epochs[0] != epochs[1]
    sizes = [len(y) for _, y in dataset]
    assert sizes == [32] * 9 + [12]


def test_files_are_shuffled(rows, spec, tmp_path):
    for number in range(30):
        part = rows[number * 10 : number * 10 + 10]
        part.to_parquet(tmp_path / f"{number:02}.parquet")
    dataset = from_parquet(tmp_path, spec, batch_size=10, shuffle=True, buffer_rows=10)
    orders = [[row // 10 for row in labels(dataset)][::10] for _ in range(2)]
    assert sorted(orders[0]) == sorted(orders[1]) == list(range(30))
    assert orders[0] != orders[1]


def test_remainder(reader, spec):
    dataset = reader(spec, batch_size=64, drop_remainder=True)
    assert labels(dataset) == list(range(256))
    epoch = labels(reader(spec, batch_size=64, drop_remainder=True, shuffle=True))
    assert len(epoch) == len(set(epoch)) == 256


def test_cardinality(rows, spec, tmp_path):
    rows.to_parquet(tmp_path / "log.parquet")
    rows.to_csv(tmp_path / "log.csv", index=False)
    for make, source in (
        (from_pandas, rows),
        (from_parquet, tmp_path / "log.parquet"),
        (from_csv, tmp_path / "log.csv"),
    ):
        assert int(make(source, spec, batch_size=64).cardinality()) == 5
        dataset = make(source, spec, batch_size=64, drop_remainder=True)
        assert int(dataset.cardinality()) == 4


def test_weights(reader, rows, spec):
    spec = changed(spec, weight="weight")
    columns, y, weight = next(iter(reader(spec, batch_size=300)))
    assert "weight" not in columns and "row" not in columns
    assert weight.numpy().tolist() == rows["weight"].tolist()
    assert y.numpy().tolist() == rows["row"].tolist()


def test_several_labels(reader, rows, spec):
    spec = changed(spec, labels=["liked", "rating"], weight="weight")
    _, y, weight = next(iter(reader(spec, batch_size=300)))
    assert list(y) == ["liked", "rating"]
    for name in y:
        assert y[name].dtype == tf.float32 and y[name].shape == [300]
        assert y[name].numpy().tolist() == rows[name].astype(float).tolist()
    assert weight.numpy().tolist() == rows["weight"].tolist()


def test_no_label_is_a_reward_of_one(reader, rows, spec):
    dataset = reader(changed(spec, labels=[]), batch_size=200)
    assert [y.numpy().tolist() for _, y in dataset] == [[1.0] * 200, [1.0] * 100]
    assert dataset.element_spec[1].shape == [None]
    spec = changed(spec, labels=[], weight="weight")
    _, y, weight = next(iter(reader(spec, batch_size=300)))
    assert y.numpy().tolist() == [1.0] * 300
    assert weight.numpy().tolist() == rows["weight"].tolist()


def test_columns_alone(reader, rows, spec):
    """For `predict`: labels need not be there, other columns neither."""
    dataset = reader(spec, columns=["genres", "movie"], batch_size=300)
    found = next(iter(dataset))
    whole, _ = next(iter(from_pandas(rows, spec, batch_size=300)))
    assert set(found) == {"genres", "movie"}
    for name, values in found.items():
        np.testing.assert_array_equal(values, whole[name])
    one = from_pandas(rows[["movie"]], spec, columns=["movie"])
    assert next(iter(one))["movie"].shape == [300]


@pytest.mark.parametrize(
    "values",
    [
        [0, 1, 1],
        [False, True, True],
        [0.0, 1.0, 1.0],
        np.array([0, 1, 1], np.int8),
        np.array([0, 1, 1], np.uint64),
        np.array([0, 1, 1], np.float16),
        pd.array([0, 1, 1], "Int32"),
        pd.array([False, True, True], "boolean"),
        pd.array([0, 1, 1], "float[pyarrow]"),
    ],
    ids=lambda values: str(getattr(values, "dtype", type(values[0]).__name__)),
)
def test_every_kind_of_label(values):
    spec = FeatureSpec([Numeric("x", side="user")], labels=["y"])
    _, y = next(iter(from_pandas({"x": [1, 2, 3], "y": values}, spec)))
    assert y.numpy().tolist() == [0, 1, 1]


def test_large_labels():
    """Milliseconds and money; float32 holds them to seven digits."""
    spec = FeatureSpec([Numeric("x", side="user")], labels=["y"])
    _, y = next(iter(from_pandas({"x": [1, 2], "y": [2**24 + 1, 10**12]}, spec)))
    np.testing.assert_allclose(y, [2**24, 1e12], rtol=1e-7)


def test_columns_of_one_kind_only(tmp_path):
    numbers = FeatureSpec(
        [Numeric("v", side="user", shape=(3,)), Numeric("x", side="user")]
    )
    rows = {"v": [[1, 2, 3], [4, 5, 6]], "x": [7, 8], "c": ["a", "b"]}
    columns, _ = next(iter(from_pandas(rows, numbers)))
    assert columns["v"].numpy().tolist() == rows["v"] and columns["v"].shape == [2, 3]
    assert columns["x"].numpy().tolist() == [7, 8]
    ids = FeatureSpec([Categorical("c", side="user")]).adapt(rows, tmp_path)
    columns, y = next(iter(from_pandas(rows, ids)))
    assert columns["c"].numpy().tolist() == [2, 3] and y.numpy().tolist() == [1, 1]


def test_vectors_in_files(tmp_path):
    spec = FeatureSpec([Numeric("v", side="item", shape=(4,))])
    values = np.random.default_rng(0).normal(size=(50, 4)).astype(np.float32)
    frame = pd.DataFrame({"v": list(values)})
    frame.to_parquet(tmp_path / "a.parquet")
    for dataset in (
        from_pandas(frame, spec, batch_size=50),
        from_pandas({"v": values}, spec, batch_size=50),
        from_parquet(tmp_path / "a.parquet", spec, batch_size=50),
    ):
        np.testing.assert_array_equal(next(iter(dataset))[0]["v"], values)


@pytest.mark.parametrize("kind", ["dict", "records", "arrow", "index"])
def test_every_kind_of_rows(rows, spec, kind):
    wanted = flat(from_pandas(rows, spec))
    if kind == "records":
        given = rows.astype(object).where(rows.notna(), None).to_dict("records")
    elif kind == "index":
        given = rows.set_index(pd.Index([1] * len(rows)))
    else:
        arrow = from_pandas_to_arrow(rows)
        given = arrow if kind == "arrow" else {n: arrow[n] for n in arrow.column_names}
    assert flat(from_pandas(given, spec)) == wanted


def from_pandas_to_arrow(rows):
    import pyarrow as pa

    return pa.Table.from_pandas(rows[::-1].reset_index(drop=True)).take(
        np.arange(len(rows))[::-1]
    )


def test_a_model_fits_on_it(reader, spec):
    """`fit`, `evaluate` and `predict` as with any data set."""
    spec = changed(spec, labels=["liked"], weight="weight")
    inputs = [
        keras.Input((), name="price"),
        keras.Input((4,), name="history", dtype="int32"),
    ]
    pooled = keras.ops.mean(keras.ops.cast(inputs[1], "float32"), axis=1)
    stacked = keras.ops.stack([inputs[0], pooled], axis=1)
    model = keras.Model(inputs, keras.layers.Dense(1)(stacked))
    model.compile("sgd", keras.losses.BinaryCrossentropy(from_logits=True))
    dataset = reader(spec, batch_size=50, shuffle=True)
    run = model.fit(dataset, epochs=2, verbose=0)
    assert np.isfinite(run.history["loss"]).all()
    assert model.predict(reader(spec, batch_size=64), verbose=0).shape == (300, 1)


def test_steps_per_epoch_and_repeat(rows, spec):
    dataset = from_pandas(rows, spec, batch_size=100, shuffle=True).repeat(3)
    epochs = np.reshape(labels(dataset), (3, 300))
    assert (np.sort(epochs) == np.arange(300)).all()
    assert (epochs[0] != epochs[1]).any()


GOOD = {"user": [1], "history": ["m1"], "movie": ["m1"], "genres": [""]}
GOOD |= {"price": [1.0], "year": [2000], "row": [0.0], "weight": [1.0]}


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"movie": None}, 'column "movie" must be one of the '),
        ({"row": None}, 'column "row" must be one of the '),
        ({"weight": None}, 'column "weight" must be one of the '),
        ({"movie": [3]}, 'column "movie" must hold strings.'),
        ({"user": ["x"]}, 'column "user" must hold integers.'),
        ({"user": [1.5]}, 'column "user" must hold integers. Received: 1.5 in row 0'),
        ({"price": ["dear"]}, 'column "price" must hold numbers.'),
        ({"price": [np.inf]}, 'column "price" must hold finite float32 numbers.'),
        ({"row": [None]}, 'column "row" is a label or weight and must not be missing.'),
        ({"row": ["1"]}, 'column "row" is a label or weight and must hold numbers.'),
        ({"row": [np.nan]}, "or pass `missing_labels=True` if it is a label: they"),
        ({"weight": [np.nan]}, "must not be missing. Received: NaN or null in row 0,"),
        ({"weight": [np.inf]}, 'column "weight" is a label or weight and must hold fi'),
        ({"weight": [1e39]}, "must hold finite float32 numbers. Received: 1e+39 in"),
        ({"row": [[1.0]]}, "must hold numbers. Received: list<"),
    ],
)
@pytest.mark.parametrize("kind", ["pandas", "parquet", "files"])
def test_bad_rows_raise_before_training(spec, tmp_path, kind, change, text):
    frame = pd.DataFrame({k: v for k, v in {**GOOD, **change}.items() if v is not None})
    spec = changed(spec, weight="weight")
    if kind == "pandas":
        with raises(text) as error:
            from_pandas(frame, spec)
        assert str(error.value).startswith("from_pandas: ")
        return
    path = tmp_path / "rows" / "b.parquet"
    path.parent.mkdir()
    frame.to_parquet(path)
    if kind == "files":  # another file is good
        pd.DataFrame(GOOD).to_parquet(path.with_name("a.parquet"))
    with raises(text) as error:
        from_parquet(path.parent, spec)
    assert str(error.value).startswith("from_parquet") and str(path) in str(error.value)


@pytest.mark.parametrize(
    ("old", "new", "text"),
    [
        ("m1,m1", "m1,m1,m1", "Expected 8 columns, got 9"),
        ("2000", "MM", "invalid value 'MM'"),
        ("movie,", "film,", 'column "movie" must be one of the file\'s columns.'),
        ("movie,", "user,", 'column "user" must stand once in the file.'),
        (",0.0,", ",,", 'column "row" is a label or weight and must not be mis'),
        (",0.0,", ",x,", "invalid value 'x'"),
    ],
)
def test_bad_csv_raises_before_training(spec, tmp_path, old, new, text):
    path = tmp_path / "log.csv"
    pd.DataFrame(GOOD).to_csv(path, index=False)
    content = path.read_text()
    assert old in content
    path.write_text(content.replace(old, new))
    with raises(text) as error:
        from_csv(path, spec)
    assert str(error.value).startswith("from_csv") and str(path) in str(error.value)


def test_a_broken_row_far_into_a_csv_raises_before_training(rows, spec, tmp_path):
    path = tmp_path / "log.csv"
    pd.concat([rows] * 80).to_csv(path, index=False)
    assert path.stat().st_size > 2**20  # the first block of the reader is good
    content = path.read_bytes()
    for line, text in ((b"1,2", "columns, got 2"), (b"1", "columns, got 1")):
        path.write_bytes(content + line + b"\n")
        with raises(text) as error:
            from_csv(path, spec)
        assert f"'{path}' cannot be read: " in str(error.value)


def test_a_bad_value_far_into_a_file_ends_the_epoch(rows, spec, tmp_path, monkeypatch):
    """No batch is left out in silence."""
    rows.loc[280, "price"] = np.inf
    rows.to_parquet(tmp_path / "log.parquet", row_group_size=50)
    original = sources.blocks
    monkeypatch.setattr(
        sources, "blocks", lambda *a, **o: original(*a, **{**o, "block_rows": 50})
    )
    monkeypatch.setattr(stream, "CHECKED_ROWS", 50)
    dataset = from_parquet(tmp_path / "log.parquet", spec, batch_size=50)
    text = 'from row 250 on): column "price" must hold finite float32 numbers.'
    with pytest.raises(tf.errors.OpError, match=re.escape(text)) as error:
        labels(dataset)
    assert "Received: inf in row 30. Clip or clean the column." in str(error.value)
    assert "log.parquet" in str(error.value)


@pytest.mark.parametrize("make", [from_parquet, from_csv])
def test_nothing_to_read(rows, spec, tmp_path, make):
    name = make.__name__
    with raises(f"{name}: no Parquet or CSV file at ", FileNotFoundError):
        make(tmp_path / "none", spec)
    with raises(f"{name}: `path` must hold rows."):
        make([], spec)
    ending = name.removeprefix("from_")
    path = tmp_path / f"empty.{ending}"
    getattr(rows[:0], f"to_{ending}")(path, index=False)
    with raises(f"{name}: `path` must hold rows. Received: path=["):
        make(path, spec)
    (tmp_path / f"bad.{ending}").write_bytes(b"")
    with raises(f"{name}: '{tmp_path}/bad.{ending}' cannot be read: "):
        make(tmp_path / f"bad.{ending}", spec)


def test_an_empty_file_among_others(rows, spec, tmp_path):
    rows[:0].to_parquet(tmp_path / "a.parquet")
    rows.to_parquet(tmp_path / "b.parquet")
    rows[:0].to_parquet(tmp_path / "c.parquet")
    assert labels(from_parquet(tmp_path, spec)) == list(range(300))


@pytest.mark.parametrize(
    ("options", "text", "kind"),
    [
        ({"batch_size": 0}, "`batch_size` must be an int >= 1.", ValueError),
        ({"batch_size": 2.0}, "Received: batch_size=2.0 (float).", ValueError),
        ({"seed": -1}, "`seed` must be an int >= 0.", ValueError),
        ({"seed": None}, "`seed` must be an int >= 0.", ValueError),
        ({"shuffle": 1000}, "`shuffle` must be True or False.", ValueError),
        ({"drop_remainder": 1}, "`drop_remainder` must be True or", ValueError),
        (
            {"batch_size": 301, "drop_remainder": True},
            "`batch_size` must be at most 300, the number of rows, with `drop_rem",
            ValueError,
        ),
        ({"columns": ["film"]}, 'column "film" must be in the spec.', ValueError),
        ({"columns": "movie"}, 'column "m" must be in the spec.', ValueError),
        ({"columns": []}, "`columns` must not be empty.", ValueError),
        ({"nonsense": 1}, "nonsense", TypeError),
    ],
)
def test_errors(rows, spec, tmp_path, options, text, kind):
    with raises(text, kind):
        from_pandas(rows, spec, **options)
    rows.to_parquet(tmp_path / "log.parquet")
    with raises(text, kind):
        from_parquet(tmp_path / "log.parquet", spec, **options)


def test_errors_of_the_spec(rows, spec, tmp_path):
    with raises("from_pandas: `spec` must be a FeatureSpec.", TypeError):
        from_pandas(rows, "spec.json")
    with raises("has no vocabulary yet. Received vocabularies: "):
        from_pandas(rows, changed(spec, vocabularies=()))
    rows.to_parquet(tmp_path / "log.parquet")
    with raises("from_parquet: `buffer_rows` must be an int >= 1."):
        from_parquet(tmp_path / "log.parquet", spec, buffer_rows=0)


@pytest.mark.parametrize("frame", [pd.DataFrame({"x": []}), {"x": []}, []])
def test_no_rows(frame):
    spec = FeatureSpec([Numeric("x", side="user")])
    with raises("from_pandas: `frame` must hold rows. Received: frame=0 (int). Check"):
        from_pandas(frame, spec)


def test_truth_values_in_every_source(tmp_path):
    rows = pd.DataFrame({"new": [True, False, True], "y": [1.0, 0.0, 1.0]})
    spec = FeatureSpec([Categorical("new", side="user", dtype="int64")], labels=["y"])
    spec = spec.adapt(rows, tmp_path / "spec")
    rows.to_csv(tmp_path / "log.csv", index=False)
    rows.to_parquet(tmp_path / "log.parquet")
    for make, source in (
        (from_pandas, rows),
        (from_csv, tmp_path / "log.csv"),
        (from_parquet, tmp_path / "log.parquet"),
    ):
        x, _ = next(iter(make(source, spec)))
        assert x["new"].numpy().tolist() == [2, 3, 2]
