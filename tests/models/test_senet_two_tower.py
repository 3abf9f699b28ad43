import dataclasses

import keras
import numpy as np
import pytest

from tfrec.data import from_pandas
from tfrec.features import Categorical, FeatureSpec
from tfrec.losses import InBatchSoftmax
from tfrec.models import senet_two_tower
from tfrec.optimizers import RowSparseAdagrad
from tfrec.testing import check_model
from tfrec.testing.layers import quiet_saving


def make(spec, **options):
    options = {"item_id": "item_id", "hidden_units": (8, 4), "seed": 1, **options}
    model = senet_two_tower(spec, **options)
    model.compile(RowSparseAdagrad(0.2), InBatchSoftmax())
    return model


@pytest.fixture(scope="module")
def x(frame, spec):
    columns, _ = next(iter(from_pandas(frame, spec, batch_size=len(frame))))
    return {name: value.numpy() for name, value in columns.items()}


def weights_of(model, *parts):
    return [w.numpy() for w in model.weights if any(part in w.path for part in parts)]


@pytest.mark.parametrize("gate", ["sigmoid", "relu"])
def test_matches_the_paper(spec, x, gate):
    """The item tower by hand: fields, their gates, dense layers, unit length."""
    tower = make(spec, gate=gate, reduction=2).item_tower
    for weight in tower.weights:
        if "number" in weight.path or "table" in weight.path:
            weight.assign(np.random.default_rng(0).normal(size=weight.shape))
    (own,) = weights_of(tower, "embeddings_item_8")
    (shared,) = weights_of(tower, "embeddings_user_item_8")
    (of_numbers,) = weights_of(tower, "number_fields")
    tags, price = own[: own.shape[0] - 5], own[own.shape[0] - 5 :]
    mask = (x["tags"] != 0)[:, :, None]
    pooled = (tags[x["tags"]] * mask).sum(axis=1) / np.maximum(mask.sum(axis=1), 1)
    known = (x["price"] != 0)[:, None]
    fields = [shared[x["item_id"]], pooled, price[x["price"]] * known]
    fields += [x["picture"][:, [k]] * of_numbers[k] for k in range(3)]
    fields = np.stack(fields, axis=1).astype(float)  # (B, F, D)
    w1, w2 = weights_of(tower, "gates")
    assert w1.shape == (6, 3)
    gates = np.maximum(fields.mean(axis=2) @ w1, 0) @ w2
    gates = 1 / (1 + np.exp(-gates)) if gate == "sigmoid" else np.maximum(gates, 0)
    h = (gates[:, :, None] * fields).reshape(len(fields), -1)
    w1, b1, w2, b2 = weights_of(tower, "mlp")
    h = np.maximum(h @ w1 + b1, 0) @ w2 + b2
    wanted = h / np.maximum(np.linalg.norm(h, axis=1, keepdims=True), 1e-6)
    np.testing.assert_allclose(tower.predict(x, verbose=0), wanted, atol=1e-5)


def test_each_tower_has_gates_of_its_own(spec):
    model = make(spec)
    paths = [
        {w.path for w in tower.weights if "gates" in w.path}
        for tower in (model.user_tower, model.item_tower)
    ]
    assert len(paths[0]) == len(paths[1]) == 2 and not paths[0] & paths[1]


@pytest.mark.slow
def test_saving(spec, frame, x, tmp_path):
    model = make(spec)
    rows = from_pandas(frame, spec, batch_size=32)
    losses = model.fit(rows, epochs=3, shuffle=False, verbose=0).history["loss"]
    assert losses[-1] < losses[0]
    with quiet_saving():
        model.save(tmp_path / "m.keras")
    loaded = keras.models.load_model(tmp_path / "m.keras")
    np.testing.assert_array_equal(loaded(x), model(x))


@pytest.mark.slow
def test_contract(spec, frame):
    weighted = dataclasses.replace(spec, weight="weight")
    check_model(lambda: make(weighted, dropout=0.2, unknown_rate=0.1), weighted, frame)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"reduction": 0}, "senet_two_tower: `reduction` must be an int >= 1"),
        ({"squeeze": "sum"}, "`squeeze` must be one of 'mean', 'max'"),
        ({"gate": "tanh"}, "senet_two_tower: `gate` must be one of 'sigmoid', 'relu'"),
        ({"item_id": "city"}, '`item_id` must name a Categorical of side "item"'),
        ({"temperature": 0}, "senet_two_tower: `temperature` must be a number > 0"),
    ],
)
def test_bad_arguments(spec, arguments, message):
    with pytest.raises(ValueError, match=message):
        make(spec, **arguments)
    with pytest.raises(TypeError, match="nonsense"):
        make(spec, nonsense=1)


def test_columns_of_different_width(frame, tmp_path):
    columns = [
        Categorical("user_id", side="user", embedding_dim=4),
        Categorical("item_id", side="item", embedding_dim=8),
    ]
    message = r'senet_two_tower: columns "user_id" \(4\) and "item_id" \(8\) must share'
    with pytest.raises(ValueError, match=message):
        make(FeatureSpec(columns).adapt(frame, tmp_path))
