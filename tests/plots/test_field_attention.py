import numpy as np
import pytest

from tfrec.layers import SelfAttentionInteraction
from tfrec.plots import field_attention


def test_maps_are_means_over_rows(drawn, texts):
    fields = np.random.default_rng(0).normal(size=(5, 3, 4)).astype("float32")
    layer = SelfAttentionInteraction(num_heads=2, units=4, seed=1)
    layer(fields)
    shares = np.asarray(layer.attention(fields), float)
    figure = drawn(field_attention(shares, ["a", "b", "c"]))
    for head in range(2):
        panel = figure.axes[head]
        shown = panel.images[0].get_array()
        np.testing.assert_allclose(shown, shares.mean(axis=0)[head])
        np.testing.assert_allclose(shown.sum(axis=1), 1, atol=1e-6)
        assert panel.images[0].get_clim() == figure.axes[0].images[0].get_clim()
        assert texts(panel, "x") == ["a", "b", "c"]
        assert panel.get_title() == f"head {head + 1}"
    assert figure.axes[0].get_ylabel() == "field that reads"
    assert figure.axes[0].get_xlabel() == "field that is read"


def test_bad_arguments():
    with pytest.raises(ValueError, match="field_attention: `names` must hold 2 texts"):
        field_attention(np.ones((1, 1, 2, 2)), ["a"])
    message = r"`attention` must have shape \(rows, heads, fields, fields\)"
    with pytest.raises(ValueError, match=message):
        field_attention(np.ones((1, 2, 2)), ["a", "b"])
