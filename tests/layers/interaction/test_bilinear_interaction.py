import itertools

import numpy as np
import pytest
import tensorflow as tf

from tfrec.layers import FM, BilinearInteraction
from tfrec.testing import check_layer

E = np.random.default_rng(0).normal(size=(6, 4, 3)).astype("float32")
SHAPES = {"all": (3, 3), "each": (3, 3, 3), "interaction": (6, 3, 3)}


def made(kernels):
    layer = BilinearInteraction(kernels)
    layer.build(E.shape)
    layer.kernel.assign(np.random.default_rng(1).normal(size=SHAPES[kernels]))
    return layer


@pytest.mark.parametrize("kernels", SHAPES)
def test_matches_the_paper(kernels):
    layer = made(kernels)
    kernel = layer.kernel.numpy().astype(float)
    e, found = E.astype(float), np.asarray(layer(E))
    pair = 0
    for i in range(4):
        for j in range(i + 1, 4):
            w = kernel if kernels == "all" else kernel[{"each": i}.get(kernels, pair)]
            for row in range(6):
                wanted = (e[row, i] @ w) * e[row, j]
                np.testing.assert_allclose(found[row, pair], wanted, atol=1e-5)
            pair += 1
    assert found.shape == (6, pair, 3)


@pytest.mark.parametrize("kernels", SHAPES)
def test_identity_kernels_give_the_products_of_a_factorisation_machine(kernels):
    layer = made(kernels)
    layer.kernel.assign(np.broadcast_to(np.eye(3), SHAPES[kernels]))
    found = np.asarray(layer(E))
    for pair, (i, j) in enumerate(itertools.combinations(range(4), 2)):
        np.testing.assert_allclose(found[:, pair], E[:, i] * E[:, j], atol=1e-6)
    np.testing.assert_allclose(found.sum((1, 2))[:, None], FM()(E), atol=1e-4)


@pytest.mark.parametrize("kernels", ["each", "interaction"])
def test_equal_kernels_are_one(kernels):
    one, many = made("all"), made(kernels)
    many.kernel.assign(np.broadcast_to(one.kernel.numpy(), SHAPES[kernels]))
    np.testing.assert_allclose(many(E), one(E), atol=1e-5)


@pytest.mark.parametrize("kernels", SHAPES)
def test_the_order_of_fields_matters(kernels):
    layer = made(kernels)
    swapped = np.asarray(layer(E[:, [1, 0, 2, 3]]))
    assert np.abs(swapped[:, 0] - np.asarray(layer(E))[:, 0]).max() > 0.1


@pytest.mark.parametrize("kernels", SHAPES)
def test_each_matrix_starts_as_if_alone(kernels):
    layer = BilinearInteraction(kernels, seed=1)
    layer.build((None, 20, 16))
    wanted = np.sqrt(1 / 16)
    spread = layer.kernel.numpy().std(axis=(-2, -1))
    np.testing.assert_allclose(spread, np.full(spread.shape, wanted), rtol=0.2)


@pytest.mark.parametrize("kernels", SHAPES)
def test_a_graph_need_not_know_the_fields(kernels):
    layer = made(kernels)
    call = tf.function(layer, input_signature=[tf.TensorSpec([None, None, None])])
    np.testing.assert_allclose(call(E), layer(E), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kernels", SHAPES)
def test_contract(kernels):
    check_layer(BilinearInteraction(kernels, seed=1), E)


@pytest.mark.parametrize(
    "arguments, message",
    [
        (
            {"kernels": "pair"},
            "BilinearInteraction: `kernels` must be one of 'all', 'each', 'interaction'"
            r". Received: kernels='pair' \(str\).",
        ),
        ({"seed": -1}, "`seed` must be an int >= 0. Received: seed=-1"),
        ({"nonsense": 1}, "nonsense"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        BilinearInteraction(**arguments)


@pytest.mark.parametrize(
    "inputs, message",
    [
        (E[0], r"`inputs` must have shape \(batch, fields, dim\). Received: inputs="),
        (E[:, :1], r"`inputs` must have at least 2 fields. Received: inputs=\(6, 1, 3"),
    ],
)
def test_bad_inputs(inputs, message):
    with pytest.raises(ValueError, match=message):
        BilinearInteraction()(inputs)
