"""`models.config`: what it may say and what it may not."""

import pytest
from tensorflow_serving.config import model_server_config_pb2

from tfrec.serving import ServingError, model_config
from tfrec.serving.refusal import Refusal

PLATFORM = 'model_platform: "tensorflow"'


@pytest.fixture
def read(tmp_path):
    (tmp_path / "ranker" / "3").mkdir(parents=True)
    (tmp_path / "ranker" / "4").mkdir(parents=True)

    def read_entries(*entries, text=None):
        path = tmp_path / "models.config"
        listed = "\n".join(f"config {{ {entry} }}" for entry in entries)
        path.write_text(text or f"# ours\nmodel_config_list {{ {listed} }}")
        return model_config.read(path)

    read_entries.base = f'base_path: "{tmp_path}/ranker"'
    return read_entries


@pytest.mark.parametrize(
    ("policy", "versions"),
    [
        ("", [4]),
        ("model_version_policy { latest { num_versions: 0 } }", [4]),
        ("model_version_policy { latest { num_versions: 2 } }", [3, 4]),
        ("model_version_policy { all {} }", [3, 4]),
        ("model_version_policy { specific { versions: 3 } }", [3]),
    ],
)
def test_policies(read, policy, versions):
    (source,) = read(f"name: 'r' {read.base}, {PLATFORM} {policy}")
    assert source.name == "r"
    assert list(source.versions()) == versions


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("{base} {platform}", "a model has no name"),
        ('name: "r" base_path: "rel" {platform}', "Expected model r to have an abs"),
        ('name: "r" {base}', "Illegal setting neither ModelServerConfig::model_type"),
        ('name: "r" {base} model_platform: "torch"', "unsupported platform torch"),
        ('name: "r" base_path: "/nowhere/at/all" {platform}', "which is no folder"),
        (
            'name: "r" {base} {platform} logging_config {{ }}',
            "No request-logger-creator provided. Model r wants one",
        ),
        (
            'name: "r" {base} {platform} model_version_policy {{ specific {{ }} }}',
            "a specific policy with no version",
        ),
    ],
)
def test_what_an_entry_may_not_say(read, entry, message):
    with pytest.raises(ServingError, match=message) as caught:
        read(entry.format(base=read.base, platform=PLATFORM))
    assert caught.value.code == "INVALID_ARGUMENT"


def test_a_name_stands_once(read):
    entry = f'name: "r" {read.base} {PLATFORM}'
    with pytest.raises(ServingError, match="Illegal to list model r multiple times"):
        read(entry, entry)


@pytest.mark.parametrize("text", ["model_config_list {", "nonsense: 1"])
def test_a_file_that_does_not_parse(read, text):
    words = "Error parsing text-format tensorflow.serving.ModelServerConfig"
    with pytest.raises(ServingError, match=words):
        read(text=text)


def test_a_file_that_says_nothing(read):
    with pytest.raises(ServingError, match="Only ModelConfigList is currently sup"):
        read(text="custom_model_config {}")
    assert read() == []


def test_labels_and_the_old_way_to_name_the_platform(read):
    entry = f'name: "r" {read.base} model_type: TENSORFLOW '
    (source,) = read(f'{entry} version_labels {{ key: "stable" value: 3 }}')
    assert source.labels == {"stable": 3}


def test_a_platform_does_not_change(read):
    config = model_server_config_pb2.ModelServerConfig()
    entry = config.model_config_list.config.add(name="r", model_platform="torch")
    entry.base_path = "/any"
    text = "^Illegal to change a model's platform. For model r, platform was tensorfl"
    with pytest.raises(Refusal, match=text):
        model_config.sources_of(config, served=["r"])


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(ServingError, match="No such file"):
        model_config.read(tmp_path / "absent")
