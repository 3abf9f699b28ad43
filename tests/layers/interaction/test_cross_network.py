import numpy as np
import pytest

from tfrec.layers import CrossNetwork
from tfrec.testing import check_layer

X = np.random.default_rng(0).normal(size=(6, 5)).astype("float32")
FORMS = {
    "vector": {},
    "full": {},
    "low_rank": {"rank": 2},
    "mixture": {"rank": 2, "num_experts": 3},
}


def made(form, num_layers=3, seed=1, **options):
    """A built layer and its weights by name, biases not 0."""
    layer = CrossNetwork(num_layers, form, **{**FORMS[form], **options})
    layer.build(X.shape)
    random = np.random.default_rng(seed)
    weights = {w.name: w for w in layer.weights}
    for weight in weights.values():
        weight.assign(random.normal(size=weight.shape) * 0.5)
    return layer, {name: w.numpy().astype(float) for name, w in weights.items()}


def softmax(z):
    e = np.exp(z - z.max())
    return e / e.sum()


def by_hand(form, w, x0, num_layers):
    """One row, by the equations as printed; the outer product is formed."""
    x = x0
    for layer in range(num_layers):
        b = w[f"bias_{layer}"]
        if form == "vector":
            x = np.outer(x0, x) @ w[f"kernel_{layer}"][:, 0] + b + x
            continue
        if form == "full":
            crossed = x0 * (w[f"kernel_{layer}"].T @ x + b)
        elif form == "low_rank":
            full = w[f"down_{layer}"] @ w[f"up_{layer}"]
            crossed = x0 * (full.T @ x + b)
        else:
            crossed = np.zeros_like(x)
            gate = softmax(w[f"gate_{layer}"].T @ x)
            for expert in range(3):
                h = np.tanh(w[f"down_{layer}"][expert].T @ x)
                h = np.tanh(w[f"middle_{layer}"][expert].T @ h)
                expert_out = x0 * (w[f"up_{layer}"][expert].T @ h + b)
                crossed = crossed + gate[expert] * expert_out
        x = crossed + x
    return x


@pytest.mark.parametrize("form", FORMS)
def test_matches_the_paper(form):
    layer, w = made(form)
    wanted = [by_hand(form, w, row, 3) for row in X.astype(float)]
    np.testing.assert_allclose(layer(X), wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("form", FORMS)
def test_without_weights_it_is_the_identity(form):
    layer, _ = made(form)
    layer.set_weights([np.zeros_like(w) for w in layer.get_weights()])
    np.testing.assert_array_equal(layer(X), X)


def test_vector_without_biases_is_a_multiple_of_the_input():
    layer, w = made("vector")
    factor = np.ones(len(X))
    for number, bias in enumerate(layer.biases):
        bias.assign(0 * bias)
        factor *= 1 + X.astype(float) @ w[f"kernel_{number}"][:, 0]
    np.testing.assert_allclose(layer(X), factor[:, None] * X, rtol=1e-4, atol=1e-5)


def test_full_with_equal_columns_is_the_vector_form():
    vector, w = made("vector")
    full, _ = made("full")
    for number in range(3):
        vector.biases[number].assign(np.zeros(5))
        full.biases[number].assign(np.zeros(5))
        same = w[f"kernel_{number}"] @ np.ones((1, 5))
        full.kernels[number]["kernel"].assign(same)
    np.testing.assert_allclose(full(X), vector(X), rtol=1e-4, atol=1e-5)


def test_low_rank_of_full_rank_is_full():
    full, w = made("full")
    low, _ = made("low_rank", rank=5)
    for number in range(3):
        low.kernels[number]["down"].assign(np.eye(5))
        low.kernels[number]["up"].assign(w[f"kernel_{number}"])
        low.biases[number].assign(w[f"bias_{number}"])
    np.testing.assert_allclose(low(X), full(X), rtol=1e-5, atol=1e-5)


def test_one_expert_of_small_numbers_is_low_rank():
    """There tanh is the identity."""
    low, w = made("low_rank", num_layers=1)
    mixture, _ = made("mixture", num_layers=1, num_experts=1)
    kernels = mixture.kernels[0]
    kernels["down"].assign(1e-3 * w["down_0"][None])
    kernels["middle"].assign(np.eye(2)[None])
    kernels["up"].assign(1e3 * w["up_0"][None])
    mixture.biases[0].assign(w["bias_0"])
    np.testing.assert_allclose(mixture(X), low(X), rtol=1e-4, atol=1e-4)


def test_equal_experts_are_any_one_of_them():
    one, w = made("mixture", num_experts=1)
    three, _ = made("mixture", num_experts=3)
    for number in range(3):
        for name in ("down", "middle", "up"):
            stack = np.repeat(w[f"{name}_{number}"], 3, axis=0)
            three.kernels[number][name].assign(stack)
        three.biases[number].assign(w[f"bias_{number}"])
    np.testing.assert_allclose(three(X), one(X), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("form", ["vector", "full", "low_rank"])
def test_the_degree_is_one_more_than_the_layers(form):
    layer, _ = made(form, num_layers=2)
    scales = np.arange(5)
    outputs = np.array([np.asarray(layer(s * X), float) for s in scales])
    degree = np.polynomial.polynomial.polyfit(scales, outputs.reshape(5, -1), 4)
    size = np.abs(degree).max(axis=1)
    assert size[3] > 0.1 and size[4] < 1e-3


@pytest.mark.parametrize("form", FORMS)
def test_a_seed_gives_the_same_start_and_layers_differ(form):
    layers = [CrossNetwork(2, form, seed=3, **FORMS[form]) for _ in range(2)]
    one, two = ([w.numpy() for w in _built(layer).weights] for layer in layers)
    for first, second in zip(one, two, strict=True):
        np.testing.assert_array_equal(first, second)
    kernels = [w.numpy() for w in layers[0].weights if "bias" not in w.name]
    for place, kernel in enumerate(kernels):
        assert kernel.std() > 0.05
        for other in kernels[place + 1 :]:
            assert kernel.shape != other.shape or np.abs(kernel - other).max() > 0.01


def _built(layer):
    layer.build(X.shape)
    return layer


@pytest.mark.parametrize("form", FORMS)
def test_contract(form):
    check_layer(CrossNetwork(np.int64(2), form, seed=1, **FORMS[form]), X)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"num_layers": 0}, "CrossNetwork: `num_layers` must be an int >= 1. Received"),
        (
            {"form": "vectors"},
            "`form` must be one of 'vector', 'full', 'low_rank', 'mixture'. Received: "
            r"form='vectors' \(str\). Did you mean \"vector\"\?",
        ),
        (
            {"rank": 4},
            r"`rank` must be None for form 'full'. Received: rank=4 \(int\). Drop it, "
            "or set `form` to 'low_rank' or 'mixture'.",
        ),
        ({"form": "low_rank"}, "`rank` must be an int >= 1. Received: rank=None"),
        (
            {"form": "low_rank", "rank": 2, "num_experts": 4},
            "`num_experts` must be None for form 'low_rank'. Received: num_experts=4 ",
        ),
        (
            {"form": "mixture", "rank": 2},
            "`num_experts` must be an int >= 1. Received: num_experts=None",
        ),
        ({"seed": -1}, "`seed` must be an int >= 0. Received: seed=-1"),
        ({"nonsense": 1}, "nonsense"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        CrossNetwork(**arguments)


def test_bad_input():
    message = r"CrossNetwork: `inputs` must have shape \(batch, dim\). Received: inp"
    with pytest.raises(ValueError, match=message):
        CrossNetwork()(X[:, :, None])
