"""DAT: do augmented vectors look like what they mimic (Yu et al., 2021)?"""

import numpy as np

from tfrec import _checks
from tfrec.plots.drawing import BLUE, GREY, numbers, paper

SIDES = (("user's augmented vector", "item"), ("item's augmented vector", "user"))


def augmented_similarity(
    augmented, targets, *, title="Augmented vectors and the other tower's output"
):
    """Cosines of augmented vectors with the other tower's output, by pair.

    Pairs are the rows, which are positives; "another row" pairs each augmented
    vector with the output of the next row. Mimicking has worked where the two
    differ.

    Args:
        augmented: pair of `(rows, dim)`, the user's and the item's augmented
            vectors of positive rows.
        targets: pair of `(rows, dim)`, what they mimic: the item tower's output
            and the user tower's.
        title: str.

    Returns: a matplotlib Figure, one panel a side.
    Raises: `ValueError` on other shapes or fewer than two rows.

    >>> pair = [np.eye(3), np.eye(3)]
    >>> len(augmented_similarity(pair, pair).axes)
    2
    """
    owner = "augmented_similarity"
    for name, pair in (("augmented", augmented), ("targets", targets)):
        if len(pair) != 2:
            raise _checks.argument(owner, name, "must be a pair", len(pair))
    figure = paper(9, 3.4)
    panels = figure.subplots(1, 2, sharex=True)
    for panel, own, target, (what, other) in zip(
        panels, augmented, targets, SIDES, strict=True
    ):
        own = _unit(numbers(owner, "rows, dim", augmented=own))
        rows, dim = own.shape
        target = _unit(numbers(owner, f"{rows}, {dim}", targets=target))
        if rows < 2:
            raise _checks.argument(owner, "augmented", "must have two rows", rows)
        of_pairs = np.sum(own * target, axis=1)
        of_others = np.sum(own * np.roll(target, 1, axis=0), axis=1)
        bins = np.linspace(-1, 1, 41)
        for values, colour, label in (
            (of_others, GREY, f"another row, mean {of_others.mean():.2f}"),
            (of_pairs, BLUE, f"positive pair, mean {of_pairs.mean():.2f}"),
        ):
            weights = np.full(rows, 1 / rows)
            panel.hist(
                values, bins, weights=weights, color=colour, alpha=0.6, label=label
            )
        panel.set(title=what, xlabel=f"cosine with the {other} tower's output")
        panel.set_xticks(np.linspace(-1, 1, 5))
        panel.spines[["top", "right"]].set_visible(False)
        panel.legend(frameon=False, fontsize=8, loc="upper left")
    panels[0].set_ylabel(f"share of {rows:,} rows")
    figure.suptitle(title)
    return figure


def _unit(vectors):
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.maximum(length, 1e-12)
