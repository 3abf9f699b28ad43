"""Which sequences of a spec are histories of the item."""

from tfrec import _checks
from tfrec.features import FeatureSpec, Sequence
from tfrec.features.columns import half


def check_histories(owner: str, spec: FeatureSpec, item_id: str) -> list[str]:
    """Names of the user's sequences of items, those that go along another left out.

    Raises: `ValueError` when there is none.

    >>> from tfrec.features import Categorical
    >>> item = Categorical("item_id", side="item")
    >>> spec = FeatureSpec([item, Sequence("history", of="item_id")])
    >>> check_histories("mind", spec, "item_id")
    ['history']
    """
    table = spec.table_of(spec[item_id])
    names = [
        column.name
        for column in spec
        if isinstance(column, Sequence)
        and half(column) == "user"
        and column.along is None
        and spec.table_of(column) == table
    ]
    if not names:
        rule = f'must have a Sequence of the items of "{item_id}", on the user\'s side'
        found = [f"{c.name} of {c.of}" for c in spec if isinstance(c, Sequence)]
        way_out = f'Add Sequence("history", of="{item_id}").'
        raise _checks.argument(owner, "spec", rule, found, way_out)
    return names
