import json

import pytest
import yaml
from google.protobuf import (
    descriptor_pb2,
    descriptor_pool,
    message_factory,
    text_format,
    wrappers_pb2,
)
from tensorflow_serving.config import model_server_config_pb2

from tfrec import export
from tfrec.export.fleet import FLAGS

INT64 = ".google.protobuf.Int64Value"
# Of config/monitoring_config.proto and servables/tensorflow/
# session_bundle_config.proto, which the Python package of the API leaves out.
MESSAGES = {
    "PrometheusConfig": {"enable": "bool", "path": "string"},
    "MonitoringConfig": {"prometheus_config": ".fleet.PrometheusConfig"},
    "BatchingParameters": {
        "max_batch_size": INT64,
        "batch_timeout_micros": INT64,
        "max_enqueued_batches": INT64,
        "num_batch_threads": INT64,
        "pad_variable_length_inputs": "bool",
    },
}


@pytest.fixture(scope="module")
def parse():
    """Reads protobuf text format, strictly, as a message named above."""
    field = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name="fleet.proto", package="fleet")
    file.syntax = "proto3"
    file.dependency.append(wrappers_pb2.DESCRIPTOR.name)
    for name, fields in MESSAGES.items():
        message = file.message_type.add(name=name)
        for number, (key, kind) in enumerate(fields.items(), 1):
            one = message.field.add(name=key, number=number, label=1)
            one.type = {"bool": field.TYPE_BOOL, "string": field.TYPE_STRING}.get(
                kind, field.TYPE_MESSAGE
            )
            if one.type == field.TYPE_MESSAGE:
                one.type_name = kind
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(wrappers_pb2.DESCRIPTOR.serialized_pb)
    pool.Add(file)

    def parsed(name, text):
        found = pool.FindMessageTypeByName(f"fleet.{name}")
        return text_format.Parse(text, message_factory.GetMessageClass(found)())

    return parsed


@pytest.fixture
def root(tmp_path):
    root = tmp_path / "Movies 2"
    for name in ("user_tower/1", "user_tower/2", "ranker/1", "ranker/2"):
        extra = root / name / "assets.extra"
        extra.mkdir(parents=True)
        inputs = {"history": {"dtype": "string", "shape": [None, None]}}
        (extra / "feature_spec.json").write_text(json.dumps({"inputs": inputs}))
    return root


def test_every_file_is_what_its_reader_takes(root, parse):
    files = export.fleet(root, labels={"stable": 1, "canary": 2}, replicas=3)
    assert all(file.is_file() for file in files) and len(files) == 6
    text = (root / "models.config").read_text()
    config = text_format.Parse(text, model_server_config_pb2.ModelServerConfig())
    for entry in config.model_config_list.config:
        assert dict(entry.version_labels) == {"stable": 1, "canary": 2}
    monitoring = parse("MonitoringConfig", (root / "monitoring.config").read_text())
    assert monitoring.prometheus_config.enable
    (service,) = yaml.safe_load((root / "compose.yaml").read_text())["services"].items()
    assert service[1]["command"] == list(FLAGS)
    assert service[1]["volumes"] == ["./:/models:ro"]
    documents = yaml.safe_load_all((root / "kubernetes.yaml").read_text())
    deployment, kube_service = documents
    assert (deployment["kind"], kube_service["kind"]) == ("Deployment", "Service")
    assert deployment["metadata"]["name"] == "movies-2"
    assert deployment["spec"]["replicas"] == 3
    pod = deployment["spec"]["template"]
    wanted = deployment["spec"]["selector"]["matchLabels"]
    assert wanted.items() <= pod["metadata"]["labels"].items()
    assert kube_service["spec"]["selector"] == wanted
    (container,) = pod["spec"]["containers"]
    assert container["args"] == list(FLAGS)
    assert container["volumeMounts"][0]["name"] == pod["spec"]["volumes"][0]["name"]
    ports = {port["name"] for port in container["ports"]}
    assert {port["targetPort"] for port in kube_service["spec"]["ports"]} == ports


def test_batching_fills_lists_only_where_the_filler_is_padding(root, parse):
    extra = root / "user_tower" / "2" / "assets.extra" / "feature_spec.json"
    inputs = {"history": {"dtype": "int64", "shape": [None, None]}}
    extra.write_text(json.dumps({"inputs": inputs}))
    export.fleet(root)
    one, two = (
        parse(
            "BatchingParameters",
            (root / f"user_tower/{v}/batching_params.pbtxt").read_text(),
        )
        for v in (1, 2)
    )
    assert one.pad_variable_length_inputs and not two.pad_variable_length_inputs
    assert one.max_batch_size.value == 128
    assert not list((root / "ranker").rglob("batching_params.pbtxt"))


def test_errors(root, tmp_path):
    with pytest.raises(ValueError, match="`path` must be a folder of servables"):
        export.fleet(tmp_path / "nothing")
    with pytest.raises(ValueError, match="`labels` must .*ranker has 1, 2"):
        export.fleet(root, labels={"stable": 3})
    with pytest.raises(ValueError, match="`replicas` must be an int >= 1"):
        export.fleet(root, replicas=0)
