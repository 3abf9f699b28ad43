import numpy as np

from tfrec.features import Categorical, FeatureSpec, MultiCategorical, Numeric
from tfrec.features import NumericSequence as Along
from tfrec.index.items import row_hashes

SPEC = FeatureSpec(
    [
        Categorical("item", side="item"),
        MultiCategorical("tags", side="item"),
        Along("shares", along="tags", side="item"),
        Numeric("price", side="item"),
    ]
)


def hashes(item=b"a", tags=(b"x", b"y"), shares=(1, 2), price=3.0):
    rows = {
        "item": np.array([item], object),
        "tags": np.array([tags], object),
        "shares": np.array([shares], "float32"),
        "price": np.array([price], "float32"),
    }
    return row_hashes(SPEC, rows)[0].as_py()


def test_padding_does_not_count():
    wide = hashes(tags=(b"x", b"y", b"", b""), shares=(1, 2, np.nan, np.nan))
    assert wide == hashes()


def test_everything_else_counts():
    variants = [
        hashes(),
        hashes(item=b"b"),
        hashes(tags=(b"xy", b"")),
        hashes(tags=(b"y", b"x")),
        hashes(tags=(b"", b"x")),
        hashes(shares=(2, 1)),
        hashes(price=3.0000002),
    ]
    assert len(set(variants)) == len(variants)
    assert len(variants[0]) == 16
