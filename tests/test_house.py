"""The rules of the house: who imports whom, where tests stand, what is public."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "tfrec"
FILES = sorted(PACKAGE.rglob("*.py"))

# A module may import from its own part and from those named here.
MAY_IMPORT = {
    "_checks": set(),
    "_keras_names": set(),
    "_memory": set(),
    "features": {"_checks"},
    "encoder": {"_checks", "features"},
    "layers": {"_checks"},
    "losses": {"_checks", "layers"},
    "optimizers": {"_checks", "_memory"},
    "embeddings": {"_checks", "features", "layers"},
    "data": {"_checks", "features", "encoder"},
    "datasets": {"_checks", "features", "data"},
    "models": {"_checks", "features", "layers", "losses", "embeddings"},
    "growth": {"_checks", "features", "embeddings", "models"},
    "evaluation": {"_checks"},
    "callbacks": {"_checks", "evaluation"},
    "serving": {"_checks", "features"},
    "export": {"_checks", "features", "encoder", "models"},
    "index": {"_checks", "features"},
    "replay": {"_checks", "features", "encoder", "data", "serving"},
    "plots": {"_checks", "layers"},
    "testing": {"_checks", "features", "data", "losses", "optimizers", "export"},
    "demo": {
        *("_checks", "features", "data", "datasets", "losses", "models"),
        *("optimizers", "evaluation", "export", "serving"),
    },
    "cli": {"_checks", "features", "serving", "demo", "index", "replay"},
    "__init__": {"_keras_names"},
    "__main__": {"cli"},
}
PUBLIC = ("data", "datasets", "evaluation", "export", "features", "index", "layers")
PUBLIC += ("callbacks", "losses", "models", "optimizers", "plots", "serving")
PUBLIC += ("testing",)


def part(file):
    return file.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(file):
    """Full names of the modules (or names in them) that a file imports."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("file", FILES, ids=lambda f: str(f.relative_to(ROOT)))
def test_imports_go_one_way(file):
    own = part(file)
    for name in imports(file):
        if name.split(".")[0] != "tfrec" or name == "tfrec":
            continue
        parts = name.split(".")
        other = parts[1] if len(parts) > 1 else "__init__"
        if other in ("__path__", "__version__"):
            continue
        assert other == own or other in MAY_IMPORT[own], f"{own} imports {name}"


@pytest.mark.parametrize("file", FILES, ids=lambda f: str(f.relative_to(ROOT)))
def test_nothing_private_or_legacy(file):
    text = file.read_text(encoding="utf-8")
    names = list(imports(file))
    assert not [n for n in names if n.startswith(("tensorflow.python", "keras.src"))]
    if file.name != "factorized.py":  # the one adapter to TensorFlow Recommenders
        assert "tf.keras." not in text
        assert not [n for n in names if n.startswith("tensorflow_recommenders")]
    if part(file) != "serving":
        assert "compat.v1" not in text
    if part(file) == "serving":
        assert not [n for n in names if n.split(".")[0] == "keras"]
    if part(file) == "features":
        assert not [n for n in names if n.split(".")[0] in ("tensorflow", "keras")]
    tree = ast.parse(text)
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.Assert)]


def test_tests_mirror_the_package():
    missing = []
    for file in FILES:
        if file.name in ("__init__.py", "__main__.py"):
            continue
        place = file.relative_to(PACKAGE)
        test = ROOT / "tests" / place.parent / f"test_{place.name.lstrip('_')}"
        if not test.exists():
            missing.append(str(test.relative_to(ROOT)))
    assert not missing
    strays = []
    for test in sorted((ROOT / "tests").rglob("test_*.py")):
        place = test.relative_to(ROOT / "tests")
        name = place.name.removeprefix("test_")
        homes = (PACKAGE / place.parent / name, PACKAGE / place.parent / f"_{name}")
        is_house = str(place.parent / name) in HOUSE
        if not is_house and not any(home.exists() for home in homes):
            strays.append(str(place))
    assert not strays


HOUSE = {"contract.py", "house.py", "doctests.py", "readme.py", "notebooks.py"}
HOUSE |= {"quality.py", "api.py", "parity.py", "serving/other_clients.py"}


def run(code, **environment):
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
        check=False,
    )


def test_import_is_light():
    code = """
import sys, tfrec
heavy = {"tensorflow", "keras", "pandas", "pyarrow", "numpy", "grpc", "matplotlib"}
found = heavy & set(sys.modules)
assert not found, found
assert sorted(tfrec.__all__) == dir(tfrec)
"""
    done = run(code)
    assert done.returncode == 0, done.stderr


def test_help_needs_no_tensorflow():
    code = """
import sys
from tfrec.cli import main
try:
    main(["--help"])
except SystemExit as stop:
    assert stop.code == 0
assert not {"tensorflow", "keras", "pandas", "pyarrow"} & set(sys.modules)
"""
    done = run(code)
    assert done.returncode == 0, done.stderr
    for command in ("demo", "serve", "describe"):
        assert command in done.stdout


def test_every_public_name_is_there():
    code = f"""
import tfrec
for name in tfrec.__all__:
    getattr(tfrec, name)
for name in {PUBLIC!r}:
    module = getattr(tfrec, name)
    assert module.__doc__, name
try:
    tfrec.nonsense
except AttributeError as error:
    assert "nonsense" in str(error)
else:
    raise SystemExit("an unknown name was found")
"""
    done = run(code, TF_CPP_MIN_LOG_LEVEL="3")
    assert done.returncode == 0, done.stderr


def test_no_machine_paths():
    listed = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    names = listed.stdout.split() or [str(f.relative_to(ROOT)) for f in FILES]
    home = str(Path.home())
    for name in names:
        file = ROOT / name
        if file.suffix in (".parquet", ".png") or not file.is_file():
            continue
        text = file.read_text(encoding="utf-8", errors="replace")
        assert str(ROOT) not in text and f"{home}/" not in text, name


def test_shipped_data_has_its_notice():
    folder = PACKAGE / "datasets" / "data" / "movietweetings_100k"
    assert "Copyright (c) 2013 Simon Dooms" in (folder / "LICENSE").read_text()
