"""MIND's interests of one user and the items nearest to each (arXiv:1904.08030)."""

import numpy as np

from tfrec import _checks
from tfrec.plots.drawing import BLUE, labels, numbers, paper


def interests(vectors, item_vectors, items, *, k=5, title="Interests of one user"):
    """For each interest the k items whose vectors score highest with it.

    Args:
        vectors: `(interests, dim)`, the user's live interests.
        item_vectors: `(items, dim)`, of the items to choose from.
        items: their names.
        k: int >= 1.
        title: str.

    Returns: a matplotlib Figure, one panel an interest, on one scale.
    Raises: `ValueError` on another shape, number of names or k.

    >>> figure = interests(np.eye(2), np.eye(2), ["Alien", "Brazil"], k=1)
    >>> [text.get_text() for text in figure.axes[1].get_yticklabels()]
    ['Brazil']
    """
    owner = "interests"
    _checks.positive_int(owner, k=k)
    vectors = numbers(owner, "interests, dim", vectors=vectors)
    axes = f"items, {vectors.shape[1]}"
    item_vectors = numbers(owner, axes, item_vectors=item_vectors)
    names = np.array(labels(owner, len(item_vectors), items=items), object)
    scores = vectors @ item_vectors.T
    k = min(k, scores.shape[1])
    figure = paper(3.7 * len(vectors) + 0.5, 1.5 + 0.3 * k)
    panels = figure.subplots(1, len(vectors), squeeze=False, sharex=True)[0]
    for number, (panel, found) in enumerate(zip(panels, scores, strict=True), start=1):
        nearest = np.argsort(-found, kind="stable")[:k][::-1]
        panel.barh(np.arange(k), found[nearest], color=BLUE)
        panel.set_yticks(np.arange(k), names[nearest], fontsize=8)
        panel.set(title=f"interest {number}", xlabel="score (inner product)")
        panel.spines[["top", "right"]].set_visible(False)
    figure.suptitle(title)
    return figure
