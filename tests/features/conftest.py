"""Columns of every kind, and what is made of one of them."""

import pytest

from tfrec.features import (
    Bucketized,
    Categorical,
    FeatureSpec,
    MultiCategorical,
    Numeric,
    Sequence,
)
from tfrec.features.carriers import read_columns
from tfrec.features.rows import typed

KINDS = FeatureSpec(
    [
        Categorical("city", side="user"),
        Categorical("shop", side="item", dtype="int64"),
        MultiCategorical("tags", side="item", max_length=3),
        MultiCategorical("words", side="item", separator="|", max_length=3),
        Sequence("cities", of="city", max_length=3),
        Sequence("shops", of="shop", max_length=3),
        Sequence("codes", of="shop", max_length=3, separator=","),
        Sequence("dashed", of="city", max_length=3, separator="|", padding="-"),
        Numeric("age", side="user"),
        Numeric("price", side="item", fill=-1.0),
        Numeric("vector", side="item", shape=(2,)),
        Numeric("filled", side="item", shape=(2,), fill=0.5),
        Bucketized("hour", side="context", boundaries=(6, 12)),
    ]
)


@pytest.fixture(scope="session")
def kinds():
    """A spec of columns of every kind."""
    return KINDS


@pytest.fixture(scope="session")
def read():
    """What `typed` makes of one column, as a list."""

    def read(name, values):
        arrays = read_columns({name: values}, [name])
        return typed(KINDS, arrays, [name])[name].to_pylist()

    return read


@pytest.fixture(scope="session")
def refused(read):
    """Checks that a column is refused, what is said, and that a way out is named."""

    def refused(name, values, text, way_out):
        with pytest.raises(ValueError) as error:
            read(name, values)
        message = str(error.value)
        assert text in message
        assert message.startswith(f'FeatureSpec: column "{name}" ')
        assert way_out in message.split("Received: ", 1)[1]

    return refused
