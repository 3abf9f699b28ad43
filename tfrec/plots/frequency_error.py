"""Error curves of streaming frequency estimation (Yi et al., RecSys 2019)."""

from tfrec import _checks
from tfrec.plots.drawing import GREY, numbers, paper


def frequency_error(
    curves, *, switch=None, title="Streaming frequency: error of the estimate"
):
    """The error of estimated frequencies as the stream goes on, a line a setting.

    Args:
        curves: {label: (steps, errors)}, as `frequency_simulation` gives them.
        switch: number or None. The step at which popularity turns round.
        title: str.

    Returns: a matplotlib Figure.
    Raises: `ValueError` on no curve, or steps and errors of different length.

    >>> figure = frequency_error({"1 hash": ([0, 1], [0.5, 0.4])}, switch=1)
    >>> figure.axes[0].get_xlabel()
    'training step'
    """
    owner = "frequency_error"
    if not curves:
        raise _checks.argument(owner, "curves", "must hold a curve", curves)
    figure = paper(8, 4)
    panel = figure.subplots()
    for label, (steps, errors) in curves.items():
        steps = numbers(owner, "steps", steps=steps)
        errors = numbers(owner, f"{len(steps)}", errors=errors)
        panel.plot(steps, errors, label=str(label), linewidth=1.5)
    if switch is not None:
        panel.axvline(switch, color=GREY, linestyle=":", linewidth=1)
        place = (switch, 0.99)
        panel.annotate(
            " popularity turns round",
            place,
            xycoords=("data", "axes fraction"),
            va="top",
            fontsize=8,
            color=GREY,
        )
    panel.set(title=title, xlabel="training step", ylim=(0, None))
    panel.set_ylabel("error, sum of |estimate - truth| / (2 · batch size)")
    panel.spines[["top", "right"]].set_visible(False)
    panel.grid(alpha=0.3)
    panel.legend(frameon=False)
    return figure
