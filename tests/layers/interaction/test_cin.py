import numpy as np
import pytest
import tensorflow as tf

from tfrec.layers import CIN, FM
from tfrec.testing import check_layer

E = np.random.default_rng(0).normal(size=(6, 4, 3)).astype("float32")


def made(hidden_units, **options):
    layer = CIN(hidden_units, **options)
    layer.build(E.shape)
    random = np.random.default_rng(1)
    layer.set_weights([random.normal(size=w.shape) for w in layer.get_weights()])
    return layer


def by_hand(kernels, e, act, split_half):
    """One row, by the double sums; returns p of each layer as it leaves."""
    x0, x, found = e, e, []
    for layer, kernel in enumerate(kernels):
        maps = np.zeros((len(kernel), e.shape[1]))
        for h in range(kernel.shape[0]):
            for i in range(kernel.shape[1]):
                for j in range(kernel.shape[2]):
                    maps[h] += kernel[h, i, j] * x[i] * x0[j]
        maps = act(maps)
        half = len(maps) // 2 if split_half and layer < len(kernels) - 1 else 0
        found.append(maps[half:].sum(axis=1))
        x = maps[:half] if half else maps
    return np.concatenate(found)


@pytest.mark.parametrize("split_half", [False, True])
@pytest.mark.parametrize(
    "activation, act", [("linear", lambda v: v), ("tanh", np.tanh)]
)
def test_matches_the_paper(split_half, activation, act):
    layer = made((4, 2, 3), activation=activation, split_half=split_half)
    kernels = [k.astype(float) for k in layer.get_weights()]
    wanted = [by_hand(kernels, e, act, split_half) for e in E.astype(float)]
    found = layer(E)
    assert found.shape == layer.compute_output_shape(E.shape)
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-4)


def test_one_map_with_known_kernels():
    layer = made((1,))
    e = E.astype(float)
    for kernel, wanted in (
        (np.triu(np.ones((4, 4)), 1), np.asarray(FM()(E))),
        (np.ones((4, 4)), np.sum(e.sum(axis=1) ** 2, axis=1)[:, None]),
        (np.eye(4), np.sum(e**2, axis=(1, 2))[:, None]),
    ):
        layer.set_weights([kernel[None]])
        np.testing.assert_allclose(layer(E), wanted, rtol=1e-4, atol=1e-4)


def test_the_first_layer_sees_the_symmetric_part_only():
    layer = made((3,))
    (kernel,) = layer.get_weights()
    whole = np.asarray(layer(E))
    layer.set_weights([(kernel + kernel.transpose(0, 2, 1)) / 2])
    np.testing.assert_allclose(layer(E), whole, rtol=1e-4, atol=1e-4)


def test_maps_of_layer_k_have_degree_k_plus_1():
    layer = made((2, 2, 2))
    degree = np.repeat([2, 3, 4], 2)
    wanted = np.asarray(layer(E)) * 2.0**degree
    np.testing.assert_allclose(layer(2 * E), wanted, rtol=1e-4, atol=1e-4)


def test_field_wise_and_blind_to_the_order_of_dimensions():
    layer, other = made((3, 2)), made((3, 2))
    whole = np.asarray(layer(E))
    np.testing.assert_allclose(layer(E[:, :, ::-1]), whole, rtol=1e-4, atol=1e-4)
    order = np.random.default_rng(2).permutation(4)
    first, second = layer.get_weights()
    other.set_weights([first[:, order][:, :, order], second[:, :, order]])
    np.testing.assert_allclose(other(E[:, order]), whole, rtol=1e-4, atol=1e-4)


def test_the_first_half_goes_on_and_the_second_leaves():
    layer = made((4, 2), split_half=True)
    first, second = layer.get_weights()
    assert second.shape == (2, 2, 4)
    whole = np.asarray(layer(E))
    on = first.copy()
    on[:2] += 1
    layer.set_weights([on, second])
    np.testing.assert_array_equal(np.asarray(layer(E))[:, :2], whole[:, :2])
    assert np.abs(np.asarray(layer(E))[:, 2:] - whole[:, 2:]).max() > 0.1
    out = first.copy()
    out[2:] += 1
    layer.set_weights([out, second])
    np.testing.assert_array_equal(np.asarray(layer(E))[:, 2:], whole[:, 2:])
    assert np.abs(np.asarray(layer(E))[:, :2] - whole[:, :2]).max() > 0.1


def test_one_field_has_its_powers():
    layer = made((1, 1))
    one = CIN((1, 1))
    one.build((None, 1, 3))
    one.set_weights([np.ones((1, 1, 1)), np.ones((1, 1, 1))])
    v = E[:, :1].astype(float)
    wanted = np.stack([np.sum(v**2, axis=(1, 2)), np.sum(v**3, axis=(1, 2))], axis=1)
    np.testing.assert_allclose(one(E[:, :1]), wanted, rtol=1e-5, atol=1e-5)
    assert layer(E).shape == (6, 2)


def test_a_graph_need_not_know_the_fields():
    layer = made((4, 2), split_half=True)
    call = tf.function(layer, input_signature=[tf.TensorSpec([None, None, None])])
    np.testing.assert_allclose(call(E), layer(E), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    "options",
    [
        {"hidden_units": (3, 2)},
        {"hidden_units": [4, np.int64(3)], "split_half": True, "activation": "relu"},
    ],
)
def test_contract(options):
    check_layer(CIN(seed=1, **options), E)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"hidden_units": 4}, "CIN: `hidden_units` must be a tuple of ints >= 1. "),
        ({"hidden_units": ()}, "`hidden_units` must have at least one layer. Received"),
        (
            {"hidden_units": (3, 2), "split_half": True},
            "`hidden_units` must be even but for the last, with `split_half`. Receive",
        ),
        ({"activation": "relo"}, "`activation` must be the name of a Keras activation"),
        ({"split_half": 1}, "`split_half` must be True or False. Received: split_ha"),
        ({"seed": 0.5}, "`seed` must be an int >= 0. Received: seed=0.5"),
        ({"nonsense": 1}, "nonsense"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        CIN(**arguments)


def test_an_odd_last_layer_may_be_split():
    assert CIN((2, 3), split_half=True).compute_output_shape((None, 4, 3)) == (None, 4)


def test_bad_input():
    message = r"CIN: `inputs` must have shape \(batch, fields, dim\). Received: "
    with pytest.raises(ValueError, match=message):
        CIN()(E[0])
