"""An exported ranker, and a log of requests to it."""

import os

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2

from tfrec import export, models
from tfrec.features import Categorical, FeatureSpec, Numeric, Sequence
from tfrec.serving import messages, predict
from tfrec.serving.request_log import record
from tfrec.serving.servable import Servable

ROWS = pd.DataFrame(
    {
        "user": ["a", "b", "c", "a"],
        "history": [["x"], [], ["y", "x"], ["x"]],
        "item": ["x", "y", "x", "y"],
        "price": np.float32([1, 2, 3, 4]),
        "click": np.float32([0, 1, 0, 1]),
    }
)


def ask(user, items):
    """A request's arrays: one user, several items."""
    return {
        "user": np.array([user], object),
        "history": np.array([["x", ""]], object),
        "item": np.array(items, object),
        "price": np.arange(len(items), dtype="float32"),
    }


REQUESTS = [ask("a", ["x"]), ask("new", ["y", "q", "x"]), ask("", ["y", "y"])]


@pytest.fixture(scope="session")
def exported(tmp_path_factory):
    """Folders of two versions of a ranker with different weights."""
    root = tmp_path_factory.mktemp("exported")
    spec = FeatureSpec(
        [
            Categorical("user", side="user", embedding_dim=2),
            Sequence("history", of="item", max_length=3),
            Categorical("item", side="item", embedding_dim=2),
            Numeric("price", side="item"),
        ],
        labels=["click"],
    ).adapt(ROWS, root / "vocabularies")
    places = []
    for version in (1, 2):
        keras.utils.set_random_seed(version)
        model = models.deepfm(spec, hidden_units=(3,), seed=version)
        found = export.save(model, spec, root / "saved", version=version)
        places.append(found["ranker"])
    ROWS.to_parquet(root / "rows.parquet")
    return places


@pytest.fixture(scope="session")
def write_log(exported):
    """Writes what version 1 answers to `REQUESTS` as a log; returns its records."""
    servable = Servable("ranker", 1, exported[0])
    made = []
    for arrays in REQUESTS:
        spec = messages.model_spec("ranker")
        request = messages.predict_request(spec, arrays)
        job = predict.prepare(servable, predict_pb2.PredictRequest.FromString(request))
        answer = job.response(job.run())
        made.append(record("Predict", spec, 1.0, request, answer))
    servable.close()

    def write(path, records=None):
        os.makedirs(path.parent, exist_ok=True)
        with tf.io.TFRecordWriter(str(path)) as writer:
            for one in made if records is None else records:
                writer.write(one)
        return list(made)

    return write
