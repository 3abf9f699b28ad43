"""How all pictures look: paper, colours, maps of numbers."""

import numpy as np
from matplotlib.figure import Figure

from tfrec import _checks

BLUE, ORANGE, GREY = "#2f6db3", "#d9782d", "#8a8f98"
LONGEST = 34  # characters of a label
MOST_WRITTEN = 12  # columns of a map that has its numbers written in


def numbers(owner, axes, **arguments):
    """The one argument as a float array of so many named axes.

    Raises: `ValueError` on another shape, on no numbers and on NaN or infinity.

    >>> numbers("field_weights", "rows, fields", gates=[[1, 2]]).tolist()
    [[1.0, 2.0]]
    """
    ((name, value),) = arguments.items()
    array = np.asarray(value, float)
    _checks.shape(owner, **{name: (array.shape, axes)})
    if not array.size or not np.isfinite(array).all():
        rule = "must be finite numbers, at least one"
        raise _checks.argument(owner, name, rule, array)
    return array


def labels(owner, count, **arguments):
    """The one argument as short texts, `count` of them.

    >>> labels("field_weights", 1, names=["x" * 50])[0][-3:]
    'xx…'
    """
    ((name, value),) = arguments.items()
    texts = [str(text) for text in value]
    if len(texts) != count:
        rule = f"must hold {count} texts"
        raise _checks.argument(owner, name, rule, len(texts))
    return [t if len(t) <= LONGEST else t[: LONGEST - 1] + "…" for t in texts]


def paper(width, height):
    """A figure whose parts make room for each other."""
    return Figure(figsize=(width, height), layout="constrained", dpi=100)


def heat(panel, values, rows, columns, limits):
    """A map of numbers between two limits, written in where there is room."""
    low, high = limits
    colours = "RdBu_r" if low < 0 else "Blues"
    image = panel.imshow(values, cmap=colours, vmin=low, vmax=high, aspect="auto")
    panel.set_yticks(range(len(rows)), rows)
    turned = {"rotation": 40, "ha": "right", "rotation_mode": "anchor"}
    panel.set_xticks(range(len(columns)), columns, **turned)
    if len(columns) <= MOST_WRITTEN:
        for (row, column), value in np.ndenumerate(values):
            place = (value - low) / (high - low)  # dark: high, and low where signed
            dark = place > 0.7 or (low < 0 and place < 0.2)
            panel.text(
                column,
                row,
                f"{value:.2f}",
                ha="center",
                va="center",
                color="white" if dark else "black",
                fontsize=7,
            )
    for side in panel.spines.values():
        side.set_visible(False)
    return image


def around(values):
    """Limits of a map: from 0, or as far below it as above where some are negative.

    >>> around(np.array([1.0, 3.0])), around(np.array([-2.0, 1.0]))
    ((0.0, 3.0), (-2.0, 2.0))
    """
    most = float(np.abs(values).max()) or 1.0
    return (-most if values.min() < 0 else 0.0), most
