import numpy as np
import pytest

from tfrec.layers import PaddingMask
from tfrec.testing import check_layer

IDS = np.array([[3, 1, 0], [0, 0, 0], [0, 7, -2]], "int32")


def test_matches_the_definition():
    wanted = [[True, True, False], [False] * 3, [False, True, True]]
    assert PaddingMask()(IDS).numpy().tolist() == wanted


def test_longer_padding_is_false():
    longer = np.pad(IDS, ((0, 0), (0, 7)))
    mask = PaddingMask()(longer).numpy()
    assert not mask[:, 3:].any()
    np.testing.assert_array_equal(mask[:, :3], PaddingMask()(IDS))


def test_contract():
    check_layer(PaddingMask(), IDS)


def test_bad_arguments():
    with pytest.raises(ValueError, match="nonsense"):
        PaddingMask(nonsense=1)
