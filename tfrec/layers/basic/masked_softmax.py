"""Softmax over what is there; all 0 where nothing is."""

from keras import ops

MASKED = -1e30


def masked_softmax(scores, mask=None):
    """`a_t = m_t exp(s_t) / sum_u m_u exp(s_u)` over the last axis; 0 without any m.

    Unlike `ops.softmax` it takes an axis of one entry, whose weight then is 1.

    Args:
        scores: float tensor; computed in float32, given back in its own type.
        mask: bool tensor that broadcasts to its shape, True = real; None: all are.

    >>> scores, mask = ops.array([[0.0, 5.0], [1.0, 1.0]]), ops.array([[True, False]])
    >>> masked_softmax(scores, mask).numpy().tolist()
    [[1.0, 0.0], [1.0, 0.0]]
    """
    wide = ops.cast(scores, "float32")
    if mask is not None:
        wide = ops.where(mask, wide, MASKED)
    if wide.shape[-1] == 1:
        weights = ops.ones_like(wide)
    else:
        weights = ops.softmax(wide)
    if mask is not None:  # where nothing is real, all of a row
        weights = ops.where(mask, weights, 0.0)
    return ops.cast(weights, scores.dtype)
