"""DIN's attention of candidates over one history (arXiv:1706.06978, section 4.3)."""

from tfrec.plots.drawing import around, heat, labels, numbers, paper


def history_attention(
    weights, history, candidates, *, title="What each candidate takes of the history"
):
    """How strongly each candidate calls up each step of one history.

    Args:
        weights: `(candidates, steps)`, as `TargetAttention.attention` gives them.
            Without a softmax they may be negative and need not sum to 1.
        history: names of the steps, oldest first.
        candidates: their names.
        title: str.

    Returns: a matplotlib Figure. Where weights are negative, red adds a step's
    vector and blue takes it away.
    Raises: `ValueError` on another shape or number of names.

    >>> figure = history_attention([[0.5, -0.1]], ["Alien", "Brazil"], ["Contact"])
    >>> figure.axes[0].get_ylabel()
    'candidate'
    """
    owner = "history_attention"
    weights = numbers(owner, "candidates, steps", weights=weights)
    history = labels(owner, weights.shape[1], history=history)
    candidates = labels(owner, weights.shape[0], candidates=candidates)
    figure = paper(4 + 0.5 * len(history), 2.6 + 0.34 * len(candidates))
    panel = figure.subplots()
    image = heat(panel, weights, candidates, history, around(weights))
    panel.set(title=title, xlabel="history, oldest first", ylabel="candidate")
    figure.colorbar(image, ax=panel, label="weight of the step")
    return figure
