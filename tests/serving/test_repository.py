"""Loading: what goes wrong is said with the servable's name."""

import pytest
from tensorflow_serving.apis import get_model_status_pb2

from tfrec.serving import ServingError
from tfrec.serving.refusal import Refusal
from tfrec.serving.repository import Repository
from tfrec.serving.sources import Source, from_folder


def test_it_finds_what_a_request_means(movies, request_for):
    repository = Repository(from_folder(movies))
    assert repository.find(request_for("ranker")).version == 1
    with pytest.raises(Refusal, match=r"Latest\(other\)"):
        repository.find(request_for("other"))
    status = get_model_status_pb2.GetModelStatusRequest()
    status.model_spec.name = "ranker"
    data = repository.status(status)
    answer = get_model_status_pb2.GetModelStatusResponse.FromString(data)
    assert [entry.version for entry in answer.model_version_status] == [1]
    repository.close()


def test_a_name_stands_once(movies):
    sources = [*from_folder(movies / "ranker"), *from_folder(movies)]
    with pytest.raises(ServingError, match='servable "ranker" must be named once'):
        Repository(sources)


@pytest.mark.parametrize("broken", ["nothing", "garbage"])
def test_a_broken_version_is_named(tmp_path, broken):
    folder = tmp_path / "ranker" / "3"
    folder.mkdir(parents=True)
    if broken == "garbage":
        (folder / "saved_model.pb").write_bytes(b"\xff\xfe no model")
    text = 'version 3 of servable "ranker" does not load'
    with pytest.raises(ServingError, match=text) as caught:
        Repository([Source("ranker", folder.parent)])
    assert str(folder) in str(caught.value)


def test_a_version_without_its_variables_is_broken(movies, tmp_path):
    folder = tmp_path / "ranker" / "1"
    folder.mkdir(parents=True)
    saved = movies / "ranker" / "1" / "saved_model.pb"
    (folder / "saved_model.pb").write_bytes(saved.read_bytes())
    with pytest.raises(ServingError, match="does not load"):
        Repository([Source("ranker", folder.parent)])
