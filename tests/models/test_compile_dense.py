import keras
import numpy as np
import pytest

from tfrec import models
from tfrec.data import from_pandas
from tfrec.models import compile_dense, deepfm
from tfrec.optimizers import RowSparseAdagrad
from tfrec.testing.layers import quiet_saving


def fitted(model, batches, epochs=2):
    loss = keras.losses.BinaryCrossentropy(from_logits=True)
    model.compile(RowSparseAdagrad(0.1), loss)
    model.fit(batches, epochs=epochs, shuffle=False, verbose=0)
    return model


@pytest.mark.slow
def test_trains_to_the_same_weights(spec, frame, tmp_path):
    """Same start, same batches: the same weights, saved and fitted on too."""
    batches = from_pandas(frame, spec, batch_size=64, drop_remainder=True)
    options = {"hidden_units": (8, 4), "seed": 1}
    plain = fitted(deepfm(spec, **options), batches)
    dense = fitted(compile_dense(deepfm(spec, **options)), batches)
    assert dense.name == plain.name
    before = {w.path: w.numpy() for w in plain.weights}
    after = {w.path: w.numpy() for w in dense.weights}
    assert set(before) == set(after)
    for path, value in before.items():
        np.testing.assert_allclose(after[path], value, atol=1e-5, err_msg=path)
    with quiet_saving():
        dense.save(tmp_path / "m.keras")
    loaded = keras.models.load_model(tmp_path / "m.keras")
    np.testing.assert_array_equal(
        loaded.predict(batches, verbose=0), dense.predict(batches, verbose=0)
    )
    for model in (loaded, dense):
        model.fit(batches, shuffle=False, verbose=0)
    for found, wanted in zip(loaded.weights, dense.weights, strict=True):
        np.testing.assert_array_equal(found, wanted)


def test_bad_arguments(spec):
    message = "compile_dense: `model` must be a functional keras.Model that looks up"
    x = keras.Input((2,))
    for wrong in ("model", keras.Model(x, keras.layers.Dense(1)(x))):
        with pytest.raises(TypeError, match=message):
            compile_dense(wrong)
    assert models.compile_dense is compile_dense
