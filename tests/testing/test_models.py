import itertools

import keras
import pytest

from tfrec.embeddings import Embeddings, inputs_of
from tfrec.features import Categorical, FeatureSpec, Sequence
from tfrec.layers import MaskedPooling
from tfrec.testing import check_model, planted

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def frame():
    log = planted.taste_clusters(num_users=30, num_items=10, num_clusters=2, events=4)
    return log.frame.assign(click=[0.0, 1.0] * 60)


@pytest.fixture(scope="module")
def spec(frame, tmp_path_factory):
    columns = [
        Categorical("user_id", side="user"),
        Sequence("history", of="item_id", max_length=4),
        Categorical("item_id", side="item"),
    ]
    spec = FeatureSpec(columns, labels=["click"])
    return spec.adapt(frame, tmp_path_factory.mktemp("spec"))


def make(spec, end=None, seed=1, reduction="mean_with_sample_weight", pool=None):
    """A logit of all columns; the history pooled by `pool`, `end` behind it all."""
    columns = inputs_of(spec, "user", "item")
    fields = Embeddings(spec, unknown_rate=0.1, seed=seed)(columns)
    steps, mask = fields.sequences["history"], fields.masks["history"]
    pooled = MaskedPooling()(steps, mask=mask) if pool is None else pool(steps)
    x = keras.layers.Add()([pooled, *fields.vectors.values()])
    kernel = keras.initializers.GlorotUniform(seed=seed)
    x = keras.layers.Dense(1, kernel_initializer=kernel)(x)
    x = x if end is None else end(x)
    return compiled(keras.Model(columns, x, name="mine"), reduction)


def compiled(model, reduction="mean_with_sample_weight"):
    loss = keras.losses.BinaryCrossentropy(from_logits=True, reduction=reduction)
    model.compile(keras.optimizers.Adagrad(0.1), loss)
    return model


def refuse(make_model, spec, frame, message):
    with pytest.raises(AssertionError, match=message):
        check_model(make_model, spec, frame)


def test_other_numbers_each_time(spec, frame):
    seeds = itertools.count()
    message = "check_model: mine must have the same losses each time. Received: "
    refuse(lambda: make(spec, seed=next(seeds)), spec, frame, message)


@keras.saving.register_keras_serializable(package="tests")
class Lenient(keras.Model):
    """Takes a missing feature for padding."""

    def __init__(self, inner, **kwargs):
        super().__init__(**kwargs)
        self.inner = inner

    def get_config(self):
        return {}

    @property
    def inputs(self):
        return self.inner.inputs

    def call(self, row):
        padding = 0 * next(ids for ids in row.values() if len(ids.shape) == 1)
        return self.inner({t.name: row.get(t.name, padding) for t in self.inner.inputs})


def test_a_missing_feature_that_passes(spec, frame):
    message = 'must name a missing feature, here "user_id". Received: no error.'
    refuse(lambda: compiled(Lenient(make(spec))), spec, frame, message)


def test_padding_that_counts(spec, frame):
    message = "check_model: mine must give the same for 7 more steps of padding"
    pool = keras.layers.GlobalAveragePooling1D()
    refuse(lambda: make(spec, pool=pool), spec, frame, message)


def test_a_loss_that_counts_absent_rows(spec, frame):
    message = "must train on a row of sample weight 0 as if it were absent"
    refuse(lambda: make(spec, reduction="sum_over_batch_size"), spec, frame, message)


@keras.saving.register_keras_serializable(package="tests")
class Unknown(keras.layers.Layer):
    """A class that `import tfrec` does not bring along."""

    def call(self, inputs):
        return inputs


@pytest.mark.slow
def test_a_class_that_another_process_does_not_know(spec, frame):
    message = "mine must load, predict and fit in another process. Received: .*Unknown"
    with pytest.raises(AssertionError) as found:
        check_model(lambda: make(spec, Unknown()), spec, frame)
    assert "Unknown" in str(found.value)
    assert message.split(".")[0] in str(found.value)


@pytest.mark.slow
def test_draws_that_start_again(spec, frame):
    """Keras' own Dropout keeps the state of its draws out of the file."""

    def end(logit):
        return keras.layers.Dropout(0.5, seed=1)(logit)

    message = "mine must go on with the loss of a fit without a break"
    refuse(lambda: make(spec, end), spec, frame, message)


def test_bad_arguments(spec, frame):
    with pytest.raises(ValueError, match="`frame` must hold at least 3 batches. Rece"):
        check_model(lambda: make(spec), spec, frame[:50])
    with pytest.raises(ValueError, match="check_model: `batch_size` must be an int >="):
        check_model(lambda: make(spec), spec, frame, batch_size=3)
    with pytest.raises(TypeError, match="check_model: `spec` must be a FeatureSpec"):
        check_model(lambda: make(spec), "spec", frame)
    with pytest.raises(TypeError, match="nonsense"):
        check_model(lambda: make(spec), spec, frame, nonsense=1)
