import keras
import numpy as np
import pytest
import tensorflow as tf
from sklearn.metrics import roc_auc_score

from tfrec.layers import SENet
from tfrec.testing import check_layer, planted

E = np.random.default_rng(0).normal(size=(6, 7, 3)).astype("float32")


def filled(layer, inputs=E):
    """The layer with weights large enough to be told apart."""
    layer.build(inputs.shape)
    random = np.random.default_rng(1)
    layer.set_weights([random.normal(size=w.shape) for w in layer.get_weights()])
    return layer


@pytest.mark.parametrize("squeeze", ["mean", "max"])
@pytest.mark.parametrize("activation", ["relu", "sigmoid"])
@pytest.mark.parametrize("skip", [False, True])
def test_matches_the_paper(squeeze, activation, skip):
    layer = filled(SENet(squeeze=squeeze, activation=activation, skip=skip))
    w1, w2 = (w.astype(float) for w in layer.get_weights())
    assert w1.shape == (7, 2) and w2.shape == (2, 7)
    found = np.asarray(layer(E))
    for row, e in enumerate(E.astype(float)):
        z = [v.mean() if squeeze == "mean" else v.max() for v in e]
        hidden = np.maximum(np.array(z) @ w1, 0) @ w2
        if activation == "relu":
            gates = np.maximum(hidden, 0)
        else:
            gates = 1 / (1 + np.exp(-hidden))
        np.testing.assert_allclose(layer.gates(E)[row], gates, atol=1e-5)
        for field in range(7):
            wanted = (gates[field] + skip) * e[field]
            np.testing.assert_allclose(found[row, field], wanted, atol=1e-5)


@pytest.mark.parametrize(
    "options, share", [({}, 0.0), ({"activation": "sigmoid"}, 0.5), ({"skip": True}, 1)]
)
def test_without_a_second_kernel(options, share):
    layer = filled(SENet(**options))
    layer.excite_kernel.assign(0 * layer.excite_kernel)
    np.testing.assert_allclose(layer(E), share * E, atol=1e-6)


def test_gates_of_relu_grow_with_the_vectors():
    layer = filled(SENet())
    gates = np.asarray(layer.gates(E))
    assert gates.max() > 0.1
    np.testing.assert_allclose(layer.gates(3 * E), 3 * gates, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("squeeze", ["mean", "max"])
def test_the_order_of_dimensions_does_not_matter(squeeze):
    layer = filled(SENet(squeeze=squeeze))
    np.testing.assert_allclose(layer.gates(E[:, :, ::-1]), layer.gates(E), atol=1e-5)


def test_the_order_of_fields_is_that_of_the_kernels():
    layer, other = filled(SENet()), filled(SENet())
    order = np.random.default_rng(2).permutation(7)
    w1, w2 = layer.get_weights()
    other.set_weights([w1[order], w2[:, order]])
    found, wanted = np.asarray(other(E[:, order])), np.asarray(layer(E))[:, order]
    np.testing.assert_allclose(found, wanted, atol=1e-5)
    assert np.abs(other(E) - layer(E)).max() > 0.1


@pytest.mark.parametrize(
    "fields, reduction, width", [(7, 3, 2), (6, 3, 2), (2, 3, 1), (1, 3, 1), (5, 1, 5)]
)
def test_reduction_is_floored_and_at_least_one(fields, reduction, width):
    layer = SENet(reduction)
    assert layer(np.ones((2, fields, 4), "float32")).shape == (2, fields, 4)
    assert [w.shape for w in layer.weights] == [(fields, width), (width, fields)]


def test_a_missing_field_stays_missing():
    missing = E.copy()
    missing[:, 2] = 0
    for options in ({}, {"activation": "sigmoid"}, {"skip": True}):
        assert np.abs(filled(SENet(**options))(missing)[:, 2]).max() == 0


def test_the_two_kernels_do_not_start_alike():
    layer = SENet(reduction=1, seed=3)
    layer.build((None, 5, 4))
    first, second = layer.get_weights()
    assert np.abs(first - second).max() > 0.1
    again = SENet(reduction=1, seed=3)
    again.build((None, 5, 4))
    np.testing.assert_array_equal(first, again.get_weights()[0])


def fitted(log, senet):
    """One table for all fields, summed: only the gates tell the fields apart."""
    names = [name for name in log.frame if name != "click"]
    ids = np.stack([log.frame[n].str[1:].astype("int32") for n in names], axis=1)
    clicks, cut = log.frame["click"].to_numpy(), len(ids) * 3 // 4
    keras.utils.set_random_seed(1)
    inputs = keras.Input((len(names),), dtype="int32")
    vectors = keras.layers.Embedding(8, 8)(inputs)
    x = vectors if senet is None else senet(vectors)
    logit = keras.layers.Dense(1)(keras.layers.GlobalAveragePooling1D()(x))
    model = keras.Model(inputs, logit)
    loss = keras.losses.BinaryCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(0.02), loss)
    model.fit(ids[:cut], clicks[:cut], batch_size=100, epochs=8, verbose=0)
    score = roc_auc_score(clicks[cut:], np.asarray(model(ids[cut:]))[:, 0])
    return score, keras.Model(inputs, vectors)(ids[cut:])


@pytest.mark.slow
@pytest.mark.parametrize("squeeze", ["mean", "max"])
def test_fields_of_noise_are_shut(squeeze):
    log = planted.noisy_fields(num_signal=3, num_noise=6)
    oracle = roc_auc_score(log.frame["click"], log.probability)
    senet = SENet(squeeze=squeeze, activation="sigmoid")
    score, vectors = fitted(log, senet)
    gates = np.asarray(senet.gates(vectors)).mean(axis=0)
    assert gates[:3].min() > 3 * gates[3:].max(), gates
    assert score > oracle - 0.02
    alone, _ = fitted(log, None)
    assert alone < oracle - 0.1


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"squeeze": "max", "activation": "sigmoid"},
        {"reduction": np.int64(2), "skip": True},
    ],
)
def test_contract(options):
    check_layer(SENet(seed=1, **options), np.abs(E))


def test_a_graph_need_not_know_the_fields():
    layer = filled(SENet())
    call = tf.function(layer, input_signature=[tf.TensorSpec([None, None, None])])
    np.testing.assert_allclose(call(E), layer(E), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"reduction": 0}, "SENet: `reduction` must be an int >= 1. Received: "),
        ({"squeeze": "sum"}, "SENet: `squeeze` must be one of 'mean', 'max'. "),
        ({"activation": "tanh"}, "`activation` must be one of 'relu', 'sigmoid'. "),
        ({"skip": 1}, r"`skip` must be True or False. Received: skip=1 \(int\)"),
        ({"seed": -1}, "`seed` must be an int >= 0. Received: seed=-1"),
        ({"nonsense": 1}, "nonsense"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        SENet(**arguments)


def test_bad_input():
    message = r"SENet: `inputs` must have shape \(batch, fields, dim\). Received: "
    with pytest.raises(ValueError, match=message):
        SENet()(E[0])
