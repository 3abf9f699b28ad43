"""The examples of README and docs run as they stand, in order, in an empty folder.

A page's Python is one script; where it has `bash` blocks too, each block of Python
is one, and all that stands on the page is one script of bash.
"""

import os
import re
import shlex
import socket
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
WRITES = {
    "README.md": ("user_tower/1", "item_tower/1"),
    "docs/day_by_day.md": ("ranker/1", "ranker/2"),
    "docs/serving.md": ("user_tower/1", "recommender/1"),
}


def examples(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    return re.findall(r"```python\n(.*?)```", text, re.S)


def blocks(page):
    """(language, text) of the blocks that run."""
    text = (ROOT / page).read_text(encoding="utf-8")
    return re.findall(r"```(python|bash)\n(.*?)```", text, re.S)


def program(page, folder):
    """The command that runs a page, whose files are written into the folder."""
    if not any(language == "bash" for language, _ in blocks(page)):
        script = folder / "page.py"
        script.write_text("\n".join(examples(page)), encoding="utf-8")
        return [sys.executable, str(script)]
    lines = ["set -e", "trap 'kill $(jobs -p) 2> /dev/null || true' EXIT"]
    for number, (language, text) in enumerate(blocks(page)):
        if language == "python":
            script = folder / f"block_{number}.py"
            script.write_text(ports(text), encoding="utf-8")
            text = shlex.join([sys.executable, str(script)])
        lines.append(ports(text))
    return ["bash", "-c", "\n".join(lines)]


FREE = {}


def ports(text):
    """The text with free ports for those that the pages name."""
    for port in ("8500", "8501"):
        if port not in FREE:
            with socket.create_server(("127.0.0.1", 0)) as free:
                FREE[port] = str(free.getsockname()[1])
        text = re.sub(rf"\b{port}\b", FREE[port], text)
    return text


def test_every_page_with_examples_is_run():
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    names = [str(page.relative_to(ROOT)) for page in pages]
    assert [name for name in names if examples(name)] == list(WRITES)


@pytest.mark.slow
@pytest.mark.parametrize("page", WRITES)
def test_examples_run(page, tmp_path):
    binaries = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    done = subprocess.run(
        program(page, tmp_path),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "PATH": binaries},
        check=False,
        timeout=900,
    )
    assert done.returncode == 0, done.stderr
    (folder,) = (tmp_path / "saved_models").iterdir()
    for version in WRITES[page]:
        assert (folder / version / "saved_model.pb").is_file()
