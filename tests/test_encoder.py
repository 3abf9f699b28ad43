import dataclasses
import math
import re

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from tfrec.data.encode import encode_block
from tfrec.encoder import IdEncoder
from tfrec.features import (
    Bucketized,
    Categorical,
    Crossed,
    FeatureSpec,
    MultiCategorical,
    Numeric,
    NumericSequence,
    Sequence,
    wire,
)
from tfrec.features.carriers import read_columns

# Values that a reader of lines, columns or C strings could get wrong.
WORDS = ["a", " a", "a ", "\ta\t", "a,b", '"a"', "é", "e\u0301", "\u2028", "\x0b"]
WORDS += ["\x85", "\ufeffa", "a\0", "a\0b", "\0", "0", "nan", "x" * 3000, "😀", "-"]
CODES = [0, 7, -2, 2**53 + 1, 2**63 - 1, -(2**63)]
BOUNDS = (-1.5, 0.1, 0.30000001192092896, 16777216.0)

SPEC = FeatureSpec(
    [
        Categorical("word", side="user"),
        Categorical("other", side="item", table="word", padding="-"),
        Categorical("code", side="item", dtype="int64"),
        Categorical("zero", side="item", dtype="int64", table="code", padding=0),
        Categorical("hashed", side="user", hash_buckets=50),
        Categorical("number", side="user", hash_buckets=50, dtype="int64"),
        MultiCategorical("words", side="item", table="word", max_length=3),
        Sequence("others", of="other", max_length=3),
        Sequence("codes", of="code", max_length=2, padding=7),
        Sequence("numbers", of="number", max_length=2),
        Bucketized("hour", side="context", boundaries=BOUNDS),
        Numeric("plain", side="user"),
        Numeric("filled", side="user", fill=0.5, scaling="log1p"),
        Numeric("score", side="item", fill=2, scaling="standard", shift=1, scale=0.3),
        Numeric("vector", side="item", shape=(2,), fill=0.25),
    ]
)


def raises(text, kind=ValueError):
    return pytest.raises(kind, match=re.escape(text))


@pytest.fixture(scope="module")
def spec(tmp_path_factory):
    rows = {name: [] for name in SPEC.names}
    rows |= {"word": WORDS, "other": ["-"] * len(WORDS), "words": [[]] * len(WORDS)}
    codes = CODES * 4
    rows |= {"code": codes[: len(WORDS)], "zero": [0] * len(WORDS)}
    rows |= {"score": [1.0] * len(WORDS)}
    spec = FeatureSpec(
        [Numeric(c.name, side=c.side) if c.name == "score" else c for c in SPEC]
    )
    spec = spec.adapt(rows, tmp_path_factory.mktemp("vocabularies"))
    return FeatureSpec(SPEC.columns, vocabularies=spec.vocabularies)


@pytest.fixture(scope="module")
def encoder(spec):
    return IdEncoder(spec)


class Served(tf.Module):
    """The encoder as a servable has it: one graph of raw values."""

    def __init__(self, encoder):
        super().__init__()
        self.encoder = encoder
        self.traces = 0
        signature = encoder.signature()

        @tf.function(input_signature=[signature])
        def encode(features):
            self.traces += 1
            return encoder(features)

        self.encode = encode


@pytest.fixture(scope="module")
def served(encoder):
    return Served(encoder)


@pytest.fixture(scope="module")
def loaded(served, tmp_path_factory):
    """The same, saved and loaded; the vocabulary files are not asked again."""
    folder = tmp_path_factory.mktemp("saved_model")
    tf.saved_model.save(served, str(folder))
    return tf.saved_model.load(str(folder))


TEXT = st.sampled_from([*WORDS, "", "unseen", "a\n"])
CODE = st.sampled_from([*CODES, -1, 1, 8, 2**63 - 2])
# TensorFlow takes subnormal numbers for 0.
SINGLES = st.floats(
    width=32, allow_nan=False, allow_infinity=False, allow_subnormal=False
)
EDGES = st.sampled_from([*BOUNDS, *np.nextafter(np.float32(BOUNDS), np.float32(9e9))])
NUMBER = st.one_of(SINGLES, EDGES.map(float))
CELLS = {
    **dict.fromkeys(["word", "other", "hashed"], st.none() | TEXT),
    **dict.fromkeys(["code", "zero", "number"], st.none() | CODE),
    **dict.fromkeys(["words", "others"], st.none() | st.lists(st.none() | TEXT)),
    **dict.fromkeys(["codes", "numbers"], st.none() | st.lists(st.none() | CODE)),
    **dict.fromkeys(["hour", "filled", "score"], st.none() | NUMBER),
    "plain": NUMBER,
    "vector": st.none() | st.lists(st.none() | SINGLES, min_size=2, max_size=2),
}


@st.composite
def frames(draw):
    rows = draw(st.integers(1, 4))
    return {
        name: draw(st.lists(cell, min_size=rows, max_size=rows))
        for name, cell in CELLS.items()
    }


def by_hand(spec, name, value):
    """The id of one raw value."""
    column = spec[name]
    if value is None or value == spec.padding_of(column):
        return 0
    if name in ("hashed", "number", "numbers"):
        text = tf.constant(value if isinstance(value, str) else str(value))
        return int(tf.strings.to_hash_bucket_fast(text, 50)) + 2
    known = spec.vocabulary(spec.table_of(column)).values()
    return known.index(value) + 2 if value in known else 1


def expected(spec, name, cells):
    column = spec[name]
    if name == "hour":
        bounds = np.float32(BOUNDS)
        return [
            0 if cell is None else 2 + int((bounds <= np.float32(cell)).sum())
            for cell in cells
        ]
    if name == "vector":
        filled = [cell or [0.25, 0.25] for cell in cells]
        return [[0.25 if v is None else v for v in cell] for cell in filled]
    if isinstance(column, Numeric):
        x = np.float32([column.fill if cell is None else cell for cell in cells])
        if column.scaling == "log1p":
            return np.sign(x) * np.log1p(np.abs(x))
        if column.scaling == "standard":
            with np.errstate(over="ignore"):
                return (x - np.float32(column.shift)) / np.float32(column.scale)
        return x
    if not column.is_list:
        return [by_hand(spec, name, cell) for cell in cells]
    rows = []
    for cell in cells:
        ids = [by_hand(spec, name, value) for value in cell or []]
        ids = [one for one in ids if one][-column.max_length :]
        rows.append([*ids, *[0] * (column.max_length - len(ids))])
    return rows


@pytest.mark.slow
@given(frame=frames())
def test_training_and_serving_make_the_same_ids(spec, encoder, served, loaded, frame):
    columns = read_columns(frame, spec.names)
    trained = encode_block(encoder, columns, owner="test")
    sent = {name: tf.constant(value) for name, value in wire(spec, frame).items()}
    answers = [trained, encoder(sent), served.encode(sent), loaded.encode(sent)]
    for name in spec.names:
        wanted = np.asarray(expected(spec, name, frame[name]))
        for answer in answers:
            found = np.asarray(answer[name])
            assert found.dtype == (np.float32 if spec[name].kind == "numeric" else "i4")
            if found.dtype == np.float32:
                np.testing.assert_allclose(found, wanted, rtol=1e-6, atol=1e-7)
                np.testing.assert_array_equal(found, trained[name])
            else:
                assert found.tolist() == wanted.tolist(), name


def test_ids_are_within_the_table(spec, encoder, served):
    """Whatever comes: nothing downstream sees an id that it cannot look up."""
    words = [*WORDS, "", "no", "\n"]
    codes = [*CODES, -1, 2**40]
    rows = 40
    frame = {name: [None] * rows for name in spec.names} | {"plain": [0.0] * rows}
    frame |= dict.fromkeys(("word", "other", "hashed"), (words * 2)[:rows])
    frame |= dict.fromkeys(("code", "zero", "number"), (codes * 9)[:rows])
    frame["hour"] = np.float32(np.geomspace(1e-30, 3e38, rows)).tolist()
    found = encode_block(encoder, read_columns(frame, spec.names), owner="test")
    for name, table in ((n, spec.table_of(spec[n])) for n in spec.names):
        if table is not None:
            assert 0 <= found[name].min() <= found[name].max() < spec.tables[table].rows


def test_lists_that_are_empty_for_all(spec, encoder):
    """(N, 0) is what a client sends for users without any history."""
    served = Served(encoder)
    names = ("words", "others", "codes", "numbers")
    for rows in (0, 1, 3):
        frame = {name: [None] * rows for name in spec.names} | {"plain": [0.0] * rows}
        sent = wire(spec, frame)
        for name in names:
            sent[name] = np.empty((rows, 0), sent[name].dtype)
        sent = {
            name: tf.constant(value, served.encoder.signature()[name].dtype)
            for name, value in sent.items()
        }
        found = served.encode(sent)
        for name in names:
            assert found[name].numpy().tolist() == [[0] * spec[name].max_length] * rows
    assert served.traces == 1


def test_numpy_arrays_do_as_well(spec, encoder):
    frame = {"word": ["a", "no"], "codes": [[0, 7, 5], []], "hour": [0.1, None]}
    part = IdEncoder(spec, ["hour", "word", "codes"])
    assert part.names == ("word", "codes", "hour")
    found = part(wire(spec, frame, frame))
    assert found["word"].numpy().tolist()[1] == 1
    assert found["codes"].numpy().tolist()[1] == [0, 0]
    assert found["hour"].numpy().tolist() == [4, 0]


def test_extra_features_are_ignored(spec):
    part = IdEncoder(spec, ["word"])
    found = part({"more": tf.constant([1.0]), "word": tf.constant(["a"])})
    assert list(found) == ["word"] and list(part.signature()) == ["word"]


def test_signature(encoder):
    found = {
        n: (s.shape.as_list(), s.dtype.name) for n, s in encoder.signature().items()
    }
    assert found == {
        **dict.fromkeys(["word", "other", "hashed"], ([None], "string")),
        **dict.fromkeys(["code", "zero", "number"], ([None], "int64")),
        **dict.fromkeys(["words", "others"], ([None, None], "string")),
        **dict.fromkeys(["codes", "numbers"], ([None, None], "int64")),
        **dict.fromkeys(["hour", "plain", "filled", "score"], ([None], "float32")),
        "vector": ([None, 2], "float32"),
    }


@pytest.mark.parametrize("edge", [0.1, 0.3, 1 / 3, 1e-30, 1e30, 16777217.0])
def test_a_boundary_belongs_to_the_upper_bucket(edge):
    column = Bucketized("x", side="user", boundaries=(edge,))
    encoder = IdEncoder(FeatureSpec([column]))
    single = np.float32(edge)
    below, above = (np.nextafter(single, np.float32(s * 3e38)) for s in (-1, 1))
    values = np.array([below, single, above, np.nan], np.float32)
    assert encoder({"x": values})["x"].numpy().tolist() == [2, 3, 3, 0]
    # A value that is the boundary as float64 is it as float32 as well.
    block = read_columns({"x": [float(edge), None]}, ["x"])
    assert encode_block(encoder, block, owner="test")["x"].tolist() == [3, 0]


@pytest.mark.parametrize("scaling", ["standard", "min_max"])
def test_scaling(scaling, tmp_path):
    values = np.random.default_rng(0).normal(1000, 3, 500).astype(np.float32)
    spec = FeatureSpec([Numeric("x", side="user", scaling=scaling)])
    spec = spec.adapt({"x": values}, tmp_path)
    found = IdEncoder(spec)({"x": values})["x"].numpy()
    wide = values.astype(np.float64)
    if scaling == "standard":
        wanted = (wide - wide.mean()) / wide.std()
    else:
        wanted = (wide - wide.min()) / np.ptp(wide)
        assert found.min() == 0 and found.max() == pytest.approx(1)
    np.testing.assert_allclose(found, wanted, atol=1e-4)


def test_missing_numbers_in_the_graph():
    """`fill` holds for raw requests too, not only for rows that Python has seen."""
    spec = FeatureSpec(
        [
            Numeric("x", side="user", fill=3.0),
            Numeric("y", side="user", scaling="log1p"),
        ]
    )
    sent = {"x": np.float32([np.nan, 1]), "y": np.float32([-math.e + 1, 0])}
    found = IdEncoder(spec)(sent)
    assert found["x"].numpy().tolist() == [3, 1]
    np.testing.assert_allclose(found["y"], [-1, 0], rtol=1e-6)


def test_hash_buckets():
    spec = FeatureSpec(
        [
            Categorical("s", side="user", hash_buckets=9),
            Categorical("i", side="user", hash_buckets=9, dtype="int64"),
        ]
    )
    texts = [str(number) for number in range(-500, 500)]
    found = IdEncoder(spec)({"s": np.array(texts, object), "i": np.arange(-500, 500)})
    found = {name: ids.numpy().tolist() for name, ids in found.items()}
    assert set(found["s"]) == set(range(2, 11))
    minus_one = 499
    assert found["i"][minus_one] == 0 != found["s"][minus_one]
    del found["i"][minus_one], found["s"][minus_one]
    assert found["i"] == found["s"]


def test_only_needed_vocabularies_are_assets(spec, tmp_path):
    def assets(names):
        folder = tmp_path / "-".join(names)
        tf.saved_model.save(Served(IdEncoder(spec, names)), str(folder))
        return sorted(file.name for file in (folder / "assets").glob("*"))

    assert assets(["others", "plain"]) == ["word.txt"]
    assert assets(["code", "codes", "zero"]) == ["code.txt"]
    assert assets(["hashed", "hour"]) == []


def test_the_vocabulary_is_not_in_the_graph(tmp_path):
    spec = FeatureSpec([Categorical("c", side="user")])
    spec = spec.adapt({"c": [f"value number {n}" for n in range(20_000)]}, tmp_path)
    tf.saved_model.save(Served(IdEncoder(spec)), str(tmp_path / "saved"))
    assert (tmp_path / "saved" / "saved_model.pb").stat().st_size < 100_000


def test_a_saved_model_keeps_its_vocabulary(tmp_path):
    spec = FeatureSpec([Categorical("c", side="user")])
    spec = spec.adapt({"c": ["a", "b"]}, tmp_path / "vocabularies")
    tf.saved_model.save(Served(IdEncoder(spec)), str(tmp_path / "saved"))
    (tmp_path / "vocabularies" / "c.txt").unlink()
    (tmp_path / "saved").rename(tmp_path / "moved")
    loaded = tf.saved_model.load(str(tmp_path / "moved"))
    found = loaded.encode({"c": tf.constant(["b", "a", "c", ""])})
    assert found["c"].numpy().tolist() == [3, 2, 1, 0]


def test_every_good_name_can_be_served(tmp_path):
    """The names that `Column` lets pass are keys of a signature as they are."""
    names = ["Age", "userID", "x_1", "a__b", "args", "kwargs", "features", "inputs"]
    names += ["training", "name", "serving_default", "match", "print", "z" * 100]
    encoder = IdEncoder(FeatureSpec([Numeric(name, side="user") for name in names]))

    def encode(**features):
        return encoder(features)

    concrete = tf.function(encode).get_concrete_function(**encoder.signature())
    module = tf.Module()
    module.encoder = encoder
    tf.saved_model.save(module, str(tmp_path), signatures=concrete)
    served = tf.saved_model.load(str(tmp_path)).signatures["serving_default"]
    sent = {name: tf.constant([float(n)]) for n, name in enumerate(names)}
    assert set(served.structured_input_signature[1]) == set(names)
    found = served(**sent)
    assert {name: values.numpy()[0] for name, values in found.items()} == {
        name: n for n, name in enumerate(names)
    }


def test_errors(spec, encoder, tmp_path):
    with raises("IdEncoder: `spec` must be a FeatureSpec.", TypeError):
        IdEncoder({"word": 1})
    with raises('IdEncoder: column "wrd" must be in the spec. Received: "word", '):
        IdEncoder(spec, ["wrd"])
    with raises('Did you mean "word"?'):
        IdEncoder(spec, ["wrd"])
    with raises('table "word" has no vocabulary yet.'):
        IdEncoder(SPEC)
    with raises('column "x" needs its scaling statistics.'):
        IdEncoder(FeatureSpec([Numeric("x", side="user", scaling="standard")]))
    with raises('column "code" must be one of the row\'s features. Received: "word".'):
        IdEncoder(spec, ["word", "code"])({"word": tf.constant(["a"])})
    with raises('column "hour" must have a vocabulary. Received: bucketized.'):
        encoder.lookup(spec["hour"], tf.constant([1.0]))
    with raises('column "word" must be numeric. Received: categorical.'):
        encoder.numbers(spec["word"], tf.constant([1.0]))


def test_a_changed_vocabulary_is_refused(tmp_path):
    spec = FeatureSpec([Categorical("c", side="user")])
    spec = spec.adapt({"c": ["a", "b"]}, tmp_path)
    (tmp_path / "c.txt").write_text("b\na\n")
    with raises('the file of table "c" has changed.'):
        IdEncoder(spec)


def along_spec(folder):
    spec = FeatureSpec(
        [
            Categorical("city", side="user"),
            Bucketized("hour", side="context", boundaries=(6, 12)),
            Crossed("cross", of=("city", "hour"), side="user", hash_buckets=7),
            Categorical("item", side="item"),
            Sequence("history", of="item", max_length=3),
            Categorical("action", side="context"),
            Sequence("actions", of="action", along="history", max_length=3),
            Bucketized("gap", side="context", boundaries=(1, 10)),
            Sequence("gaps", of="gap", along="history", max_length=3),
            NumericSequence("ages", along="history", scaling="log1p", fill=0),
        ]
    )
    rows = {
        "city": ["a", "b"],
        "item": ["x", "y"],
        "action": ["click", "buy"],
        "hour": [1, 2],
        "gap": [1, 2],
    }
    empty = {name: [[], []] for name in ("history", "actions", "gaps", "ages")}
    return spec.adapt({**rows, **empty}, folder)


CITY = st.sampled_from(["a", "b", "new", "", None])
PLACE = st.tuples(
    st.sampled_from(["x", "y", "new", "", None]),
    st.sampled_from(["click", "buy", "new", "", None]),
    st.sampled_from([0.0, 5.0, 50.0, None]),
    st.sampled_from([0.0, 3.0, None]),
)
ROW = st.tuples(
    CITY, st.sampled_from([3.0, 9.0, 20.0, None]), st.lists(PLACE, max_size=6)
)


@given(rows=st.lists(ROW, min_size=1, max_size=5))
def test_what_goes_along_keeps_its_place(along, rows):
    spec, encoder = along
    lists = [list(zip(*row[2], strict=True)) or [()] * 4 for row in rows]
    frame = {
        "city": [row[0] for row in rows],
        "hour": [row[1] for row in rows],
        "item": ["x"] * len(rows),
        "action": ["buy"] * len(rows),
        "gap": [0.0] * len(rows),
    }
    for number, name in enumerate(("history", "actions", "gaps", "ages")):
        frame[name] = [list(row[number]) for row in lists]
    names = encoder.raw_names
    trained = encode_block(encoder, read_columns(frame, names), owner="test")
    served = {k: v.numpy() for k, v in encoder(wire(spec, frame)).items()}
    for name, values in trained.items():
        np.testing.assert_array_equal(values, served[name], err_msg=name)
    items = {"x": 2, "y": 3, "new": 1}
    actions = {"click": 3, "buy": 2, "new": 1, "": 1, None: 1}
    gaps = {0.0: 2, 5.0: 3, 50.0: 4, None: 1}
    for row, (_, _, places) in enumerate(rows):
        kept = [place for place in places if place[0]][-3:]
        fill = [0] * (3 - len(kept))
        assert trained["history"][row].tolist() == [items[p[0]] for p in kept] + fill
        assert trained["actions"][row].tolist() == [actions[p[1]] for p in kept] + fill
        assert trained["gaps"][row].tolist() == [gaps[p[2]] for p in kept] + fill
        ages = [np.log1p(p[3] or 0) for p in kept] + fill
        np.testing.assert_allclose(trained["ages"][row], ages, rtol=1e-6)
    known = [bool(row[0]) and row[1] is not None for row in rows]
    assert [cross > 1 for cross in trained["cross"]] == known
    assert trained["cross"].max() < 9


@pytest.fixture(scope="module")
def along(tmp_path_factory):
    spec = along_spec(tmp_path_factory.mktemp("along"))
    return spec, IdEncoder(spec)


def test_lists_of_unequal_length_are_refused(along):
    spec, _ = along
    rows = {
        "history": [["x"], ["x", "y"]],
        "actions": [["buy"], ["buy"]],
    }
    text = 'column "actions" must have lists as long as those of "history"'
    with pytest.raises(ValueError, match=text + ".*1 and 2 values in row 1"):
        wire(spec, rows, ["history", "actions"])


def test_missing_numbers_matter_only_where_a_value_stands(along):
    spec, _ = along
    strict = dataclasses.replace(
        spec,
        columns=[
            dataclasses.replace(c, fill=None) if c.name == "ages" else c for c in spec
        ],
    )
    padded = {"history": [["x", ""]], "ages": [[1.0, None]]}
    assert wire(strict, padded, ["ages", "history"])["ages"].tolist() == [[1.0]]
    with pytest.raises(ValueError, match='column "ages" must not be missing'):
        wire(strict, {"history": [["x", "y"]], "ages": [[1.0, None]]}, ["ages"])
