import keras
import pytest

from tfrec import models
from tfrec.features import Categorical, FeatureSpec
from tfrec.testing import check_replicas, planted

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def frame():
    return planted.interactions(rows=64).frame


@pytest.fixture(scope="module")
def spec(frame, tmp_path_factory):
    columns = [
        Categorical("user_group", side="user"),
        Categorical("item_group", side="item"),
    ]
    spec = FeatureSpec(columns, labels=["click"])
    return spec.adapt(frame, tmp_path_factory.mktemp("spec"))


def test_draws_are_no_two_times_the_same(spec, frame):
    def make():
        model = models.deepfm(spec, hidden_units=(4,), dropout=0.5, seed=1)
        loss = keras.losses.BinaryCrossentropy(from_logits=True)
        model.compile(keras.optimizers.SGD(0.5), loss)
        return model

    message = "check_replicas: deepfm must train on two devices as on one. Received: a"
    with pytest.raises(AssertionError, match=message):
        check_replicas(make, spec, frame)
