import pytest

from tfrec.features import Categorical, FeatureSpec, Numeric, Sequence
from tfrec.features.describe import describe

SPEC = FeatureSpec(
    [
        Categorical("item", side="item", hash_buckets=98, embedding_dim=4),
        Sequence("history", of="item"),
        Numeric("price", side="item", shape=(3,)),
        Categorical("shop", side="item", serve=False),
    ]
)


def test_bytes_of_a_table_count_once():
    lines = describe(SPEC.without("shop"), slots=2).splitlines()
    first = ["item", "categorical", "item", "yes", "item", "100", "4", "6,000"]
    assert lines[1].split() == first
    assert lines[2].split()[-1] == "(shared)"
    assert lines[3].split() == ["price", "numeric", "item", "yes", "3"]
    assert lines[-2].split() == ["total", "6,000"]
    assert lines[-1].split() == ["in", "training,", "about", "800,006,000"]
    assert len({len(line) for line in (lines[0], *lines[-2:])}) == 1
    bare = describe(SPEC.without("shop"), slots=2, linear=False).splitlines()
    assert bare[1].split()[-1] == "4,800"


def test_before_adapt_rows_are_not_known():
    assert describe(SPEC).splitlines()[4].split()[-1] == "?"


@pytest.mark.parametrize("slots", [-1, 1.5, None])
def test_errors(slots):
    with pytest.raises(ValueError, match="describe: `slots` must be an int >= 0."):
        describe(SPEC, slots=slots)
    with pytest.raises(ValueError, match="describe: `linear` must be True or False"):
        describe(SPEC, linear=1)


def test_tables_of_known_size_are_counted_beside_others():
    spec = FeatureSpec(
        [Categorical("a", side="user"), Categorical("b", side="user", hash_buckets=98)]
    )
    lines = describe(spec).splitlines()
    assert lines[1].split()[-1] == "?"
    assert lines[2].split()[-3:] == ["100", "16", "13,600"]
    assert lines[3].startswith("total, of what is known") and "13,600" in lines[3]
