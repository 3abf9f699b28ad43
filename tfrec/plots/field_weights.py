"""SENet's weights of fields (arXiv:1905.09433, section 3.3)."""

import numpy as np

from tfrec.plots.drawing import BLUE, GREY, labels, numbers, paper


def field_weights(gates, names, *, title="Weights that SENet gives to fields"):
    """Each field's mean weight over the rows, and how much it varies with them.

    Args:
        gates: `(rows, fields)`, as `SENet.gates` gives them.
        names: the fields' names, such as `ranker_parts(...).names`.
        title: str.

    Returns: a matplotlib Figure, the heaviest field on top; whiskers are one
    standard deviation over the rows.
    Raises: `ValueError` on another shape or number of names.

    >>> field_weights([[0.1, 0.8], [0.3, 0.8]], ["age", "city"]).axes[0].get_xlabel()
    'weight (mean over 2 rows, whiskers: standard deviation)'
    """
    gates = numbers("field_weights", "rows, fields", gates=gates)
    names = labels("field_weights", gates.shape[1], names=names)
    mean, spread = gates.mean(axis=0), gates.std(axis=0)
    order = np.argsort(mean, kind="stable")
    figure = paper(7, 1.4 + 0.32 * len(names))
    panel = figure.subplots()
    panel.barh(
        [names[field] for field in order],
        mean[order],
        xerr=np.stack([np.minimum(spread, mean)[order], spread[order]]),
        color=BLUE,
        ecolor=GREY,
        capsize=3,
    )
    rows = f"{len(gates):,} rows"
    panel.set_xlabel(f"weight (mean over {rows}, whiskers: standard deviation)")
    panel.set(title=title, ylabel="field")
    panel.spines[["top", "right"]].set_visible(False)
    panel.grid(axis="x", alpha=0.3)
    return figure
