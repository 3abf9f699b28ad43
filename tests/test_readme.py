"""The examples of README and docs run as they stand, in order, in an empty folder."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
WRITES = {
    "README.md": ("user_tower/1", "item_tower/1"),
    "docs/day_by_day.md": ("ranker/1", "ranker/2"),
}


def examples(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    return re.findall(r"```python\n(.*?)```", text, re.S)


def test_every_page_with_examples_is_run():
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    names = [str(page.relative_to(ROOT)) for page in pages]
    assert [name for name in names if examples(name)] == list(WRITES)


@pytest.mark.slow
@pytest.mark.parametrize("page", WRITES)
def test_examples_run(page, tmp_path):
    script = tmp_path / "page.py"
    script.write_text("\n".join(examples(page)), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, str(script)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (folder,) = (tmp_path / "saved_models").iterdir()
    for version in WRITES[page]:
        assert (folder / version / "saved_model.pb").is_file()
