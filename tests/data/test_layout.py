import itertools
import re

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from tfrec.data import from_csv, from_pandas, from_parquet
from tfrec.data.layout import Layout
from tfrec.features import Bucketized, FeatureSpec, Numeric

X = Numeric("x", side="user")


def raises(text, kind=ValueError):
    return pytest.raises(kind, match=re.escape(text))


def test_columns_and_signature():
    spec = FeatureSpec(
        [
            Bucketized("b", side="user", boundaries=(1,)),
            X,
            Numeric("v", side="item", shape=(3,)),
        ],
        labels=["y"],
        weight="w",
    )
    layout = Layout(spec, None)
    assert layout.columns == ["b", "x", "v", "y", "w"]
    ids, floats = layout.signature(7)
    assert (ids.shape, floats.shape) == ((7, 1), (7, 1 + 3 + 2))
    assert Layout(spec, ["v"]).columns == ["v"]
    matrix = np.arange(6, dtype=np.float32)[None]
    columns, y, weight = layout.unpack(tf.constant([[5]]), tf.constant(matrix))
    assert columns["b"].numpy().tolist() == [5]
    assert columns["v"].numpy().tolist() == [[1, 2, 3]]
    assert (float(y[0]), float(weight[0])) == (4, 5)


values = st.lists(st.sampled_from([0.0, 1.0, None]), min_size=9, max_size=9)


@pytest.mark.slow
@given(a=values, b=values, weighted=st.booleans(), shuffle=st.booleans())
def test_a_missing_label_counts_for_nothing(a, b, weighted, shuffle):
    rows = pd.DataFrame({"x": np.arange(9), "a": a, "b": b, "w": np.arange(9) / 2})
    rows = rows.astype({"a": float, "b": float})
    weight = rows["w"].to_numpy(np.float32) if weighted else np.ones(9, np.float32)
    spec = FeatureSpec([X], labels=["a", "b"], weight="w" if weighted else None)
    dataset = from_pandas(
        rows, spec, missing_labels=True, batch_size=4, shuffle=shuffle
    )
    signature = dataset.element_spec
    assert list(signature[1]) == list(signature[2]) == ["a", "b"]
    for columns, y, weights in dataset:
        place = columns["x"].numpy().astype(int)
        for name in ("a", "b"):
            label = rows[name].to_numpy()[place]
            assert y[name].numpy().tolist() == np.nan_to_num(label).tolist()
            wanted = np.where(np.isnan(label), 0, weight[place])
            assert weights[name].dtype == tf.float32
            assert weights[name].numpy().tolist() == wanted.tolist()


def test_every_source_masks_the_same(tmp_path):
    rows = pd.DataFrame({"x": [1, 2, 3], "y": [1, None, 0]})
    rows.to_parquet(tmp_path / "a.parquet")
    rows.to_csv(tmp_path / "a.csv", index=False)
    spec = FeatureSpec([X], labels=["y"])
    for dataset in (
        from_pandas(rows, spec, missing_labels=True),
        from_pandas({"x": [1, 2, 3], "y": [True, None, False]}, spec, **MISSING),
        from_parquet(tmp_path / "a.parquet", spec, missing_labels=True),
        from_csv(tmp_path / "a.csv", spec, missing_labels=True),
    ):
        ((_, y, weight),) = dataset
        assert y.numpy().tolist() == [1, 0, 0]
        assert weight.numpy().tolist() == [1, 0, 1]
    nothing = {"x": [1, 2], "y": [None, None]}
    ((_, y, weight),) = from_pandas(nothing, spec, missing_labels=True)
    assert y.numpy().tolist() == weight.numpy().tolist() == [0, 0]


MISSING = {"missing_labels": True}


def test_the_masked_task_alone_keeps_its_weights():
    """`fit` on rows whose label "b" is missing leaves the head of b as it was."""
    rows = {"x": [1.0, 2.0, 3.0], "a": [1, 0, 1], "b": [None, None, None]}
    spec = FeatureSpec([X], labels=["a", "b"])
    x = keras.Input((), name="x")
    wide = keras.layers.Reshape((1,))(x)
    heads = {name: keras.layers.Dense(1, name=name)(wide) for name in ("a", "b")}
    model = keras.Model([x], heads)
    losses = {n: keras.losses.BinaryCrossentropy(from_logits=True) for n in heads}
    model.compile("sgd", losses)
    before = {name: model.get_layer(name).get_weights() for name in heads}
    run = model.fit(from_pandas(rows, spec, **MISSING), epochs=2, verbose=0)
    assert np.isfinite(run.history["loss"]).all()
    moved = {
        name: any(
            (new != old).any()
            for new, old in zip(
                model.get_layer(name).get_weights(), before[name], strict=True
            )
        )
        for name in heads
    }
    assert moved == {"a": True, "b": False}


@pytest.mark.parametrize(
    ("rows", "options", "text"),
    [
        (
            {"y": [1, None, None]},
            {},
            'from_pandas: column "y" is a label or weight and must not be missing. '
            "Received: NaN or null in row 1, 2 in all. Drop these rows, or pass "
            "`missing_labels=True` if it is a label",
        ),
        ({"w": [1, None, 2]}, MISSING, 'column "w" is a label or weight and must not'),
        ({"y": [1, np.inf, 2]}, MISSING, "must hold finite float32 numbers. Received:"),
        ({"y": ["a", "b", "c"]}, MISSING, "must hold numbers. Received: string."),
        ({}, {"missing_labels": 1}, "`missing_labels` must be True or False."),
        ({}, {**MISSING, "columns": ["x"]}, "`missing_labels` needs a spec with lab"),
    ],
)
def test_errors(rows, options, text):
    spec = FeatureSpec([X], labels=["y"], weight="w")
    whole = {"x": [1, 2, 3], "y": [0, 1, 1], "w": [1, 1, 1], **rows}
    with raises(text):
        from_pandas(whole, spec, **options)
    if options is MISSING:
        with raises("`missing_labels` needs a spec with labels"):
            from_pandas(whole, FeatureSpec([X]), **options)


def test_structure_does_not_depend_on_the_rows():
    spec = FeatureSpec([X], labels=["y"])
    full = from_pandas({"x": [1], "y": [1]}, spec, **MISSING)
    gaps = from_pandas({"x": [1, 2], "y": [None, 1]}, spec, **MISSING)
    for one, other in itertools.pairwise([full.element_spec, gaps.element_spec]):
        assert one == other
