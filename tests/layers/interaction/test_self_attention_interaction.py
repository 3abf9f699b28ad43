import numpy as np
import pytest
import tensorflow as tf

from tfrec.layers import SelfAttentionInteraction
from tfrec.testing import check_layer

E = np.random.default_rng(0).normal(size=(6, 4, 3)).astype("float32")
MASK = np.arange(4) < np.array([4, 2, 1, 3, 0, 4])[:, None]


def made(**options):
    layer = SelfAttentionInteraction(**{"num_heads": 2, "units": 5, **options})
    layer.build(E.shape)
    random = np.random.default_rng(1)
    layer.set_weights([random.normal(size=w.shape) for w in layer.get_weights()])
    return layer


def by_hand(layer, e, real, scale):
    """One row: the attention (H, F, F) and the output (F, H units)."""
    wq, wk, wv, wr = (
        getattr(layer, name).numpy().astype(float)
        for name in ("query", "key", "value", "residual")
    )
    fields = len(e)
    attention = np.zeros((2, fields, fields))
    out = np.zeros((fields, 10))
    for m in range(fields):
        for h in range(2):
            head = slice(5 * h, 5 * h + 5)
            score = np.array([(e[m] @ wq[:, head]) @ (k @ wk[:, head]) for k in e])
            score = score / np.sqrt(5) if scale else score
            weight = np.where(real, np.exp(score - score.max()), 0)
            attention[h, m] = weight / weight.sum() if real.any() else 0
            for k in range(fields):
                out[m, head] += attention[h, m, k] * (e[k] @ wv[:, head])
        out[m] = np.maximum(out[m] + e[m] @ wr, 0) * real[m]
    return attention, out


@pytest.mark.parametrize("scale", [False, True])
@pytest.mark.parametrize("mask", [None, MASK])
def test_matches_the_paper(scale, mask):
    layer = made(scale=scale)
    found, shares = layer(E, mask=mask), np.asarray(layer.attention(E, mask))
    for row, e in enumerate(E.astype(float)):
        real = np.ones(4, bool) if mask is None else mask[row]
        attention, out = by_hand(layer, e, real, scale)
        np.testing.assert_allclose(shares[row][:, real], attention[:, real], atol=1e-5)
        np.testing.assert_allclose(found[row], out, atol=1e-5)


def test_what_a_field_takes_sums_to_1():
    shares = np.asarray(made().attention(E))
    assert shares.shape == (6, 2, 4, 4) and shares.min() >= 0
    np.testing.assert_allclose(shares.sum(axis=-1), np.ones((6, 2, 4)), atol=1e-6)
    shares = np.asarray(made().attention(E, MASK))
    wanted = np.broadcast_to(MASK.any(axis=1)[:, None, None], (6, 2, 4))
    np.testing.assert_allclose(shares.sum(axis=-1), wanted, atol=1e-6)


def test_fields_may_change_places():
    layer = made()
    order = np.random.default_rng(2).permutation(4)
    wanted = np.asarray(layer(E))[:, order]
    np.testing.assert_allclose(layer(E[:, order]), wanted, atol=1e-5)


def test_without_queries_every_field_takes_the_mean():
    layer = made()
    layer.query.assign(0 * layer.query)
    e = E.astype(float)
    mean = (e @ layer.value.numpy()).mean(axis=1, keepdims=True)
    wanted = np.maximum(mean + e @ layer.residual.numpy(), 0)
    np.testing.assert_allclose(layer(E), wanted, atol=1e-5)


def test_one_field_takes_itself():
    layer, e = made(), E[:, :1].astype(float)
    wanted = np.maximum(e @ (layer.value.numpy() + layer.residual.numpy()), 0)
    np.testing.assert_allclose(layer(E[:, :1]), wanted, atol=1e-5)


def test_kernels_do_not_start_alike():
    layer = SelfAttentionInteraction(seed=1)
    layer.build(E.shape)
    kernels = layer.get_weights()
    for place, kernel in enumerate(kernels):
        for other in kernels[place + 1 :]:
            assert np.abs(kernel - other).max() > 0.1


@pytest.mark.parametrize("options", [{}, {"scale": True, "num_heads": np.int64(1)}])
@pytest.mark.parametrize("mask", [None, MASK])
def test_contract(options, mask):
    layer = SelfAttentionInteraction(**{"units": 3, "seed": 1, **options})
    check_layer(layer, E, mask=mask)


def test_a_graph_need_not_know_the_fields():
    layer = made()
    call = tf.function(layer, input_signature=[tf.TensorSpec([None, None, None])])
    np.testing.assert_allclose(call(E), layer(E), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    "arguments, message",
    [
        (
            {"num_heads": 0},
            "SelfAttentionInteraction: `num_heads` must be an int >= 1. Received: ",
        ),
        ({"units": 2.0}, r"`units` must be an int >= 1. Received: units=2.0 \(float\)"),
        ({"scale": None}, "`scale` must be True or False. Received: scale=None"),
        ({"seed": -1}, "`seed` must be an int >= 0. Received: seed=-1"),
        ({"nonsense": 1}, "nonsense"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        SelfAttentionInteraction(**arguments)


def test_bad_input():
    message = r"SelfAttentionInteraction: `inputs` must have shape \(batch, fields, dim"
    with pytest.raises(ValueError, match=message):
        SelfAttentionInteraction()(E[0])
