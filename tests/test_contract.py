"""Every public layer, loss and model has an entry in the contract, and serves.

An entry is a test in the file that mirrors the module: it calls `check_layer`,
`check_loss` or `check_model`, and it, or what it calls in that file, names the
class or function.
"""

import ast
import inspect
from pathlib import Path

import keras
import pytest

import tfrec
from tfrec import losses, models
from tfrec.datasets import movietweetings
from tfrec.features import Categorical, FeatureSpec
from tfrec.optimizers import RowSparseAdagrad
from tfrec.testing import check_replicas, check_served

ROOT = Path(__file__).resolve().parents[1]
CHECKS = {"layers": "check_layer", "losses": "check_loss", "models": "check_model"}
# `TwoTower` is the class of every retrieval model; the other takes a model.
NO_SPEC = {"TwoTower", "compile_dense"}


def public(part):
    """{name: object} of what a part exports by `from .. import X as X`."""
    tree = ast.parse(Path(getattr(tfrec, part).__file__).read_text(encoding="utf-8"))
    names = [
        alias.asname
        for node in tree.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    ]
    return {name: getattr(getattr(tfrec, part), name) for name in names}


def entries(file, check):
    """Names that the tests of a file that call `check` use, helpers included."""
    if not file.exists():
        return set()
    functions, found = {}, set()
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef):
            used = {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}
            functions[node.name] = used | {arg.arg for arg in node.args.args}
    for name, used in functions.items():
        if not name.startswith("test_") or check not in used:
            continue
        waiting = {name}
        while waiting:
            new = functions[waiting.pop()] - found
            found |= new
            waiting |= new & set(functions)
    return found


def without_entry(part, objects):
    check = CHECKS[part]
    missing = []
    for name, thing in objects.items():
        place = Path(*thing.__module__.split(".")[1:])
        file = ROOT / "tests" / place.parent / f"test_{place.name}.py"
        if name not in entries(file, check):
            missing.append(f"{name}: no {check} in {file.relative_to(ROOT)}")
    return missing


@pytest.mark.parametrize("part", CHECKS)
def test_every_export_has_an_entry(part):
    objects = public(part)
    assert len(objects) > 2
    of_part = {n: thing for n, thing in objects.items() if n not in NO_SPEC}
    assert without_entry(part, of_part) == []


def test_a_missing_entry_is_seen(tmp_path):
    def checked():
        pass

    checked.__module__ = "tfrec.layers.basic.nowhere"
    found = without_entry("layers", {"checked": checked})
    assert found == ["checked: no check_layer in tests/layers/basic/test_nowhere.py"]
    file = tmp_path / "test_mine.py"
    file.write_text(
        "def make():\n    return Mine()\n"
        "def test_contract():\n    check_layer(make())\n"
        "def test_other():\n    Other()\n"
    )
    assert "Mine" in entries(file, "check_layer")
    assert "Other" not in entries(file, "check_layer")
    assert entries(file, "check_model") == set()


SMALL = {"unknown_rate": 0.0, "seed": 1}
RETRIEVAL = ("dssm", "senet_two_tower", "dat", "sampling_bias_corrected")
RETRIEVAL += ("youtube_dnn", "mind")
MODELS = sorted(set(public("models")) - NO_SPEC)


@pytest.fixture(scope="module")
def rows():
    """1,000 real rows, those of the end, and 5,000 to learn vocabularies from."""
    events = movietweetings.events().tail(6000).reset_index(drop=True)
    genre = events["genres"].fillna("").str.split("|").str[0]
    events = events.assign(genre=genre)
    return events[:5000], events[5000:]


@pytest.fixture(scope="module")
def spec(rows, tmp_path_factory):
    columns = [*movietweetings.spec(embedding_dim=4)]
    columns += [Categorical("genre", side="item", embedding_dim=4)]
    spec = FeatureSpec(columns, labels=["liked"])
    return spec.adapt(rows[0], tmp_path_factory.mktemp("spec"))


def make(name, spec):
    """A compiled model, small where it may be."""
    function, options = getattr(models, name), dict(SMALL)
    if "hidden_units" in inspect.signature(function).parameters:
        options["hidden_units"] = (8,)
    if name not in RETRIEVAL:
        model = function(spec, **options)
        loss = keras.losses.BinaryCrossentropy(
            from_logits=True, reduction="mean_with_sample_weight"
        )
        model.compile(RowSparseAdagrad(0.1), loss)
        return model
    options |= {"user_id": "user_id", "category": "genre"} if name == "dat" else {}
    options |= {"history": "liked_history"} if name == "mind" else {}
    model = function(spec, item_id="movie_id", **options)
    model.compile(RowSparseAdagrad(0.1), losses.InBatchSoftmax())
    return model


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_servables_answer_like_the_model_on_1000_real_rows(name, rows, spec):
    model = make(name, spec)
    for weight in model.weights:  # none is 0: each tells
        if weight.dtype == "float32" and "log_q" not in weight.path:
            start = keras.initializers.RandomNormal(stddev=0.1, seed=2)
            weight.assign(start(weight.shape))
    check_served(model, spec, rows[1])


@pytest.mark.slow
@pytest.mark.parametrize("name", ["deepfm", "din", "mind"])
def test_two_devices_train_like_one(name, rows, spec):
    """One of each family; `dat` and streams are in tests/models/test_replicas.py."""
    check_replicas(lambda: make(name, spec), spec, rows[1][:128])
