import numpy as np
import pytest
import tensorflow as tf

from tfrec.export.warmup import as_examples
from tfrec.features import wire


def loaded(exported):
    return tf.saved_model.load(str(exported / "ranker" / "1"))


def names_of(serve):
    return list(serve.structured_input_signature[1])


def test_classify_and_regress_give_the_scores(fitted, exported):
    signatures = loaded(exported).signatures
    serve = signatures["serving_default"]
    arrays = wire(fitted.spec, fitted.log.head(20), names_of(serve))
    arrays = {name: values.copy() for name, values in arrays.items()}
    arrays["age"][3] = np.nan
    arrays["item"][4] = b""
    score = serve(**{k: tf.constant(v) for k, v in arrays.items()})["score"].numpy()
    rows = tf.constant(as_examples(fitted.spec, arrays))
    regressed = signatures["regress"](inputs=rows)
    assert list(regressed) == ["outputs"] and regressed["outputs"].shape == (20,)
    np.testing.assert_allclose(regressed["outputs"], score, atol=1e-6)
    classified = signatures["classify"](inputs=rows)
    assert sorted(classified) == ["classes", "scores"]
    assert classified["classes"].numpy().tolist() == [[b"0", b"1"]] * 20
    wanted = np.stack([1 - score, score], axis=1)
    np.testing.assert_allclose(classified["scores"], wanted, atol=1e-6)


def test_what_an_example_lacks_is_missing(fitted, exported):
    signatures = loaded(exported).signatures
    serve = signatures["serving_default"]
    missing = {name: [[] if name == "history" else None] for name in names_of(serve)}
    nothing = wire(
        fitted.spec, {**missing, "hour": [4.0], "price": [2.0]}, names_of(serve)
    )
    wanted = serve(**{k: tf.constant(v) for k, v in nothing.items()})["score"]
    bare = tf.train.Example()
    for name, value in (("hour", 4.0), ("price", 2.0)):
        bare.features.feature[name].float_list.value.append(value)
    empty = tf.train.Example.FromString(bare.SerializeToString())
    for name, kind in (("user", "int64_list"), ("item", "bytes_list")):
        getattr(empty.features.feature[name], kind).value.extend([])
    rows = [example.SerializeToString() for example in (bare, empty)]
    found = signatures["regress"](inputs=tf.constant(rows))["outputs"]
    np.testing.assert_allclose(found, [wanted[0]] * 2, atol=1e-7)
    del bare.features.feature["price"]  # a number that nothing stands for
    rows = tf.constant([bare.SerializeToString()])
    with pytest.raises(tf.errors.InvalidArgumentError, match="price"):
        signatures["regress"](inputs=rows)


def test_context_and_example_merge_as_in_tensorflow_serving(fitted, exported):
    signatures = loaded(exported).signatures
    names = names_of(signatures["serving_default"])
    arrays = wire(fitted.spec, fitted.log.head(1), names)
    whole = as_examples(fitted.spec, arrays)
    sides = [
        {n: arrays[n] for n in names if (fitted.spec[n].side == "item") is item}
        for item in (False, True)
    ]
    context, example = (as_examples(fitted.spec, side) for side in sides)
    rows = tf.constant([whole[0], context[0] + example[0]])
    found = signatures["regress"](inputs=rows)["outputs"].numpy()
    assert found[0] == found[1]
