"""An exported item tower and its catalogue, made once."""

import types

import keras
import numpy as np
import pandas as pd
import pytest

from tfrec import FeatureSpec, export, models
from tfrec.features import Categorical, MultiCategorical, Numeric


def make(folder, seed, items=700):
    keras.utils.set_random_seed(seed)
    random = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "user": random.integers(0, 9, items),
            "item": [f"ü{n}" for n in range(items)],
            "tags": [
                list(random.choice(list("abcdef"), random.integers(0, 4)))
                for _ in range(items)
            ],
            "price": random.lognormal(1, 1, items).astype("float32"),
        }
    )
    spec = FeatureSpec(
        [
            Categorical("user", side="user", dtype="int64", embedding_dim=4),
            Categorical("item", side="item", embedding_dim=4),
            MultiCategorical("tags", side="item", embedding_dim=4),
            Numeric("price", side="item", scaling="log1p"),
        ]
    ).adapt(frame, folder / "vocabularies")
    model = models.dssm(spec, item_id="item", hidden_units=(16, 8), seed=seed)
    random = np.random.default_rng(seed)
    for weight in model.trainable_weights:
        weight.assign(random.normal(size=weight.shape) * 0.5)
    export.save(model, spec, folder / "m")
    return types.SimpleNamespace(
        spec=spec,
        model=model,
        saved_models=folder / "m",
        catalogue=frame[["item", "tags", "price"]],
    )


@pytest.fixture(scope="session")
def towers(tmp_path_factory):
    return make(tmp_path_factory.mktemp("towers"), seed=1)


@pytest.fixture(scope="session")
def other_towers(tmp_path_factory):
    return make(tmp_path_factory.mktemp("other_towers"), seed=2)
