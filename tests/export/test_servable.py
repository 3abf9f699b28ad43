import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfrec import export
from tfrec.export.servable import pair_signature
from tfrec.features import Categorical, FeatureSpec
from tfrec.layers.basic.join_sides import JoinSides


class TimesRows(keras.layers.Layer):
    """Multiplies by the number of rows that it is given."""

    def call(self, x):
        return x * keras.ops.cast(keras.ops.shape(x)[0], "float32")

    def compute_output_shape(self, shape):
        return shape


def test_the_users_half_runs_once(tmp_path):
    spec = FeatureSpec(
        [
            Categorical("user", side="user", dtype="int64", hash_buckets=9),
            Categorical("item", side="item", dtype="int64", hash_buckets=9),
        ]
    )
    user, item = (keras.Input((), dtype="int32", name=n) for n in ("user", "item"))
    ones = [
        keras.ops.ones_like(keras.ops.expand_dims(x, 1), "float32")
        for x in (user, item)
    ]
    joined = JoinSides()([TimesRows()(ones[0]), TimesRows()(ones[1])])
    model = keras.Model([user, item], keras.ops.sum(joined, axis=1, keepdims=True))
    export.save(model, spec, tmp_path)
    loaded = tf.saved_model.load(str(tmp_path / "ranker" / "1"))
    serve = loaded.signatures["serving_default"]
    items = tf.range(7, dtype=tf.int64)
    one = serve(user=items[:1], item=items)["logit"].numpy()
    many = serve(user=items, item=items)["logit"].numpy()
    np.testing.assert_array_equal(one, [1 + 7] * 7)
    np.testing.assert_array_equal(many, [7 + 7] * 7)


@pytest.mark.slow
def test_all_rows_and_batch_outputs_for_servers_that_batch(exported):
    """With equal first dimensions in, every output has that dimension."""
    for servable in ("user_tower", "item_tower", "ranker"):
        folder = exported / servable / "1"
        serve = tf.saved_model.load(str(folder)).signatures["serving_default"]
        shapes = [t.shape for t in serve.structured_input_signature[1].values()]
        shapes += [t.shape for t in serve.structured_outputs.values()]
        assert all(shape.rank >= 1 and shape[0] is None for shape in shapes)


@pytest.mark.slow
def test_towers_tell_their_pair(exported):
    told = set()
    for servable in ("user_tower", "item_tower"):
        folder = exported / servable / "1"
        document = json.loads((folder / "assets.extra/feature_spec.json").read_text())
        signature = tf.saved_model.load(str(folder)).signatures["pair_id"]
        assert signature()["pair_id"].numpy().decode() == document["pair_id"]
        told.add(document["pair_id"])
    assert len(told) == 1
    ranker = tf.saved_model.load(str(exported / "ranker" / "1"))
    assert set(ranker.signatures) == {"serving_default", "classify", "regress"}
    assert pair_signature("") == {}


@pytest.mark.slow
def test_a_server_answers_every_signature(exported, fitted):
    """The embedded server loads what is written, the pair's signature too."""
    from tfrec import serving

    with serving.local_server(exported) as server:
        client = serving.Client(server.address, exported, timeout=30.0)
        found = client.metadata("user_tower")["signatures"]
        assert set(found) == {"serving_default", "pair_id"}
        vectors = client.item_embedding(fitted.log.head(3))
    assert vectors.shape == (3, 8)
