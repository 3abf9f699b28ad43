import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfrec import export, growth
from tfrec.data import from_pandas
from tfrec.evaluation import top_k
from tfrec.features import Categorical, FeatureSpec, Numeric, Sequence
from tfrec.losses import InBatchSoftmax
from tfrec.models import youtube_dnn
from tfrec.optimizers import RowSparseAdagrad
from tfrec.testing import check_model, planted
from tfrec.testing.layers import quiet_saving

COLUMNS = [
    Sequence("history", of="item_id", max_length=5),
    Categorical("city", side="user", embedding_dim=3),
    Numeric("example_age", side="context", serve=False),
    Categorical("item_id", side="item", embedding_dim=6),
    Categorical("colour", side="item"),
    Numeric("price", side="item"),
]


@pytest.fixture(scope="module")
def rows(frame):
    return frame.assign(example_age=np.linspace(3, 0, len(frame)))


@pytest.fixture(scope="module")
def aged(rows, tmp_path_factory):
    spec = FeatureSpec(COLUMNS, labels=["click"])
    return spec.adapt(rows, tmp_path_factory.mktemp("spec"))


def make(spec, **options):
    options = {"hidden_units": (8, 4), "seed": 1, **options}
    model = youtube_dnn(spec, item_id="item_id", **options)
    model.compile(RowSparseAdagrad(0.2), InBatchSoftmax())
    return model


@pytest.fixture(scope="module")
def x(rows, aged):
    columns, _ = next(iter(from_pandas(rows, aged, batch_size=len(rows))))
    return {name: value.numpy() for name, value in columns.items()}


@pytest.fixture(scope="module")
def fitted(aged, rows):
    model = make(aged)
    batches = from_pandas(rows, aged, batch_size=32)
    model.fit(batches, epochs=3, shuffle=False, verbose=0)
    return model


def weights_of(model, part):
    return [w.numpy().astype(float) for w in model.weights if part in w.path]


def users_by_hand(model, x):
    (items,) = weights_of(model, "embeddings_user_item")
    (cities,) = weights_of(model, "embeddings_user_3")
    mask = (x["history"] != 0)[:, :, None]
    watched = (items[x["history"]] * mask).sum(axis=1)
    watched = watched / np.maximum(mask.sum(axis=1), 1)
    h = np.concatenate([cities[x["city"]], watched, x["example_age"][:, None]], axis=1)
    w1, b1, w2, b2 = weights_of(model, "mlp")
    return np.maximum(np.maximum(h @ w1 + b1, 0) @ w2 + b2, 0)


def test_matches_the_paper(fitted, x):
    wanted = users_by_hand(fitted, x)
    assert wanted.std(axis=0).max() > 1e-3
    found = fitted.user_tower.predict(x, verbose=0)
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5)
    (softmax,) = weights_of(fitted, "softmax")
    items = softmax[x["item_id"]]
    found = fitted.item_tower.predict(x, verbose=0)
    np.testing.assert_allclose(found, items, rtol=1e-5, atol=1e-5)
    found = fitted.predict(x, verbose=0)[:, 0]
    np.testing.assert_allclose(found, (wanted * items).sum(axis=1), atol=1e-5)


def test_unit_vectors(aged, rows, x):
    model = make(aged, temperature=0.1)
    batches = from_pandas(rows, aged, batch_size=32)
    model.fit(batches, epochs=2, shuffle=False, verbose=0)
    (softmax,) = weights_of(model, "softmax")
    users, items = users_by_hand(model, x), softmax[x["item_id"]]
    assert np.linalg.norm(users, axis=1).min() > 0
    users, items = (
        vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        for vectors in (users, items)
    )
    cosines = (users * items).sum(axis=1)
    assert np.ptp(cosines) > 0.1
    found = model.predict(x, verbose=0)[:, 0]
    np.testing.assert_allclose(found, cosines, atol=1e-5)
    wanted = cosines / 0.1 - model.log_q.numpy()[x["item_id"]]
    np.testing.assert_allclose(np.diagonal(model(x)), wanted, rtol=1e-4, atol=1e-4)


def test_the_softmax_has_a_table_of_its_own(fitted):
    tables = {
        side: {w.path for w in tower.weights if "table" in w.path}
        for side, tower in (("user", fitted.user_tower), ("item", fitted.item_tower))
    }
    assert tables["item"] == {"softmax_item_4/table"}
    assert not tables["item"] & tables["user"]
    assert [tensor.name for tensor in fitted.item_tower.inputs] == ["item_id"]


def test_the_order_of_a_history_does_not_matter_and_repeats_count(fitted, x):
    row = {name: value[150:151] for name, value in x.items()}
    a, b = 3, 5

    def user(*ids):
        history = np.array([[*ids, *[0] * (5 - len(ids))]], "int32")
        return fitted.user_tower({**row, "history": history}).numpy()

    np.testing.assert_allclose(user(a, b), user(b, a), atol=1e-6)
    np.testing.assert_allclose(user(a, a, b, b), user(a, b), atol=1e-6)
    assert np.abs(user(a, a, b) - user(a, b)).max() > 1e-6
    assert np.isfinite(user()).all()


def test_saving(fitted, x, tmp_path):
    with quiet_saving():
        fitted.save(tmp_path / "m.keras")
    loaded = keras.models.load_model(tmp_path / "m.keras")
    np.testing.assert_array_equal(loaded(x), fitted(x))


@pytest.mark.slow
def test_contract(aged, rows):
    weighted = dataclasses.replace(aged, weight="weight")
    check_model(lambda: make(weighted, dropout=0.2, unknown_rate=0.1), weighted, rows)


@pytest.mark.slow
def test_the_served_age_is_zero(fitted, aged, rows, x, tmp_path):
    places = export.save(fitted, aged, tmp_path / "youtube", examples=rows)
    served = tf.saved_model.load(str(places["user_tower"]))
    served = served.signatures["serving_default"]
    assert set(served.structured_input_signature[1]) == {"history", "city"}
    few = rows[100:104]
    history = [[*items, *[""] * (5 - len(items))] for items in few["history"]]
    found = served(history=tf.constant(history), city=tf.constant(list(few["city"])))
    now = {name: value[100:104] for name, value in x.items()}
    now["example_age"] = 0 * now["example_age"]
    wanted = fitted.user_tower.predict(now, verbose=0)
    np.testing.assert_allclose(found["user_embedding"], wanted, atol=1e-5)


@pytest.mark.slow
def test_a_grown_vocabulary(fitted, aged, rows, x, tmp_path):
    more = rows[:4].assign(item_id="new")
    grown = growth.extend(fitted, aged, aged.extend(more, tmp_path))
    wanted = fitted.predict(x, verbose=0)
    np.testing.assert_allclose(grown.predict(x, verbose=0), wanted, atol=1e-6)
    sizes = [w.shape[0] for w in grown.item_tower.weights]
    assert sizes == [w.shape[0] + 1 for w in fitted.item_tower.weights]


@pytest.mark.slow
def test_planted_tastes_are_found(tmp_path):
    log = planted.taste_clusters(num_users=60, num_items=40, num_clusters=5)
    columns = [
        Sequence("history", of="item_id", max_length=12),
        Categorical("item_id", side="item", embedding_dim=8),
    ]
    spec = FeatureSpec(columns).adapt(log.frame, tmp_path)
    model = make(spec, hidden_units=(32, 16), unknown_rate=0.0)
    model.compile(RowSparseAdagrad(0.5), InBatchSoftmax())
    rows = from_pandas(log.frame, spec, batch_size=64, shuffle=True)
    model.fit(rows, epochs=20, shuffle=False, verbose=0)
    users = log.users.assign(item_id="")
    items = log.items.assign(history=[()] * len(log.items))
    users, items = (
        tower.predict(from_pandas(part, spec, batch_size=100), verbose=0)
        for tower, part in ((model.user_tower, users), (model.item_tower, items))
    )
    best = top_k(users, items, 8)
    found = np.take_along_axis(log.relevant, best.indices, axis=1).mean()
    assert found > 0.9, found  # guessing gives 0.2


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"hidden_units": 8}, "youtube_dnn: `hidden_units` must be a tuple of ints"),
        ({"hidden_units": ()}, "`hidden_units` must name at least the width of the"),
        ({"activation": "relo"}, "`activation` must be the name of a Keras activation"),
        ({"temperature": 0}, "youtube_dnn: `temperature` must be a number > 0"),
        ({"log_q": 1}, "youtube_dnn: `log_q` must be True or False"),
        ({"dropout": 1}, r"youtube_dnn: `dropout` must be a number in \[0, 1\)"),
        ({"unknown_rate": -1}, r"`unknown_rate` must be a number in \[0, 1\)"),
        ({"seed": "a"}, "`seed` must be an int >= 0"),
    ],
)
def test_bad_arguments(aged, arguments, message):
    with pytest.raises(ValueError, match=message):
        make(aged, **arguments)


def test_bad_specs(aged):
    with pytest.raises(TypeError, match="youtube_dnn: `spec` must be a FeatureSpec"):
        youtube_dnn("spec", item_id="item_id")
    with pytest.raises(TypeError, match="nonsense"):
        youtube_dnn(aged, item_id="item_id", nonsense=1)
    with pytest.raises(ValueError, match='`item_id` must name a Categorical of side "'):
        youtube_dnn(aged, item_id="city")
    message = 'youtube_dnn: `spec` must have a Sequence of the items of "item_id"'
    with pytest.raises(ValueError, match=message):
        youtube_dnn(aged.without("history"), item_id="item_id")
