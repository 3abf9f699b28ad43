import keras
import numpy as np
import pytest

from tfrec.embeddings import Fields
from tfrec.features import Bucketized, Categorical, FeatureSpec, Numeric
from tfrec.models import towers


def tensor(*shape, dtype="float32"):
    return keras.Input(shape, dtype=dtype)


def fields():
    return Fields(
        vectors={"a": tensor(4), "b": tensor(4)},
        sequences={"s": tensor(None, 4)},
        masks={"s": tensor(None, dtype="bool")},
        numbers={"n": tensor(), "v": tensor(3)},
        blocks={},
    )


def test_each_pooling_of_a_sequence_is_a_vector():
    given = fields()
    found = towers.pooled(given, ("mean", "last"), "part")
    assert [x.shape for x in found] == [(None, 4)] * 4
    inputs = [given.sequences["s"], given.masks["s"]]
    names = [layer.name for layer in keras.Model(inputs, found[2:]).layers]
    assert names[-2:] == ["part_s_mean", "part_s_last"]


def test_flat_stands_side_by_side():
    numbers = fields().numbers
    assert towers.flat([tensor(4), tensor(2)], numbers, "part").shape == (None, 10)
    assert towers.flat([], numbers, "part").shape == (None, 4)
    assert towers.flat([], {"n": numbers["n"]}, "part").shape == (None, 1)
    alone = tensor(4)
    assert towers.flat([alone], {}, "part") is alone


def test_stacked_makes_fields():
    vectors = [tensor(4), tensor(4)]
    assert towers.stacked(vectors, tensor(3), 4, "part").shape == (None, 5, 4)
    assert towers.stacked(vectors, None, 4, "part").shape == (None, 2, 4)
    assert towers.stacked([], tensor(3), 4, "part").shape == (None, 3, 4)
    assert towers.stacked(vectors[:1], None, 4, "part").shape == (None, 1, 4)


def test_joined_meets_two_sides_or_leaves_one():
    alone = tensor(4)
    assert towers.joined([alone], "part") is alone
    assert towers.joined([alone, tensor(2)], "part").shape == (None, 6)


def hashed(name, dim):
    return Categorical(name, side="user", embedding_dim=dim, hash_buckets=9)


def test_common_dim():
    price = Bucketized("price", side="item", boundaries=(1.0,), embedding_dim=4)
    assert towers.common_dim("me", FeatureSpec([hashed("a", 4), price])) == 4
    assert towers.common_dim("me", FeatureSpec([Numeric("n", side="user")])) == 16
    message = r'me: columns "price" \(4\) and "a" \(8\) must share `embedding_dim`'
    with pytest.raises(ValueError, match=message):
        towers.common_dim("me", FeatureSpec([price, hashed("a", 8)]))


def test_a_tower_ends_in_unit_vectors():
    inputs = tensor(5)
    options = {"hidden_units": (16, 8), "activation": "tanh"}
    made = towers.tower([inputs], inputs, "item", "me", seed=None, **options)
    x = np.random.default_rng(0).normal(size=(6, 5)).astype("float32")
    norm = np.linalg.norm(made([x]), axis=1)
    np.testing.assert_allclose(norm, 1, atol=1e-5)
    assert (made.name, made.output_shape) == ("item_tower", (None, 8))
    assert np.min(made([x])) < 0  # the last layer is linear
    options["last_activation"] = "relu"
    made = towers.tower([inputs], inputs, "user", "me", seed=1, **options)
    assert np.min(made([x])) >= 0 and made.name == "user_tower"


def test_the_two_towers_draw_and_start_differently():
    made = [
        towers.tower([i], i, side, "me", hidden_units=(4,), dropout=0.5, seed=3)
        for side, i in (("user", tensor(5)), ("item", tensor(5)))
    ]
    kernels = [tower.get_weights()[0] for tower in made]
    assert not np.array_equal(*kernels)
    drops = [
        tower.get_layer(f"me_{s}_drop").seed
        for tower, s in zip(made, ("user", "item"), strict=True)
    ]
    assert len(set(drops)) == 2


def test_tower_inputs_and_their_errors():
    spec = FeatureSpec([hashed("a", 4), hashed("b", 4)])
    message = "me: `spec` must have a column of side 'item'"
    with pytest.raises(ValueError, match=message):
        towers.tower_inputs("me", spec)
    towers.check_categorical("me", spec, "user", one="a", two="b")
    message = 'me: `two` must name a Categorical of side "user".*The spec has "a", "b"'
    with pytest.raises(ValueError, match=message):
        towers.check_categorical("me", spec, "user", one="a", two="c")


def test_check_spec_and_check_side():
    spec = FeatureSpec([hashed("a", 4)])
    towers.check_spec("me", spec)
    with pytest.raises(TypeError, match="me: `spec` must be a FeatureSpec. Received"):
        towers.check_spec("me", {"a": 4})
    towers.check_side("me", spec, [tensor()], "user")
    message = "me: `spec` must have a column of side 'item'.*Set the column's `side`."
    with pytest.raises(ValueError, match=message):
        towers.check_side("me", spec, [], "item")
