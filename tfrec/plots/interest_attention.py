"""MIND's label-aware attention over interests (arXiv:1904.08030, section 3.4)."""

import numpy as np

from tfrec.plots.drawing import heat, labels, numbers, paper


def interest_attention(
    weights, items, *, title="Which interest each item is trained with"
):
    """The share that each interest of one user has in an item's training vector.

    Args:
        weights: `(items, interests)`, as `LabelAwareAttention.attention` gives
            them for one user's interests and several items.
        items: the items' names.
        title: str.

    Returns: a matplotlib Figure. A row sums to 1.
    Raises: `ValueError` on another shape or number of names.

    >>> figure = interest_attention([[0.9, 0.1]], ["Alien"])
    >>> [text.get_text() for text in figure.axes[0].get_xticklabels()]
    ['1', '2']
    """
    owner = "interest_attention"
    weights = numbers(owner, "items, interests", weights=weights)
    items = labels(owner, len(weights), items=items)
    figure = paper(4.4 + 0.5 * weights.shape[1], 1.6 + 0.32 * len(items))
    panel = figure.subplots()
    columns = [str(number) for number in np.arange(weights.shape[1]) + 1]
    image = heat(panel, weights, items, columns, (0.0, 1.0))
    panel.tick_params(axis="x", rotation=0)
    panel.set(title=title, xlabel="interest", ylabel="item")
    figure.colorbar(image, ax=panel, label="share")
    return figure
