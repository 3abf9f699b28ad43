"""What tests of pictures share."""

import pytest


@pytest.fixture
def texts():
    """The labels along an axis of a panel."""

    def read(panel, axis):
        return [text.get_text() for text in getattr(panel, f"get_{axis}ticklabels")()]

    return read


@pytest.fixture
def drawn():
    """Draws a figure for good: what a backend would refuse fails here."""

    def draw(figure):
        import io

        figure.savefig(io.BytesIO(), format="png", dpi=40)
        return figure

    return draw
