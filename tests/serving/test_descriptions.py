"""Requests and answers about servables; a server's are in test_client.py."""

from tensorflow_serving.apis import get_model_metadata_pb2, get_model_status_pb2

from tfrec.serving import descriptions


def test_status_keeps_the_servers_order():
    response = get_model_status_pb2.GetModelStatusResponse()
    response.model_version_status.add(version=7, state=30)
    response.model_version_status.add(version=2, state=50)
    found = descriptions.read_status(response.SerializeToString())
    assert list(found.items()) == [(7, "AVAILABLE"), (2, "END")]


def test_requests_name_the_servable():
    data = descriptions.metadata_request("ranker", 0)
    metadata = get_model_metadata_pb2.GetModelMetadataRequest.FromString(data)
    assert metadata.model_spec.name == "ranker"
    assert metadata.model_spec.HasField("version")
    assert list(metadata.metadata_field) == ["signature_def"]
    data = descriptions.status_request("ranker")
    status = get_model_status_pb2.GetModelStatusRequest.FromString(data)
    assert status.model_spec.name == "ranker"
    assert status.model_spec.WhichOneof("version_choice") is None
