"""A small log with every kind of column, and specs of it."""

import numpy as np
import pytest

from tfrec.data import from_pandas
from tfrec.embeddings import EmbeddingTable
from tfrec.features import (
    Bucketized,
    Categorical,
    FeatureSpec,
    MultiCategorical,
    Numeric,
    Sequence,
)
from tfrec.testing import planted

COLUMNS = [
    Categorical("user_id", side="user", embedding_dim=8),
    Sequence("history", of="item_id", max_length=5),
    Numeric("age", side="user"),
    Categorical("city", side="context", embedding_dim=8),
    Categorical("item_id", side="item", embedding_dim=8),
    MultiCategorical("tags", side="item", embedding_dim=8, separator="|"),
    Bucketized("price", side="item", boundaries=(1.0, 2.0), embedding_dim=8),
    Numeric("picture", side="item", shape=(3,)),
]


@pytest.fixture(scope="session")
def frame():
    log = planted.taste_clusters(num_users=40, num_items=30, events=4, seed=1).frame
    random = np.random.default_rng(2)
    rows = len(log)
    log["age"] = random.normal(size=rows).astype("float32")
    log["tags"] = random.choice(["", "new", "new|red", "red"], rows)
    log["price"] = random.uniform(0, 3, rows)
    log["picture"] = list(random.normal(size=(rows, 3)).astype("float32"))
    log["click"] = random.integers(0, 2, rows).astype("float32")
    log["weight"] = random.uniform(0.5, 2.0, rows)
    return log


@pytest.fixture(scope="session")
def spec(frame, tmp_path_factory):
    """All columns, one label."""
    spec = FeatureSpec(COLUMNS, labels=["click"])
    return spec.adapt(frame, tmp_path_factory.mktemp("spec"))


@pytest.fixture(autouse=True)
def no_table_before_all_arguments_are_checked(request, monkeypatch):
    """A table may have gigabytes: bad arguments are refused before it is made."""

    def build(layer, shape):
        raise AssertionError(f"{layer.name} is made before an argument is refused")

    if request.function.__name__ == "test_bad_arguments":
        monkeypatch.setattr(EmbeddingTable, "build", build)


@pytest.fixture
def policy():
    """Sets a dtype policy for one test."""
    import keras

    yield keras.config.set_dtype_policy
    keras.config.set_dtype_policy("float32")


@pytest.fixture(scope="session")
def ids_of():
    """Rows of a frame as a model takes them: `{column: array}`."""

    def ids(frame, spec):
        columns, *_ = next(iter(from_pandas(frame, spec, batch_size=len(frame))))
        return {name: value.numpy() for name, value in columns.items()}

    return ids


@pytest.fixture(scope="session")
def shaken():
    """Gives a model random weights: none is 0, so that each of them tells."""

    def shake(model, scale=0.3):
        random = np.random.default_rng(3)
        for weight in model.weights:
            if weight.dtype == "float32":
                weight.assign(random.normal(size=weight.shape) * scale)
        return model

    return shake


@pytest.fixture(scope="session")
def layer_outputs():
    """What layers of a model, by name, say to some rows, in float64."""

    def outputs(model, x, *names):
        import keras

        tensors = [model.get_layer(name).output for name in names]
        part = keras.Model(model.inputs, tensors)
        return [np.asarray(y, float) for y in keras.tree.flatten(part(x))]

    return outputs


@pytest.fixture(scope="session")
def deep_part():
    """ReLU layers and a linear one, by the weights of a model's MLP."""

    def deep(model, name, x):
        weights = model.get_layer(name).get_weights()
        x = x.reshape(len(x), -1)
        for start in range(0, len(weights), 2):
            x = x @ weights[start].astype(float) + weights[start + 1]
            x = np.maximum(x, 0) if start + 2 < len(weights) else x
        return x

    return deep


@pytest.fixture(scope="session")
def table_rows():
    """Vectors by column from a model's tables called `prefix...`, lists as mean."""

    def rows(model, spec, x, prefix, width=None):
        tables = {w.path: w.numpy().astype(float) for w in model.weights}
        found, starts = {}, {}
        for table in spec.tables.values():
            dim = width or table.embedding_dim
            path = f"{prefix}_{'_'.join(table.sides)}_{dim}/table"
            start = starts.get(path, 0)
            starts[path] = start + table.rows
            part = tables[path][start : start + table.rows]
            part[0] = 0
            for column in table.columns:
                vectors = part[x[column]]
                if vectors.ndim == 3:
                    count = np.maximum((x[column] != 0).sum(axis=1), 1)
                    vectors = vectors.sum(axis=1) / count[:, None]
                found[column] = vectors
        return found

    return rows


@pytest.fixture(scope="session")
def check_specs(spec, frame, ids_of):
    """A ranker reads parts of a spec; one user row meets many items."""

    def check(make, *selections):
        for names in selections:
            part = spec.select(names)
            model = make(part)
            x = ids_of(frame[:12], part)
            assert {tensor.name for tensor in model.inputs} == set(x)
            logits = np.asarray(model(x))
            assert logits.shape == (12, 1) and logits.dtype == np.float32
            assert np.isfinite(logits).all() and np.ptp(logits) > 0, names
            of_item = [n for n in names if spec[n].side == "item"]
            if of_item and len(of_item) < len(names):
                one = {n: v if n in of_item else v[:1] for n, v in x.items()}
                many = {
                    n: v if n in of_item else np.repeat(v[:1], 12, axis=0)
                    for n, v in x.items()
                }
                np.testing.assert_allclose(model(one), model(many), atol=1e-6)

    return check


@pytest.fixture
def learn(tmp_path, ids_of):
    """Fits a ranker to a planted log; its AUC on rows it has not seen."""

    def fit(make, log, columns, epochs=8):
        import keras
        from sklearn.metrics import roc_auc_score

        cut = len(log.frame) * 3 // 4
        train, test = log.frame[:cut], log.frame[cut:]
        spec = FeatureSpec(columns, labels=["click"]).adapt(train, tmp_path)
        model = make(spec)
        loss = keras.losses.BinaryCrossentropy(from_logits=True)
        model.compile(keras.optimizers.Adam(0.02), loss)
        rows = from_pandas(train, spec, batch_size=100, shuffle=True)
        model.fit(rows, epochs=epochs, shuffle=False, verbose=0)
        x = ids_of(test, spec)
        return roc_auc_score(test["click"], np.asarray(model(x))[:, 0]), model, x

    return fit


THREE = [
    Categorical("user_group", side="user", embedding_dim=8),
    Categorical("city_group", side="context", embedding_dim=8),
    Categorical("item_group", side="item", embedding_dim=8),
]


@pytest.fixture(scope="session")
def three_way():
    """A log that only products of three fields explain, and its columns."""
    return planted.three_way(), THREE


PAIR = [
    Categorical("user_group", side="user", embedding_dim=8),
    Numeric("age", side="user"),
    Categorical("item_group", side="item", embedding_dim=8),
    Numeric("price", side="item"),
]


@pytest.fixture(scope="session")
def pairs():
    """A log that only pairs of fields explain, and its columns."""
    return planted.interactions(), PAIR
