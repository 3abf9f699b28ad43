import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy.stats import spearmanr

from tfrec.layers import StreamingFrequency
from tfrec.losses import InBatchSoftmax
from tfrec.models import TwoTower
from tfrec.testing.layers import quiet_saving

RANDOM = np.random.default_rng(0)
DIM = 3
TEMPERATURE = 0.5
COUNTED = np.log(RANDOM.dirichlet(np.ones(9))).astype("float32")
BATCH = {
    "u": RANDOM.normal(size=(8, DIM)).astype("float32"),
    "v": RANDOM.normal(size=(8, DIM)).astype("float32"),
    "item": np.array([3, 5, 3, 0, 2, 8, 1, 5], "int32"),
}


def identity(name):
    inputs = keras.Input((DIM,), name=name)
    return keras.Model([inputs], keras.layers.Identity()(inputs), name=f"of_{name}")


def model_of(**options):
    """Towers that give the vectors they are given: only the scores are at work."""
    options = {"item_id": "item", "temperature": TEMPERATURE, **options}
    model = TwoTower(identity("u"), identity("v"), **options)
    model.compile("sgd", InBatchSoftmax())
    return model


def loss_of(model, x=BATCH, y=None, weight=None):
    y = np.ones(len(x["item"]), "float32") if y is None else y
    rows = len(x["item"])
    return model.evaluate(x, y, sample_weight=weight, batch_size=rows, verbose=0)


def rows(*places, x=BATCH):
    return {name: value[list(places)] for name, value in x.items()}


def by_hand(x, log_q, reward, weight):
    """The double loop of section 4; weight 0 and id 0 are absent altogether."""
    u, v, ids = x["u"].astype(float), x["v"].astype(float), x["item"]
    here = [i for i in range(len(ids)) if ids[i] != 0 and weight[i] != 0]
    total = 0.0
    for i in here:
        scores = {}
        for j in here:
            if j != i and ids[j] == ids[i]:
                continue  # an accidental hit
            scores[j] = u[i] @ v[j] / TEMPERATURE - log_q[ids[j]]
        norm = np.log(sum(np.exp(score) for score in scores.values()))
        total += weight[i] * reward[i] * (norm - scores[i])
    return total / sum(weight[i] for i in here)


@pytest.mark.parametrize("log_q", [None, COUNTED])
def test_matches_the_paper(log_q):
    used = np.zeros(9) if log_q is None else log_q
    reward = RANDOM.uniform(size=8).astype("float32")
    weight = np.float32([1, 2, 0, 1, 0.5, 3, 0, 1])
    model = model_of(log_q=log_q)
    for r, w in (
        (np.ones(8), None),
        (reward, None),
        (np.ones(8), weight),
        (reward, weight),
    ):
        wanted = by_hand(BATCH, used, r, np.ones(8) if w is None else w)
        found = loss_of(model, y=r.astype("float32"), weight=w)
        np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5)


def test_scores_have_the_temperature_before_the_correction():
    scores = model_of(log_q=COUNTED)(BATCH).numpy()
    ids = BATCH["item"]
    for i in range(8):
        for j in range(8):
            wanted = BATCH["u"][i] @ BATCH["v"][j] / TEMPERATURE - COUNTED[ids[j]]
            if i != j and (ids[i] == ids[j] or ids[j] == 0):
                wanted = -1e9
            np.testing.assert_allclose(scores[i, j], wanted, rtol=1e-5, atol=1e-5)


def test_a_row_of_weight_0_is_absent_as_row_and_as_column():
    model = model_of(log_q=COUNTED)
    weight = np.float32([1, 0, 1, 1, 0, 1, 1, 1])
    kept = [i for i in range(8) if weight[i]]
    np.testing.assert_allclose(
        loss_of(model, weight=weight),
        loss_of(model, rows(*kept), weight=weight[kept]),
        rtol=1e-6,
    )
    assert loss_of(model, weight=np.zeros(8, "float32")) == 0


def test_padding_is_absent_as_row_and_as_column():
    model = model_of(log_q=COUNTED)
    kept = [i for i in range(8) if BATCH["item"][i] != 0]
    np.testing.assert_allclose(loss_of(model), loss_of(model, rows(*kept)), rtol=1e-6)


def test_no_negatives_no_loss():
    model = model_of(log_q=COUNTED)
    assert loss_of(model, rows(0)) == 0
    same = {**BATCH, "item": np.full(8, 3, "int32")}
    assert loss_of(model, same) == 0


def test_a_constant_added_to_all_log_q_changes_nothing():
    found = loss_of(model_of(log_q=COUNTED + 3))
    np.testing.assert_allclose(found, loss_of(model_of(log_q=COUNTED)), rtol=1e-5)


def test_ids_outside_log_q_count_as_unknown():
    strange = {**BATCH, "item": np.array([3, 5, 4, 0, 2, 8, 1_000_000, 6], "int32")}
    known = np.concatenate([COUNTED, COUNTED])
    unknown = {**strange, "item": np.where(strange["item"] == 1_000_000, 10, 0)}
    unknown["item"] += np.where(strange["item"] == 1_000_000, 0, strange["item"])
    known[10] = COUNTED[1]
    found = loss_of(model_of(log_q=COUNTED), strange)
    np.testing.assert_allclose(found, loss_of(model_of(log_q=known), unknown))


def test_long_ids_do_not_wrap():
    wide = {**BATCH, "item": BATCH["item"].astype("int64") + 2**40}
    other = {**BATCH, "item": BATCH["item"] + 20}
    np.testing.assert_allclose(loss_of(model_of(), wide), loss_of(model_of(), other))


def test_log_q_makes_the_batch_like_the_whole_catalogue():
    """Mean in-batch softmax weight of each item against the full softmax."""
    random = np.random.default_rng(1)
    items, batch = 200, 128
    q = 1 / np.arange(1, items + 1)
    q /= q.sum()
    v = random.normal(size=(items, DIM)).astype("float32")
    v /= np.linalg.norm(v, axis=1, keepdims=True)
    u = np.tile(0.75 * v[:1], (batch, 1))
    full = np.exp(v @ u[0] / TEMPERATURE)
    full /= full.sum()
    log_q = np.concatenate([[0, 0], np.log(q)])
    found = {}
    for name, correction in {"with": log_q, "without": None, "flipped": -log_q}.items():
        model = model_of(log_q=correction)
        score = tf.function(model)
        mass = np.zeros(items)
        for _ in range(300):
            drawn = random.choice(items, batch, p=q)
            x = {"u": u, "v": v[drawn], "item": (drawn + 2).astype("int32")}
            p = keras.ops.softmax(score(x), axis=1)
            np.add.at(mass, drawn, np.sum(p, axis=0))
        mass /= mass.sum()
        found[name] = np.abs(mass - full).sum(), spearmanr(mass, full)[0]
    gap, ranks = found["with"]
    assert gap < 0.25 and ranks > 0.95
    for name in ("without", "flipped"):
        gap, ranks = found[name]
        assert gap > 0.8 and ranks < 0.8


def test_the_stream_corrects_as_the_layer_says():
    """Counted first, then subtracted; absent rows are not counted."""
    layer, alone = (StreamingFrequency(50, 2, 0.1, 10.0) for _ in range(2))
    model = model_of(log_q=layer)
    weight = np.float32([1, 1, 1, 1, 0, 1, 1, 1])
    kept = [i for i in range(8) if weight[i] and BATCH["item"][i]]
    x = {name: tf.constant(value) for name, value in BATCH.items()}
    with pytest.warns(UserWarning, match="does not have any trainable weights"):
        for _ in range(3):
            found = model.train_on_batch(x, np.ones(8, "float32"), sample_weight=weight)
            log_p = alone(BATCH["item"][kept], training=True).numpy()
    used = np.zeros(9)
    used[BATCH["item"][kept]] = log_p
    wanted = by_hand(BATCH, used, np.ones(8), weight)
    np.testing.assert_allclose(found, wanted, rtol=1e-5)
    np.testing.assert_allclose(layer.gap, alone.gap)
    before = layer.gap.numpy()
    assert np.isfinite(loss_of(model))
    np.testing.assert_array_equal(layer.gap, before)
    assert int(layer.step) == 3


def test_a_category_outside_the_towers():
    model = model_of(category="kind", alignment=2.0)
    rows = {**BATCH, "kind": np.array([1, 1, 1, 3, 2, 2, 2, 1], "int32")}
    y, weight = np.ones(8, "float32"), np.float32([1, 1, 1, 1, 1, 1, 0, 1])
    found = model.evaluate(
        rows, y, sample_weight=weight, batch_size=8, verbose=0, return_dict=True
    )
    v = BATCH["v"].astype(float)
    # Row 3 is padding and row 6 has weight 0.
    gap = np.cov(v[[0, 1, 2, 7]].T) - np.cov(v[[4, 5]].T)
    np.testing.assert_allclose(found["alignment"], np.sum(gap**2), rtol=1e-5)
    alone = loss_of(model_of(), weight=weight)
    np.testing.assert_allclose(found["loss"], alone + 2 * np.sum(gap**2), rtol=1e-5)
    with pytest.raises(ValueError, match='column "kind" must be one of the row'):
        model(BATCH)


def test_predict_gives_each_row_its_own_score():
    model = model_of(log_q=COUNTED)
    wanted = np.sum(BATCH["u"] * BATCH["v"], axis=1, keepdims=True)
    for size in (3, 8, 100):
        found = model.predict(BATCH, batch_size=size, verbose=0)
        np.testing.assert_allclose(found, wanted, rtol=1e-6, atol=1e-6)


def test_saving(tmp_path):
    model = model_of(log_q=COUNTED, name="other")
    with quiet_saving():
        model.save(tmp_path / "m.keras")
    loaded = keras.models.load_model(tmp_path / "m.keras")
    assert (loaded.name, loaded.item_id, loaded.temperature) == ("other", "item", 0.5)
    assert loaded.user_tower.name == "of_u"
    np.testing.assert_array_equal(loaded.log_q, COUNTED)
    np.testing.assert_array_equal(loaded(BATCH), model(BATCH))
    assert loss_of(loaded) == loss_of(model)
    assert loaded.get_config() == model.get_config()


def test_a_missing_column_is_named():
    for name in ("u", "v", "item"):
        row = {key: value for key, value in BATCH.items() if key != name}
        message = f'TwoTower: column "{name}" must be one of the row\'s features'
        with pytest.raises(ValueError, match=message):
            model_of()(row)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"item_id": ""}, "TwoTower: `item_id` must be a non-empty string"),
        ({"temperature": 0}, "`temperature` must be a number > 0. Received: "),
        ({"log_q": [0.0, -np.inf]}, "`log_q` must be a vector of >= 2 finite numbers"),
        ({"log_q": [[0.0, 1.0]]}, "`log_q` must be a vector of >= 2 finite numbers"),
        ({"alignment": -1}, "TwoTower: `alignment` must be a number >= 0"),
        ({"category": ""}, "TwoTower: `category` must be a non-empty string"),
        ({"nonsense": 1}, "nonsense"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        model_of(**arguments)


def test_a_clone_keeps_the_correction():
    model = model_of(log_q=COUNTED)
    again = keras.models.clone_model(model)
    np.testing.assert_array_equal(again.log_q, model.log_q)
    np.testing.assert_array_equal(again.log_q, COUNTED)
    assert keras.models.clone_model(model_of(log_q=None)).num_items is None
