import numpy as np
import pytest

from tfrec.layers import TargetAttention
from tfrec.testing import check_layer

RANDOM = np.random.default_rng(0)
Q = RANDOM.normal(size=(5, 3)).astype("float32")
K = RANDOM.normal(size=(5, 4, 3)).astype("float32")
MASK = np.array(
    [[1, 1, 1, 0], [0, 0, 1, 1], [1, 0, 0, 1], [0, 0, 0, 0], [1, 1, 1, 1]], bool
)
ACTIVATIONS = {"sigmoid": lambda x: 1 / (1 + np.exp(-x)), "relu": lambda x: x * (x > 0)}


def made(**options):
    """A layer of random weights, biases too."""
    layer = TargetAttention(**{"hidden_units": (6, 4), **options})
    layer([Q, K])
    layer.set_weights([RANDOM.normal(size=w.shape) for w in layer.weights])
    return layer


def by_hand(layer, q, k, mask):
    """The loops of section 4.3, with [q; k; q - k; q * k] as one vector."""
    weights = [w.numpy().astype(float) for w in layer.weights]
    rows, last = len(weights), layer.normalization is None
    out = np.zeros(q.shape)
    for row in range(len(q)):
        scores = {}
        for t in np.flatnonzero(mask[row]):
            key = k[row, t].astype(float)
            x = np.concatenate([q[row], key, q[row] - key, q[row] * key])
            for place in range(0, rows, 2):
                x = x @ weights[place]
                if place + 1 < rows:
                    x = x + weights[place + 1]
                if place + 2 < rows:
                    x = ACTIVATIONS[layer.activation](x)
            scores[t] = x[0]
        if not last and scores:
            width = np.sqrt(q.shape[1]) if layer.normalization[:2] == "sc" else 1
            raised = {t: np.exp(score / width) for t, score in scores.items()}
            scores = {t: one / sum(raised.values()) for t, one in raised.items()}
        for t, score in scores.items():
            out[row] += score * k[row, t]
    return out


@pytest.mark.parametrize("normalization", [None, "softmax", "scaled_softmax"])
@pytest.mark.parametrize("activation", ["sigmoid", "relu"])
@pytest.mark.parametrize("units", [(6, 4), (5,), ()])
def test_matches_the_paper(normalization, activation, units):
    layer = made(hidden_units=units, activation=activation, normalization=normalization)
    wanted = by_hand(layer, Q, K, MASK)
    assert np.abs(wanted).max() > 0.1
    np.testing.assert_allclose(layer([Q, K], mask=MASK), wanted, rtol=1e-5, atol=1e-5)
    whole = by_hand(layer, Q, K, np.ones_like(MASK))
    np.testing.assert_allclose(layer([Q, K]), whole, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("normalization", [None, "softmax"])
def test_an_empty_history_gives_zero(normalization):
    layer = made(normalization=normalization)
    assert not layer([Q, K], mask=MASK)[3].numpy().any()
    nothing = layer([Q, K[:, :0]], mask=MASK[:, :0])
    np.testing.assert_array_equal(nothing, np.zeros_like(Q))


@pytest.mark.parametrize("normalization", [None, "softmax"])
def test_one_history_meets_many_candidates(normalization):
    layer = made(normalization=normalization)
    keys, mask = K[1:2], MASK[1:2]
    found = layer([Q, keys], mask=mask)
    tiled = [Q, np.repeat(keys, 5, axis=0)]
    wanted = layer(tiled, mask=np.repeat(mask, 5, axis=0))
    np.testing.assert_allclose(found, wanted, atol=1e-6)
    assert layer([Q[:0], keys], mask=mask).shape == (0, 3)


@pytest.mark.parametrize("normalization", [None, "softmax"])
def test_a_history_of_one_step(normalization):
    layer = made(normalization=normalization)
    found = layer([Q, K[:, :1]], mask=MASK[:, :1])
    wanted = by_hand(layer, Q, K[:, :1], MASK[:, :1])
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5)


def test_order_does_not_matter():
    order = [2, 0, 3, 1]
    layer = made()
    found = layer([Q, K[:, order]], mask=MASK[:, order])
    np.testing.assert_allclose(found, layer([Q, K], mask=MASK), atol=1e-5)


def test_the_intensity_of_an_interest_is_kept():
    """A history told twice counts twice; after a softmax it does not."""
    twice = [Q, np.concatenate([K, K], axis=1)]
    for normalization, times in ((None, 2), ("softmax", 1)):
        layer = made(normalization=normalization)
        found = layer(twice, mask=np.concatenate([MASK, MASK], axis=1))
        wanted = times * layer([Q, K], mask=MASK).numpy()
        np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("normalization", [None, "softmax", "scaled_softmax"])
def test_contract(normalization):
    layer = TargetAttention((6, 4), normalization=normalization, seed=1)
    check_layer(layer, [Q, K], mask=MASK)


def test_contract_without_hidden_layers():
    check_layer(TargetAttention((), normalization="softmax"), [Q, K], mask=MASK)


@pytest.mark.parametrize(
    "arguments, message",
    [
        (
            {"hidden_units": 8},
            "TargetAttention: `hidden_units` must be a tuple of ints >= 1",
        ),
        (
            {"activation": "relo"},
            "`activation` must be the name of a Keras activation. Received: "
            "activation='relo'",
        ),
        (
            {"normalization": "mean"},
            "`normalization` must be one of None, 'softmax', 'scaled_softmax'",
        ),
        ({"seed": -1}, "TargetAttention: `seed` must be an int >= 0"),
        ({"nonsense": 1}, "nonsense"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        TargetAttention(**arguments)


@pytest.mark.parametrize(
    "inputs, mask, message",
    [
        (Q, None, r"`inputs` must be \[query, keys\]"),
        ([K, K], None, r"`query` must have shape \(batch, dim\)"),
        (
            [Q, K[:, :, :2]],
            None,
            r"`keys` must have shape \(batch, time, 3\). Received: keys=\(5, 4, 2\)",
        ),
        ([Q, K], MASK[:, :, None], r"`mask` must have shape \(batch, time\)"),
    ],
)
def test_bad_inputs(inputs, mask, message):
    with pytest.raises(ValueError, match=message):
        TargetAttention()(inputs, mask=mask)
