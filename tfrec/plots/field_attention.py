"""AutoInt's attention between fields (arXiv:1810.11921, section 4.4)."""

from tfrec.plots.drawing import heat, labels, numbers, paper


def field_attention(attention, names, *, title="Which fields AutoInt mixes"):
    """What each field takes of each, one map a head, mean over the rows.

    Args:
        attention: `(rows, heads, fields, fields)`, as
            `SelfAttentionInteraction.attention` gives it.
        names: the fields' names, such as `ranker_parts(...).names`.
        title: str.

    Returns: a matplotlib Figure. A row of a map sums to 1; the colours run from the
    smallest share to the largest, so that even small leanings show.
    Raises: `ValueError` on another shape or number of names.

    >>> figure = field_attention(np.full((3, 2, 2, 2), 0.5), ["age", "city"])
    >>> [panel.get_title() for panel in figure.axes[:2]]
    ['head 1', 'head 2']
    """
    owner = "field_attention"
    attention = numbers(owner, "rows, heads, fields, fields", attention=attention)
    names = labels(owner, attention.shape[3], names=names)
    maps = attention.mean(axis=0)
    low, high = float(maps.min()), float(maps.max())
    limits = (low, high) if high > low else (0.0, 1.0)
    size = 1.6 + 0.42 * len(names)
    figure = paper(1 + size * len(maps), size)
    panels = figure.subplots(1, len(maps), squeeze=False, sharey=True)[0]
    for head, (panel, values) in enumerate(zip(panels, maps, strict=True), start=1):
        image = heat(panel, values, names, names, limits)
        panel.set(title=f"head {head}", xlabel="field that is read")
    panels[0].set_ylabel("field that reads")
    figure.colorbar(
        image, ax=list(panels), label=f"share (even: {1 / len(names):.2f})", shrink=0.8
    )
    figure.suptitle(title)
    return figure
