"""The one place that words argument errors.

Every message reads: owner, argument in backticks (or column in double quotes),
the rule, what was received, and the way out when there is one.
"""

from __future__ import annotations

import difflib
import math
import numbers
from collections.abc import Iterable
from typing import Any


def owner_name(owner: Any) -> str:
    """The name an error starts with: a string as it is, else the class's name."""
    if isinstance(owner, str):
        return owner
    return owner.__name__ if isinstance(owner, type) else type(owner).__name__


def show(value: Any, limit: int = 120) -> str:
    """`value` as an error shows it: its repr, cut, with the type behind it."""
    text = repr(value)
    if len(text) > limit:
        text = text[: limit - 3] + "..."
    return f"{text} ({type(value).__name__})"


def quoted(names: Iterable[Any], limit: int = 20) -> str:
    """`"a", "b", "c"`, cut after `limit` names."""
    names = [f'"{name}"' for name in names]
    more = len(names) - limit
    return ", ".join(names[:limit]) + (f" and {more} more" if more > 0 else "")


def closest(name: Any, known: Iterable[Any]) -> str:
    """` Did you mean "x"?` when a known name is near, else nothing."""
    near = difflib.get_close_matches(str(name), [str(one) for one in known], n=1)
    return f' Did you mean "{near[0]}"?' if near else ""


def argument(
    owner: Any,
    name: str,
    rule: str,
    received: Any,
    way_out: str = "",
    kind: type[Exception] = ValueError,
) -> Exception:
    """An error about an argument; the caller raises it.

    >>> print(argument("CrossNetwork", "num_layers", "must be an int >= 1", 0))
    CrossNetwork: `num_layers` must be an int >= 1. Received: num_layers=0 (int).
    """
    message = f"{owner_name(owner)}: `{name}` {rule}."
    message += f" Received: {name}={show(received)}."
    return kind(f"{message} {way_out}".rstrip())


def column(
    owner: Any,
    name: str,
    rule: str,
    received: str,
    way_out: str = "",
    kind: type[Exception] = ValueError,
) -> Exception:
    """An error about a column; `received` is already worded.

    >>> print(column("FeatureSpec", "age", "must be in the rows", '"user_id"'))
    FeatureSpec: column "age" must be in the rows. Received: "user_id".
    """
    message = f'{owner_name(owner)}: column "{name}" {rule}. Received: {received}.'
    return kind(f"{message} {way_out}".rstrip())


def is_int(value: Any) -> bool:
    """True for Python and NumPy integers, not for bool."""
    return isinstance(value, numbers.Integral) and not isinstance(value, bool)


def is_number(value: Any) -> bool:
    """True for finite Python and NumPy real numbers, not for bool."""
    if isinstance(value, numbers.Integral):
        return is_int(value)
    return isinstance(value, numbers.Real) and math.isfinite(value)


def integer(owner: Any, minimum: int = 0, **arguments: Any) -> None:
    """Each argument is an int >= `minimum`."""
    for name, value in arguments.items():
        if not is_int(value) or value < minimum:
            raise argument(owner, name, f"must be an int >= {minimum}", value)


def positive_int(owner: Any, **arguments: Any) -> None:
    """Each argument is an int >= 1."""
    integer(owner, 1, **arguments)


def number(
    owner: Any,
    minimum: float = -math.inf,
    maximum: float = math.inf,
    *,
    above: float | None = None,
    **arguments: Any,
) -> None:
    """Each argument is a finite number in [minimum, maximum], or > `above`."""
    for name, value in arguments.items():
        if is_number(value) and minimum <= value <= maximum:
            if above is None or value > above:
                continue
        if above is not None:
            rule = f"must be a number > {above}"
        elif math.isfinite(minimum) and math.isfinite(maximum):
            rule = f"must be a number in [{minimum}, {maximum}]"
        elif math.isfinite(minimum):
            rule = f"must be a number >= {minimum}"
        else:
            rule = "must be a finite number"
        raise argument(owner, name, rule, value)


def rate(owner: Any, **arguments: Any) -> None:
    """Each argument is a number in [0, 1)."""
    for name, value in arguments.items():
        if not is_number(value) or not 0 <= value < 1:
            raise argument(owner, name, "must be a number in [0, 1)", value)


def boolean(owner: Any, **arguments: Any) -> None:
    """Each argument is True or False."""
    for name, value in arguments.items():
        if not isinstance(value, bool):
            raise argument(owner, name, "must be True or False", value)


def string(owner: Any, **arguments: Any) -> None:
    """Each argument is a non-empty string."""
    for name, value in arguments.items():
        if not isinstance(value, str) or not value:
            raise argument(owner, name, "must be a non-empty string", value)


def one_of(owner: Any, choices: Iterable[Any], **arguments: Any) -> None:
    """Each argument is one of `choices`."""
    choices = list(choices)
    for name, value in arguments.items():
        if not any(
            value is c or (type(value) is type(c) and value == c) for c in choices
        ):
            shown = ", ".join(repr(choice) for choice in choices)
            hint = closest(value, [c for c in choices if isinstance(c, str)]).strip()
            raise argument(owner, name, f"must be one of {shown}", value, hint)


def hidden_units(owner: Any, **arguments: Any) -> None:
    """Each argument is a tuple or list of ints >= 1 (may be empty)."""
    for name, value in arguments.items():
        if not isinstance(value, (tuple, list)) or not all(
            is_int(units) and units >= 1 for units in value
        ):
            raise argument(owner, name, "must be a tuple of ints >= 1", value)


def shape(owner: Any, **arguments: tuple[Any, str]) -> None:
    """Each argument is `(shape, "axis, axis, ...")`; the ranks must agree.

    An axis named with a number must have that size.
    """
    for name, (received, wanted) in arguments.items():
        axes = [axis.strip() for axis in wanted.split(",")]
        fits = len(received) == len(axes) and all(
            size is None or not axis.isdigit() or int(axis) == size
            for size, axis in zip(received, axes, strict=True)
        )
        if not fits:
            raise argument(owner, name, f"must have shape ({wanted})", tuple(received))
