import json

import numpy as np
import pytest

from tfrec.features import wire
from tfrec.index.tower import ROWS, Tower


def test_a_rows_bits_do_not_depend_on_its_neighbours(towers):
    tower = Tower(towers.saved_models)
    arrays = wire(towers.spec, towers.catalogue, tower.names)
    whole = tower.embed(arrays)
    order = np.random.default_rng(0).permutation(len(whole))
    for part in (order, order[:3], order[:1]):
        some = {name: values[part] for name, values in arrays.items()}
        assert tower.embed(some).tobytes() == whole[part].tobytes()
    long = np.resize(np.arange(len(whole)), ROWS + 5)
    some = {name: values[long] for name, values in arrays.items()}
    assert tower.embed(some).tobytes() == whole[long].tobytes()


def test_the_newest_version_is_taken(towers, tmp_path):
    import shutil

    for version in ("9", "10"):
        shutil.copytree(
            towers.saved_models / "item_tower" / "1", tmp_path / "item_tower" / version
        )
    assert Tower(tmp_path).folder.name == "10"
    file = tmp_path / "item_tower" / "10" / "assets.extra" / "feature_spec.json"
    document = json.loads(file.read_text())
    del document["pair_id"]
    file.write_text(json.dumps(document))
    with pytest.raises(ValueError, match="must hold an item tower with a pair id"):
        Tower(tmp_path)
