"""A small log with a fitted two-tower model and ranker, made once."""

import types

import numpy as np
import pandas as pd
import pytest

from tfrec import FeatureSpec, data, losses, models, optimizers
from tfrec.features import (
    Bucketized,
    Categorical,
    MultiCategorical,
    Numeric,
    Sequence,
)


def make_log(rows=240, seed=0):
    random = np.random.default_rng(seed)
    items = [f"i{n}" for n in range(30)]
    return pd.DataFrame(
        {
            "user": random.integers(0, 40, rows),
            "history": [
                list(random.choice(items, random.integers(0, 8))) for _ in range(rows)
            ],
            "age": random.integers(18, 70, rows).astype("float32"),
            "hour": random.integers(0, 24, rows).astype("float32"),
            "position": random.integers(1, 4, rows),
            "item": random.choice(items, rows),
            "tags": ["|".join(random.choice(list("abcd"), 2)) for _ in range(rows)],
            "price": random.lognormal(1, 1, rows).astype("float32"),
            "click": random.integers(0, 2, rows).astype("float32"),
        }
    )


@pytest.fixture(scope="session")
def fitted(tmp_path_factory):
    import keras

    keras.utils.set_random_seed(0)
    log = make_log()
    spec = FeatureSpec(
        [
            Categorical("user", side="user", dtype="int64", embedding_dim=4),
            Sequence("history", of="item", max_length=5),
            Bucketized("age", side="user", num_buckets=4, embedding_dim=4),
            Numeric("hour", side="context", scaling="standard"),
            Categorical(
                "position", side="context", dtype="int64", embedding_dim=4, serve=False
            ),
            Categorical("item", side="item", embedding_dim=4),
            MultiCategorical("tags", side="item", separator="|", embedding_dim=4),
            Numeric("price", side="item", scaling="log1p"),
        ],
        labels=["click"],
    ).adapt(log, tmp_path_factory.mktemp("vocabularies"))
    two_tower = models.dssm(spec, item_id="item", hidden_units=(8,), seed=0)
    two_tower.compile(optimizers.RowSparseAdagrad(0.1), losses.InBatchSoftmax())
    rows = data.from_pandas(log, spec, batch_size=64)
    two_tower.fit(rows, epochs=2, shuffle=False, verbose=0)
    ranker = models.deepfm(spec, hidden_units=(8,), seed=0)
    ranker.compile(
        optimizers.RowSparseAdagrad(0.1),
        keras.losses.BinaryCrossentropy(from_logits=True),
    )
    ranker.fit(rows, epochs=2, shuffle=False, verbose=0)
    return types.SimpleNamespace(log=log, spec=spec, two_tower=two_tower, ranker=ranker)


@pytest.fixture(scope="session")
def exported(fitted, tmp_path_factory):
    from tfrec import export

    root = tmp_path_factory.mktemp("saved_models") / "demo"
    export.save(fitted.two_tower, fitted.spec, root)
    export.save(fitted.ranker, fitted.spec, root, examples=fitted.log)
    return root
