"""The API pages are made from the docstrings, without a warning."""

import html
import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

import tfrec

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted(page.stem for page in (ROOT / "docs" / "api").glob("*.md"))
BUILD = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir"]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [*BUILD, folder], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("part", PAGES)
def test_every_public_name_is_on_its_page(part, site):
    page = (site / "api" / f"{part}.html").read_text(encoding="utf-8")
    shown = {path.split(".")[-1] for path in re.findall(r'id="(tfrec\.[\w.]+)"', page)}
    module = importlib.import_module(f"tfrec.{part}")
    source = Path(module.__file__).read_text(encoding="utf-8")
    public = set(re.findall(r" as (\w+)", source))
    assert public and public <= shown
    assert not [name for name in shown if name.startswith("_")]


@pytest.mark.slow
def test_sections_and_examples_are_set_apart(site):
    page = (site / "api" / "layers.html").read_text(encoding="utf-8")
    text = html.unescape(page)
    for mark in ("<strong>Shapes.</strong>", "<strong>Raises.</strong>", ">>> "):
        assert mark in re.sub(r"</?span[^>]*>", "", text), mark
    assert "<blockquote>" not in page


def test_every_page_is_in_the_menu():
    menu = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    for page in (ROOT / "docs").rglob("*.md"):
        assert str(page.relative_to(ROOT / "docs")) in menu, page
    assert {"layers", "models", "losses"} <= set(PAGES) <= set(dir(tfrec))
