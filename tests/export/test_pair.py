import dataclasses

import numpy as np

from tfrec.export.pair import pair_id
from tfrec.features import FeatureSpec


def test_equal_towers_have_equal_ids_wherever_files_stand(fitted, tmp_path):
    import keras

    first = pair_id(fitted.two_tower, fitted.spec)
    assert len(first) == 32 and int(first, 16)
    fitted.spec.save(tmp_path / "spec.json")
    fitted.two_tower.save(tmp_path / "model.keras")
    spec = FeatureSpec.load(tmp_path / "spec.json")
    model = keras.models.load_model(tmp_path / "model.keras")
    assert pair_id(model, spec) == first
    vocabularies = [dataclasses.replace(v, file="elsewhere") for v in spec.vocabularies]
    moved = dataclasses.replace(spec, vocabularies=vocabularies)
    assert pair_id(fitted.two_tower, moved) == first


def test_any_change_gives_another(fitted):
    first = pair_id(fitted.two_tower, fitted.spec)
    ids = {first, pair_id(fitted.two_tower, fitted.spec.without("price"))}
    assert len(ids) == 2
    for tower in (fitted.two_tower.user_tower, fitted.two_tower.item_tower):
        weight = tower.trainable_weights[-1]
        value = weight.numpy()
        changed = value.copy()
        changed.flat[0] = np.nextafter(changed.flat[0], np.inf)
        try:
            weight.assign(changed)
            ids.add(pair_id(fitted.two_tower, fitted.spec))
        finally:
            weight.assign(value)
    assert len(ids) == 4
    assert pair_id(fitted.two_tower, fitted.spec) == first
