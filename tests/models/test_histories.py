import pytest

from tfrec.features import Categorical, FeatureSpec, Sequence
from tfrec.models.histories import check_histories

COLUMNS = [
    Categorical("shop", side="item"),
    Categorical("item_id", side="item"),
    Categorical("other", side="item", table="item_id"),
    Sequence("shops", of="shop", max_length=9),
    Sequence("similar", of="item_id", side="item"),
]
CLICKS = [
    Sequence("clicks", of="item_id", max_length=9),
    Sequence("along_shops", of="item_id", along="shops", max_length=9),
    Sequence("orders", of="other", side="context"),
]


def test_histories_share_the_table_of_the_item():
    spec = FeatureSpec([*COLUMNS, *CLICKS])
    assert check_histories("mind", spec, "item_id") == ["clicks", "orders"]


def test_none():
    message = (
        'mind: `spec` must have a Sequence of the items of "item_id", on the user\'s '
        r"side. Received: spec=\['shops of shop', 'similar of item_id'\] \(list\). Add "
        r'Sequence\("history", of="item_id"\).'
    )
    with pytest.raises(ValueError, match=message):
        check_histories("mind", FeatureSpec(COLUMNS), "item_id")
