import numpy as np
import pytest
import tensorflow as tf

from tfrec import export
from tfrec.export.catalogue import popularity
from tfrec.features import wire


def items(fitted):
    return fitted.log.drop_duplicates("item")[["item", "tags", "price"]]


def test_vectors_are_those_of_the_served_tower(fitted, exported, tmp_path):
    catalogue = items(fitted)
    found = export.vectors(fitted.two_tower, fitted.spec, catalogue)
    assert found.ids.tolist() == [i.encode() for i in catalogue["item"]]
    folder = exported / "item_tower" / "1"
    serve = tf.saved_model.load(str(folder)).signatures["serving_default"]
    arrays = wire(fitted.spec, catalogue, ["item", "tags", "price"])
    served = serve(**{k: tf.constant(v) for k, v in arrays.items()})["item_embedding"]
    np.testing.assert_array_equal(found.vectors, served)
    assert found.vectors.dtype == np.float32
    catalogue.to_parquet(tmp_path / "items.parquet")
    again = export.vectors(fitted.two_tower, fitted.spec, tmp_path / "items.parquet")
    np.testing.assert_array_equal(found.vectors, again.vectors)
    assert again.pair_id == found.pair_id


def test_popularity_is_the_share_of_the_log(fitted):
    catalogue = items(fitted)
    ids = np.array([*(i.encode() for i in catalogue["item"]), b"new"], object)
    counts = fitted.log["item"].value_counts()
    wanted = [*(counts[i] / len(fitted.log) for i in catalogue["item"]), 0]
    found = popularity(fitted.spec, "item", ids)
    np.testing.assert_allclose(found, wanted, atol=1e-7)


def test_errors(fitted):
    catalogue = items(fitted)
    with pytest.raises(TypeError, match="export.vectors: `model` must be a TwoTower"):
        export.vectors(fitted.ranker, fitted.spec, catalogue)
    with pytest.raises(ValueError, match='"item" must name each item.*Drop duplicate'):
        export.vectors(fitted.two_tower, fitted.spec, fitted.log)
    broken = catalogue.assign(item=["a\nb", *catalogue["item"][1:]])
    with pytest.raises(ValueError, match='"item" must not hold line breaks'):
        export.vectors(fitted.two_tower, fitted.spec, broken)
