"""Sets the sections of tfrec's docstrings apart when the API pages are made."""

import re

import griffe

# One-line sections, which Google's style does not know: "Shapes: ...".
SECTION = re.compile(
    r"^(Shapes|Masks|Raises|Returns|Differs|Args, Shapes, Raises|Args): (?=\S)", re.M
)
DOCTEST = re.compile(r"^>>> .*(?:\n.+)*", re.M)


class Sections(griffe.Extension):
    """Gives each one-line section a paragraph of its own, and doctests a fence."""

    def on_object(self, *, obj, **kwargs):
        if obj.docstring is not None:
            text = SECTION.sub(r"\n**\1.** ", obj.docstring.value)
            obj.docstring.value = DOCTEST.sub(r"```pycon\n\g<0>\n```", text)
