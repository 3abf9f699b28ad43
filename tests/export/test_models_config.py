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
