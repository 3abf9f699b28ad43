from google.protobuf import text_format
from tensorflow_serving.config import model_server_config_pb2

from tfrec.export.models_config import write_models_config


def test_tensorflow_serving_can_read_it(tmp_path):
    for name in ("ranker/1", "user_tower/2", "not_a_servable/notes"):
        (tmp_path / name).mkdir(parents=True)
    text = write_models_config(tmp_path).read_text()
    config = text_format.Parse(text, model_server_config_pb2.ModelServerConfig())
    found = {c.name: c.base_path for c in config.model_config_list.config}
    assert found == {"ranker": "/models/ranker", "user_tower": "/models/user_tower"}
    assert {c.model_platform for c in config.model_config_list.config} == {"tensorflow"}


def read(root):
    text = (root / "models.config").read_text()
    config = text_format.Parse(text, model_server_config_pb2.ModelServerConfig())
    return {entry.name: entry for entry in config.model_config_list.config}


def test_labels_stay_when_a_servable_joins(tmp_path):
    for name in ("ranker/1", "ranker/2", "user_tower/1"):
        (tmp_path / name).mkdir(parents=True)
    write_models_config(tmp_path, {"ranker": {"stable": 1, "canary": 2}})
    (tmp_path / "item_tower" / "7").mkdir(parents=True)
    write_models_config(tmp_path)
    entries = read(tmp_path)
    assert sorted(entries) == ["item_tower", "ranker", "user_tower"]
    assert dict(entries["ranker"].version_labels) == {"stable": 1, "canary": 2}
    assert list(entries["ranker"].model_version_policy.specific.versions) == [1, 2]
    assert not entries["user_tower"].HasField("model_version_policy")
    write_models_config(tmp_path, {"ranker": {}})
    assert not read(tmp_path)["ranker"].version_labels
    assert not read(tmp_path)["ranker"].HasField("model_version_policy")


def test_no_servable_is_an_empty_list(tmp_path):
    write_models_config(tmp_path)
    assert read(tmp_path) == {}
