import keras
import pytest

from tfrec import export, models
from tfrec.features import Categorical, FeatureSpec
from tfrec.testing import check_served, planted

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def frame():
    return planted.interactions(rows=40).frame.assign(place=["a", "b"] * 20)


@pytest.fixture(scope="module")
def spec(frame, tmp_path_factory):
    columns = [
        Categorical("user_group", side="user"),
        Categorical("place", side="context", serve=False),
        Categorical("item_group", side="item"),
    ]
    spec = FeatureSpec(columns, labels=["click"])
    return spec.adapt(frame, tmp_path_factory.mktemp("spec"))


def test_what_is_not_served_is_missing_on_both_sides(spec, frame):
    check_served(models.deepfm(spec, hidden_units=(4,), seed=1), spec, frame)


def test_another_answer_is_found(spec, frame, monkeypatch):
    """An export that serves another model of the same name."""
    other = models.deepfm(spec, hidden_units=(4,), seed=2)
    model = models.deepfm(spec, hidden_units=(4,), seed=1)
    for weight in other.trainable_weights:
        weight.assign(keras.random.normal(weight.shape, seed=1))
    save = export.save
    monkeypatch.setattr(export, "save", lambda model, *rest: save(other, *rest))
    message = "check_served: deepfm must answer as ranker what it predicts. Received"
    with pytest.raises(AssertionError, match=message):
        check_served(model, spec, frame)
