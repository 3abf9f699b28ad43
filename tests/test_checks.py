import math
import re

import numpy as np
import pytest

from tfrec import _checks


class Owner:
    pass


@pytest.mark.parametrize(
    ("owner", "name"), [("from_csv", "from_csv"), (Owner, "Owner"), (Owner(), "Owner")]
)
def test_owner_is_named(owner, name):
    error = _checks.argument(owner, "units", "must be an int", "x", "Pass an int.")
    wanted = f"{name}: `units` must be an int. Received: units='x' (str). Pass an int."
    assert type(error) is ValueError and str(error) == wanted
    assert type(_checks.argument(owner, "a", "is", 1, kind=TypeError)) is TypeError


def test_column_error():
    error = _checks.column(Owner(), "age", "must be there", '"a", "b"', "Add it.")
    wanted = 'Owner: column "age" must be there. Received: "a", "b". Add it.'
    assert type(error) is ValueError and str(error) == wanted
    assert type(_checks.column(Owner, "a", "b", "c", kind=KeyError)) is KeyError


def test_long_values_and_name_lists_are_cut():
    shown = _checks.show("x" * 500)
    assert len(shown) == 120 + len(" (str)") and "..." in shown
    assert _checks.quoted(range(3)) == '"0", "1", "2"'
    assert _checks.quoted(range(22)).endswith('"19" and 2 more')


@pytest.mark.parametrize(
    ("name", "known", "hint"),
    [
        ("user_idd", ["user_id", "x"], ' Did you mean "user_id"?'),
        ("zebra", ["user_id"], ""),
        ("user", [], ""),
        (3, [1, ("a", "b"), None], ""),  # names of other types are no reason to fail
    ],
)
def test_closest(name, known, hint):
    assert _checks.closest(name, known) == hint


@pytest.mark.parametrize(
    ("value", "is_int", "is_number"),
    [
        (0, True, True),
        (-5, True, True),
        (np.int64(3), True, True),
        (np.uint8(3), True, True),
        (10**400, True, True),
        (0.5, False, True),
        (np.float32(0.5), False, True),
        (math.nan, False, False),
        (math.inf, False, False),
        (np.float64("-inf"), False, False),
        (True, False, False),
        (np.bool_(True), False, False),
        ("1", False, False),
        (None, False, False),
        (1j, False, False),
        ([1], False, False),
        (np.ones(1), False, False),
    ],
)
def test_what_counts_as_a_number(value, is_int, is_number):
    assert _checks.is_int(value) is is_int
    assert _checks.is_number(value) is is_number


def check(name, *arguments, **options):
    return lambda value: getattr(_checks, name)(
        "Owner", *arguments, **options, units=value
    )


@pytest.mark.parametrize(
    ("test", "good", "bad", "rule"),
    [
        (check("integer"), [0, 7], [-1, 0.0, True, "1", None], "must be an int >= 0"),
        (check("integer", 2), [2, np.int8(2)], [1], "must be an int >= 2"),
        (check("positive_int"), [1], [0, 1.0, False], "must be an int >= 1"),
        (
            check("number"),
            [-1e30, 0, np.float32(1)],
            [math.nan, math.inf, True, "1", None],
            "must be a finite number",
        ),
        (check("number", 0), [0, 1e9], [-1e-9], "must be a number >= 0"),
        (check("number", 0, 1), [0, 1], [1.1, -0.1], "must be a number in [0, 1]"),
        (check("number", above=0), [1e-9], [0, -1, math.nan], "must be a number > 0"),
        (check("rate"), [0, 0.99], [1, -0.1, None], "must be a number in [0, 1)"),
        (check("boolean"), [True, False], [1, 0, None], "must be True or False"),
        (check("string"), ["a"], ["", None, b"a", 1], "must be a non-empty string"),
        (
            check("one_of", ["mean", 1, None]),
            ["mean", 1, None],
            ["sum", True, 1.0, ["mean"]],
            "must be one of 'mean', 1, None",
        ),
        (
            check("hidden_units"),
            [(), (1, 2), [3]],
            [8, (0,), (1.0,), "8", None, (True,)],
            "must be a tuple of ints >= 1",
        ),
    ],
)
def test_checks(test, good, bad, rule):
    for value in good:
        test(value)
    for value in bad:
        text = f"Owner: `units` {rule}. Received: units={_checks.show(value)}."
        with pytest.raises(ValueError, match=re.escape(text)):
            test(value)


def test_one_of_offers_the_near_choice():
    with pytest.raises(ValueError, match='Did you mean "mean"'):
        _checks.one_of("Owner", ["mean", "sum"], combiner="meen")


def test_several_arguments_name_the_bad_one():
    with pytest.raises(ValueError, match="`b` must be an int >= 1"):
        _checks.positive_int("Owner", a=1, b=0)


def test_shape():
    _checks.shape("Owner", inputs=((None, 4), "batch, dim"), mask=((2, 3), "batch, 3"))
    for shape, wanted in (((2,), "batch, dim"), ((2, 4), "batch, 3"), ((), "batch")):
        text = f"Owner: `x` must have shape ({wanted}). Received: x={shape!r} (tuple)."
        with pytest.raises(ValueError, match=re.escape(text)):
            _checks.shape("Owner", x=(shape, wanted))
