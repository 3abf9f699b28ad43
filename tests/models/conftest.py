"""A small log with every kind of column, and specs of it."""

import numpy as np
import pytest

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


@pytest.fixture
def policy():
    """Sets a dtype policy for one test."""
    import keras

    yield keras.config.set_dtype_policy
    keras.config.set_dtype_policy("float32")
