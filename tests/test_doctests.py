"""Every example in a docstring runs."""

import doctest
import importlib
import pkgutil

import keras
import numpy as np
import pandas as pd
import pytest
from keras import ops

import tfrec

MODULES = sorted(
    name
    for _, name, is_package in pkgutil.walk_packages(tfrec.__path__, "tfrec.")
    if not is_package and not name.endswith("__main__")
)


@pytest.mark.parametrize("name", MODULES)
def test_examples(name):
    module = importlib.import_module(name)
    found = doctest.testmod(
        module,
        extraglobs={"keras": keras, "np": np, "ops": ops, "pd": pd},
        optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS,
    )
    assert found.failed == 0
