import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfrec import export, growth
from tfrec.data import from_pandas
from tfrec.evaluation import top_k
from tfrec.features import Categorical, FeatureSpec, Numeric, Sequence
from tfrec.layers import LabelAwareAttention
from tfrec.losses import InBatchSoftmax
from tfrec.models import TwoTower, mind, youtube_dnn
from tfrec.optimizers import RowSparseAdagrad
from tfrec.testing import check_model, planted
from tfrec.testing.layers import quiet_saving

DIM = 6
COLUMNS = [
    Categorical("city", side="context", embedding_dim=3),
    Numeric("age", side="user"),
    Sequence("history", of="item_id", max_length=5),
    Sequence("shops", of="shop", along="history", max_length=5),
    Sequence("cities", of="city", along="history", max_length=5),
    Categorical("item_id", side="item", embedding_dim=DIM),
    Categorical("shop", side="item", embedding_dim=DIM),
    Numeric("price", side="item"),
]


@pytest.fixture(scope="module")
def rows(frame):
    log = frame.assign(shop=["s" + item[-1] for item in frame["item_id"]])
    log["shops"] = [tuple("s" + i[-1] for i in items) for items in log["history"]]
    log["cities"] = [tuple("city1" for _ in items) for items in log["history"]]
    return log


@pytest.fixture(scope="module")
def wide(rows, tmp_path_factory):
    spec = FeatureSpec(COLUMNS, labels=["click"])
    return spec.adapt(rows, tmp_path_factory.mktemp("spec"))


def make(spec, **options):
    options = {"hidden_units": (8,), "num_interests": 3, "seed": 1, **options}
    model = mind(spec, item_id="item_id", **options)
    model.compile(RowSparseAdagrad(0.2), InBatchSoftmax())
    return model


def arrays(rows, spec):
    columns, _ = next(iter(from_pandas(rows, spec, batch_size=len(rows))))
    return {name: value.numpy() for name, value in columns.items()}


@pytest.fixture(scope="module")
def x(rows, wide):
    return arrays(rows, wide)


@pytest.fixture(scope="module")
def fitted(wide, rows):
    model = make(wide)
    batches = from_pandas(rows, wide, batch_size=32)
    model.fit(batches, epochs=4, shuffle=False, verbose=0)
    return model


def looked_up(model, spec, x):
    """The vectors of all columns with a table, by name, in float64."""
    weights = {w.path: w.numpy().astype(float) for w in model.weights}
    found, starts = {}, {}
    for table in spec.tables.values():
        path = f"embeddings_{'_'.join(table.sides)}_{table.embedding_dim}/table"
        start = starts.get(path, 0)
        starts[path] = start + table.rows
        vectors = weights[path][start : start + table.rows]
        vectors[0] = 0
        found.update({column: vectors[x[column]] for column in table.columns})
    return found


def weights_of(model, part):
    return [w.numpy().astype(float) for w in model.weights if part in w.path]


def squash(z):
    size = np.linalg.norm(z, axis=-1, keepdims=True)
    return size * z / (1 + size**2)


def interests_by_hand(model, spec, x, row):
    v = looked_up(model, spec, x)
    real = np.flatnonzero(x["history"][row])[-5:]  # the newest
    behaviours = (v["history"][row, real] + v["shops"][row, real]) / 2
    kernel, b = weights_of(model, "mind_capsules")
    alive = max(1, min(3, int(np.log2(max(len(real), 1)))))
    votes, b = behaviours @ kernel, b[: len(real), :alive]
    for _ in range(3):
        w = np.exp(b) / np.exp(b).sum(axis=1, keepdims=True)
        capsules = squash(w.T @ votes)
        b = b + votes @ capsules.T
    count = max((x["cities"][row] != 0).sum(), 1)
    profile = [v["city"][row], v["cities"][row].sum(axis=0) / count, [x["age"][row]]]
    w1, b1, w2, b2 = weights_of(model, "mind_interests")
    out = np.zeros((3, DIM))
    for j in range(alive):
        h = np.concatenate([capsules[j], *profile])
        out[j] = np.maximum(h @ w1 + b1, 0) @ w2 + b2
    return out, alive


def test_matches_the_paper(fitted, wide, x):
    vectors, alive = fitted.user_tower.predict(x, verbose=0)
    lengths = (x["history"] != 0).sum(axis=1)
    assert set(lengths) == {0, 1, 2, 3} and alive.max() == 1
    # Twice as long, with gaps: more than one interest, and steps left out.
    longer = {n: np.tile(v, (1, 2)) if v.ndim == 2 else v for n, v in x.items()}
    for columns in (x, longer):
        vectors, alive = fitted.user_tower.predict(columns, verbose=0)
        for row in (0, 50, 90, 130, 159):
            wanted, count = interests_by_hand(fitted, wide, columns, row)
            np.testing.assert_allclose(vectors[row], wanted, rtol=1e-5, atol=1e-5)
            assert alive[row] == count
    assert alive.max() == 2


def test_unit_vectors(wide, x):
    """The weights of a model without: only the last step differs."""
    unit, free = make(wide, temperature=0.2), make(wide)
    unit.set_weights(free.get_weights())
    longer = {n: np.tile(v, (1, 2)) if v.ndim == 2 else v for n, v in x.items()}
    vectors, alive = free.user_tower.predict(longer, verbose=0)
    items = free.item_tower.predict(longer, verbose=0)
    found, same = unit.user_tower.predict(longer, verbose=0)
    assert (same == alive).all() and alive.max() == 2
    lengths = np.linalg.norm(vectors, axis=2, keepdims=True)
    wanted = np.divide(vectors, lengths, out=0 * vectors, where=lengths > 0)
    np.testing.assert_allclose(found, wanted, atol=1e-5)
    items = items / np.linalg.norm(items, axis=1, keepdims=True)
    cosines = np.einsum("bkd,bd->bk", wanted, items)
    cosines[np.arange(3) >= alive[:, None]] = -np.inf
    best = cosines.max(axis=1)
    scores = unit.predict(longer, verbose=0)[:, 0]
    np.testing.assert_allclose(scores, best, atol=1e-5)
    wanted = best / 0.2 - unit.log_q.numpy()[x["item_id"]]
    np.testing.assert_allclose(np.diagonal(unit(longer)), wanted, rtol=1e-4, atol=1e-4)


def test_an_item_is_the_mean_of_its_fields(fitted, wide, x):
    v = looked_up(fitted, wide, x)
    (number,) = weights_of(fitted, "mind_item_number_fields")
    wanted = (v["item_id"] + v["shop"] + x["price"][:, None] * number) / 3
    found = fitted.item_tower.predict(x, verbose=0)
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5)


def test_a_tower_reads_its_own_side_only(fitted):
    of_user = [tensor.name for tensor in fitted.user_tower.inputs]
    assert of_user == ["city", "age", "history", "shops", "cities"]
    of_item = [tensor.name for tensor in fitted.item_tower.inputs]
    assert of_item == ["item_id", "shop", "price"]


def test_an_empty_history_leaves_the_profile(fitted, x):
    empty = {n: 0 * v if v.ndim == 2 else v for n, v in x.items()}
    vectors, alive = fitted.user_tower.predict(empty, verbose=0)
    assert (alive == 1).all() and not vectors[:, 1:].any()
    assert vectors[:, 0].any(axis=1).all() and np.ptp(vectors[:, 0], axis=0).any()


def test_saving(fitted, rows, wide, x, tmp_path):
    with quiet_saving():
        fitted.save(tmp_path / "m.keras")
    loaded = keras.models.load_model(tmp_path / "m.keras")
    np.testing.assert_array_equal(loaded(x), fitted(x))
    np.testing.assert_array_equal(
        loaded.predict(x, verbose=0), fitted.predict(x, verbose=0)
    )
    assert loaded.user_tower.output_shape == fitted.user_tower.output_shape


@pytest.mark.slow
def test_contract(wide, rows):
    weighted = dataclasses.replace(wide, weight="weight")
    check_model(lambda: make(weighted, dropout=0.2, unknown_rate=0.1), weighted, rows)


@pytest.mark.slow
def test_export(fitted, wide, rows, x, tmp_path):
    places = export.save(fitted, wide, tmp_path / "mind", examples=rows)
    served = {
        name: tf.saved_model.load(str(place)).signatures["serving_default"]
        for name, place in places.items()
    }
    few = rows[100:108]
    answers = {}
    for name, function in served.items():
        tensors = {}
        for key, spec in function.structured_input_signature[1].items():
            values = few[key].tolist()
            if spec.shape.rank == 2:
                width = max(len(value) for value in values)
                values = [[*value, *[""] * (width - len(value))] for value in values]
            tensors[key] = tf.constant(values, spec.dtype)
        answers[name] = {k: v.numpy() for k, v in function(**tensors).items()}
    vectors = answers["user_tower"]["user_embedding"]
    alive = answers["user_tower"]["num_interests"]
    assert vectors.shape == (8, 3, DIM) and alive.dtype == np.int32
    items = answers["item_tower"]["item_embedding"]
    scores = np.einsum("bkd,bd->bk", vectors, items)
    scores[np.arange(3) >= alive[:, None]] = -np.inf
    wanted = fitted.predict({n: v[100:108] for n, v in x.items()}, verbose=0)
    np.testing.assert_allclose(scores.max(axis=1), wanted[:, 0], atol=1e-5)


@pytest.mark.slow
def test_a_grown_vocabulary(fitted, wide, rows, x, tmp_path):
    more = rows[:4].assign(item_id="new")
    grown = growth.extend(fitted, wide, wide.extend(more, tmp_path))
    wanted = fitted.predict(x, verbose=0)
    np.testing.assert_allclose(grown.predict(x, verbose=0), wanted, atol=1e-6)


def recall(model, log, spec):
    """Share of each user's relevant items among as many best."""
    users = log.users.assign(item_id="")
    items = log.items.assign(history=[()] * len(log.items))
    vectors, items = (
        tower.predict(from_pandas(rows, spec, batch_size=500), verbose=0)
        for tower, rows in ((model.user_tower, users), (model.item_tower, items))
    )
    alive = None
    if isinstance(vectors, (list, tuple)):
        vectors, alive = vectors
    known = log.relevant.sum(axis=1)[0]
    best = top_k(vectors, items, known, num_interests=alive)
    assert (best.counts == known).all()  # an item counts once, whoever finds it
    return np.take_along_axis(log.relevant, best.indices, axis=1).mean()


@pytest.mark.slow
def test_two_tastes_that_one_vector_cannot_rank(tmp_path):
    log = planted.two_tastes()
    columns = [
        Sequence("history", of="item_id", max_length=12),
        Categorical("item_id", side="item", embedding_dim=3),
    ]
    spec = FeatureSpec(columns).adapt(log.frame, tmp_path)
    options = {"item_id": "item_id", "unknown_rate": 0.0, "seed": 1}
    found = {}
    for name, model in {
        "mind": mind(spec, hidden_units=(32,), num_interests=4, **options),
        "one": mind(spec, hidden_units=(32,), num_interests=1, **options),
        "youtube": youtube_dnn(spec, hidden_units=(32, 3), **options),
    }.items():
        model.compile(RowSparseAdagrad(1.0), InBatchSoftmax())
        rows = from_pandas(log.frame, spec, batch_size=256, shuffle=True)
        model.fit(rows, epochs=60, shuffle=False, verbose=0)
        found[name] = recall(model, log, spec)
    assert found["mind"] > 0.85, found
    assert max(found["one"], found["youtube"]) < 0.75, found


RANDOM = np.random.default_rng(0)
BATCH = {
    "u": RANDOM.normal(size=(6, 3, 4)).astype("float32"),
    "n": np.array([3, 1, 2, 3, 1, 2], "int32"),
    "v": RANDOM.normal(size=(6, 4)).astype("float32"),
    "item": np.array([3, 5, 3, 2, 4, 6], "int32"),
}
LOG_Q = np.log(RANDOM.dirichlet(np.ones(9))).astype("float32")


def identity(*shapes):
    """A tower that gives what it is given."""
    inputs = [
        keras.Input(shape, name=name, dtype=dtype) for name, shape, dtype in shapes
    ]
    outputs = [keras.layers.Identity(dtype=x.dtype)(x) for x in inputs]
    return keras.Model(inputs, outputs if len(outputs) > 1 else outputs[0])


U, N, V = ("u", (3, 4), "float32"), ("n", (), "int32"), ("v", (4,), "float32")


def plain(of_user=(U, N), attention="hard", power=None, **options):
    attention = LabelAwareAttention(attention, power)
    options = {"item_id": "item", "temperature": 0.5, "log_q": LOG_Q, **options}
    model = TwoTower(identity(*of_user), identity(V), attention=attention, **options)
    model.compile("sgd", InBatchSoftmax())
    return model


@pytest.mark.parametrize("attention, power", [("hard", None), ("pow", 2), ("scale", 1)])
@pytest.mark.parametrize("of_user", [(U, N), (U,)])
def test_a_row_reads_its_interests_with_its_own_item(attention, power, of_user):
    scores = plain(of_user, attention, power)(BATCH).numpy()
    ids = BATCH["item"]
    for i in range(6):
        live = BATCH["u"][i, : BATCH["n"][i] if len(of_user) > 1 else 3].astype(float)
        x = live @ BATCH["v"][i]
        if attention == "hard":
            u = live[np.argmax(x)]
        else:
            g = np.sign(x) * x**2 if attention == "pow" else x
            u = np.exp(g) / np.exp(g).sum() @ live
        for j in range(6):
            wanted = u @ BATCH["v"][j] / 0.5 - LOG_Q[ids[j]]
            if i != j and ids[i] == ids[j]:
                wanted = -1e9
            np.testing.assert_allclose(scores[i, j], wanted, rtol=1e-4, atol=1e-4)


def test_predict_takes_the_best_live_interest():
    away = {**BATCH, "u": -np.abs(BATCH["u"]), "v": np.abs(BATCH["v"])}
    away["u"] = away["u"] * (np.arange(3) < away["n"][:, None])[:, :, None]
    for x in (BATCH, away):  # dead interests are zero, and better than all below 0
        found = plain().predict(x, batch_size=4, verbose=0)
        for i in range(6):
            wanted = (x["u"][i, : x["n"][i]] @ x["v"][i]).max()
            np.testing.assert_allclose(found[i, 0], wanted, rtol=1e-5)
    assert (found < 0).all()


def test_saving_the_attention(tmp_path):
    for of_user in ((U, N), (U,)):
        model = plain(of_user, "pow", 3)
        with quiet_saving():
            model.save(tmp_path / "m.keras")
        loaded = keras.models.load_model(tmp_path / "m.keras")
        assert (loaded.attention.mode, loaded.attention.power) == ("pow", 3)
        np.testing.assert_array_equal(loaded(BATCH), model(BATCH))
        assert len(loaded.user_tower.outputs) == len(of_user)


@pytest.mark.parametrize(
    "of_user, arguments, message",
    [
        ((U,), {"attention": None}, "Pass `attention` for a user tower of several"),
        (
            (V,),
            {},
            r"TwoTower: `towers` must end in \(batch, interests, dim\), with or with",
        ),
        ((U, V), {}, "with or without"),
        (
            (U,),
            {"augmented": (1, 2)},
            "`augmented` must be None with `attention`: they mimic a single vector",
        ),
    ],
)
def test_bad_towers(of_user, arguments, message):
    names = iter("abc")
    of_user = [(next(names), *rest) for _, *rest in of_user]
    options = {"attention": LabelAwareAttention(), "item_id": "item", **arguments}
    with pytest.raises(ValueError, match=message):
        TwoTower(identity(*of_user), identity(V), **options)


def test_an_attention_is_a_layer_of_its_kind():
    message = "TwoTower: `attention` must be a LabelAwareAttention or None"
    with pytest.raises(TypeError, match=message):
        TwoTower(identity(U), identity(V), item_id="item", attention="hard")


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"num_interests": 0}, "mind: `num_interests` must be an int >= 1"),
        ({"num_rounds": 0}, "mind: `num_rounds` must be an int >= 1"),
        ({"hidden_units": 8}, "mind: `hidden_units` must be a tuple of ints >= 1"),
        ({"activation": "relo"}, "`activation` must be the name of a Keras activation"),
        ({"last_activation": "x"}, "`last_activation` must be the name of a Keras"),
        (
            {"attention": "soft"},
            "mind: `attention` must be one of 'hard', 'pow'",
        ),
        ({"power": 2}, "`power` must be None with mode 'hard'"),
        ({"temperature": -1}, "mind: `temperature` must be a number > 0"),
        ({"log_q": 1}, "mind: `log_q` must be True or False"),
        ({"dropout": 1}, r"mind: `dropout` must be a number in \[0, 1\)"),
        ({"unknown_rate": -1}, r"mind: `unknown_rate` must be a number in \[0, 1\)"),
        (
            {"history": "cities"},
            'mind: `history` must name a Sequence of the items of "item_id". Received: '
            r"history='cities' \(str\). The spec has \"history\".",
        ),
    ],
)
def test_bad_arguments(wide, arguments, message):
    with pytest.raises(ValueError, match=message):
        make(wide, **arguments)


def test_bad_specs(wide, rows, tmp_path):
    with pytest.raises(TypeError, match="mind: `spec` must be a FeatureSpec"):
        mind("spec", item_id="item_id")
    with pytest.raises(TypeError, match="nonsense"):
        mind(wide, item_id="item_id", nonsense=1)
    with pytest.raises(ValueError, match='`item_id` must name a Categorical of side "'):
        mind(wide, item_id="city")
    message = 'mind: `spec` must have a Sequence of the items of "item_id"'
    with pytest.raises(ValueError, match=message):
        mind(wide.without("history", "shops", "cities"), item_id="item_id")
    narrow = [dataclasses.replace(COLUMNS[6], embedding_dim=4)]
    narrow = FeatureSpec([*COLUMNS[:6], *narrow]).adapt(rows, tmp_path)
    message = r'columns "item_id" \(6\) and "shop" \(4\) must share `embedding_dim`'
    with pytest.raises(ValueError, match=message):
        mind(narrow, item_id="item_id")


def test_which_history(rows, tmp_path):
    columns = [*COLUMNS[5:6], *(Sequence(name, of="item_id") for name in ("a", "b"))]
    log = rows.assign(a=rows["history"], b=rows["history"])
    spec = FeatureSpec(columns).adapt(log, tmp_path)
    message = r'`history` must name a Sequence.*history=None.*The spec has "a", "b"\.'
    with pytest.raises(ValueError, match=message):
        mind(spec, item_id="item_id")
    model = make(spec, history="b")
    x = arrays(log, spec)
    _, alive = model.user_tower.predict({**x, "b": np.tile([3], (160, 8))}, verbose=0)
    assert (alive == 3).all()
    _, alive = model.user_tower.predict({**x, "a": np.tile([3], (160, 8))}, verbose=0)
    assert alive.max() == 1
