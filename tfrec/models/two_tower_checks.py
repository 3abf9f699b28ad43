"""What a `TwoTower` refuses to be made of."""

import keras

from tfrec import _checks
from tfrec.layers.sequence.label_aware_attention import LabelAwareAttention


def check_pair(owner, **towers):
    """Raises unless both are functional models with inputs of their own."""
    for name, tower in towers.items():
        if not isinstance(tower, keras.Model) or not getattr(tower, "inputs", None):
            rule = "must be a functional keras.Model with named inputs"
            raise _checks.argument(owner, name, rule, tower, kind=TypeError)
    names = [{tensor.name for tensor in tower.inputs} for tower in towers.values()]
    both = sorted(set.intersection(*names))
    if both:
        rule = "must each read columns of their own"
        raise _checks.argument(owner, "towers", rule, both)


def check_attention(owner, attention):
    """Raises `TypeError` unless it is a LabelAwareAttention or None."""
    if attention is not None and not isinstance(attention, LabelAwareAttention):
        rule = "must be a LabelAwareAttention or None"
        raise _checks.argument(owner, "attention", rule, attention, kind=TypeError)


def check_widths(owner, user_tower, item_tower, attention):
    """Raises unless the towers end in vectors of one width.

    One vector each, or several of the user's where there is an attention.
    """
    users = [tuple(tensor.shape) for tensor in user_tower.outputs]
    items = tuple(item_tower.output_shape)
    if attention is None:
        fits = users == [items] and len(items) == 2
        rule = "must both end in (batch, dim) of one width"
        way_out = ""
        if len(users[0]) == 3:
            way_out = "Pass `attention` for a user tower of several interests."
    else:
        fits = len(users[0]) == 3 and users[0][2:] == items[1:] and len(items) == 2
        fits = fits and users[1:] in ([], [(None,)])
        rule = "must end in (batch, interests, dim), with or without (batch,), and in "
        rule += "(batch, dim) of one width"
        way_out = ""
    if not fits:
        received = (*users, items)
        raise _checks.argument(owner, "towers", rule, received, way_out)


def check_mimic(owner, mimic):
    """Raises `ValueError` unless it is a pair of weights."""
    if not isinstance(mimic, (tuple, list)) or len(mimic) != 2:
        raise _checks.argument(owner, "mimic", "must be a pair of numbers", mimic)
    for weight in mimic:
        _checks.number(owner, 0, mimic=weight)


def augmented_pair(owner, augmented, *towers):
    """The pair of tensors as a tuple, `()` where there is none.

    Raises: `ValueError` when they are not of the towers' shape.
    """
    if augmented is None:
        return ()
    shapes = [getattr(tensor, "shape", None) for tensor in augmented]
    wanted = towers[1].output_shape
    if len(shapes) != 2 or any(shape != wanted for shape in shapes):
        rule = f"must be a pair of tensors of the towers' shape {wanted}"
        raise _checks.argument(owner, "augmented", rule, shapes)
    return tuple(augmented)
