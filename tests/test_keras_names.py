import ast
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

import tfrec
from tfrec import _keras_names
from tfrec.layers import FM, MLP
from tfrec.testing.layers import quiet_saving

PACKAGE = Path(tfrec.__file__).parent


def registered():
    """{class: module} of all classes under Keras' decorator, by their source."""
    found = {}
    for file in sorted(PACKAGE.rglob("*.py")):
        module = ".".join(file.relative_to(PACKAGE.parent).with_suffix("").parts)
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef) and any(
                "register_keras_serializable" in ast.dump(decorator)
                for decorator in node.decorator_list
            ):
                found[node.name] = module
    return found


def test_every_registered_class_is_announced():
    assert registered() == _keras_names.CLASSES


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A model file, rows and what it says of them."""
    folder = tmp_path_factory.mktemp("saved")
    inputs = keras.Input((3, 4))
    pairs = FM()(inputs)
    deep = MLP((2, 1))(keras.layers.Flatten()(inputs))
    model = keras.Model(inputs, keras.layers.Add()([pairs, deep]))
    with quiet_saving():
        model.save(folder / "m.keras")
    x = np.random.default_rng(0).normal(size=(5, 3, 4)).astype("float32")
    np.savez(folder / "rows.npz", x=x, y=model.predict(x, verbose=0))
    return folder


# `import tfrec, keras` is what `check_model` does.
IMPORTS = {
    "keras first": "import keras, tfrec",
    "a leaf first": "from tfrec.layers.interaction.fm import FM; import keras",
}
LOAD = """
import sys
import numpy as np
rows = np.load(sys.argv[1] + "/rows.npz")
model = keras.models.load_model(sys.argv[1] + "/m.keras")
assert np.array_equal(model.predict(rows["x"], verbose=0), rows["y"])
kinds = {type(layer).__module__ for layer in model.layers}
assert "tfrec.layers.interaction.fm" in kinds, kinds
"""


@pytest.fixture(scope="module")
def loading(saved):
    """One process for each order of imports, all at once."""
    running = {
        name: subprocess.Popen(
            [sys.executable, "-c", imports + "\n" + LOAD, str(saved)],
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
        )
        for name, imports in IMPORTS.items()
    }
    yield running
    for process in running.values():
        process.kill()
        process.communicate()


@pytest.mark.slow
@pytest.mark.parametrize("order", IMPORTS)
def test_a_model_loads_in_a_fresh_process(loading, order):
    _, errors = loading[order].communicate(timeout=300)
    assert loading[order].returncode == 0, errors


def test_a_stand_in_makes_the_real_object():
    stand_in = _keras_names._StandIn("FM")
    assert type(stand_in.from_config({"name": "pairs"})) is FM
    assert stand_in.__name__ == "FM"


def test_announcing_again_keeps_the_real_classes():
    _keras_names.announce()
    assert keras.saving.get_custom_objects()["tfrec>FM"] is FM
    assert not [f for f in sys.meta_path if type(f) is _keras_names._AfterKeras]
