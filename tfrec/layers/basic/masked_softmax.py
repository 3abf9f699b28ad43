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
    # Less the largest, not less the logarithm of the sum: that loses the sum itself
    # where scores are large. Where nothing is real the weights are 0.
    top = ops.max(wide, axis=-1, keepdims=True, initial=MASKED)
    raised = ops.exp(wide - ops.stop_gradient(top))
    if mask is not None:
        raised = ops.where(mask, raised, 0.0)
    total = ops.sum(raised, axis=-1, keepdims=True)
    weights = raised / ops.where(total == 0, 1.0, total)
    return ops.cast(weights, scores.dtype)
