"""The request log: what is written, what is dropped, where it ends."""

import asyncio
import stat
import threading

import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

from tfrec.serving import messages, metrics, packing, request_log
from tfrec.serving.options import Options
from tfrec.serving.refusal import Refusal
from tfrec.serving.repository import Repository
from tfrec.serving.request_log import RequestLog
from tfrec.serving.servable import Servable
from tfrec.serving.services import Services

AB = {"a": np.float32([1]), "b": np.float32([2])}


def logs(folder):
    """The records of a folder's files, oldest file first."""
    found = []
    order = sorted(folder.iterdir(), key=lambda p: int(p.name.split("-")[-1][:-18]))
    for path in order:
        for data in tf.data.TFRecordDataset(str(path)).as_numpy_iterator():
            found.append(prediction_log_pb2.PredictionLog.FromString(data))
    return found


def counted(name, outcome):
    head = f'tfrec_request_log_total{{model_name="{name}",outcome="{outcome}"}} '
    lines = [line for line in metrics.text().splitlines() if line.startswith(head)]
    return int(lines[0].removeprefix(head)) if lines else 0


@pytest.fixture
def serve(plain, tmp_path):
    """Services around `sums` that log into `tmp_path/log`."""
    made = []

    def services(rate):
        repository = Repository()
        servable = Servable("sums", 2, plain.parent / "sums" / "2")
        repository.publish(servable)
        told = {"request_log_dir": str(tmp_path / "log")} if rate else {}
        options = Options(request_log_sample_rate=rate, **told)
        made.append((Services(repository, options=options), servable))
        return made[-1][0]

    yield services
    for one, servable in made:
        one.close()
        servable.close()


def test_requests_and_answers_are_logged_as_they_were(serve, request_for, tmp_path):
    services = serve(1.0)
    request = request_for("sums", outputs=["sum"], **AB)
    request = request.SerializeToString(deterministic=True)
    answer = asyncio.run(services.predict(request, 5.0))
    with pytest.raises(Refusal):  # what is refused is not logged
        asyncio.run(services.predict(request_for("sums", a=AB["a"]), 5.0))
    services.close()
    (log,) = logs(tmp_path / "log")
    assert log.predict_log.request.SerializeToString(deterministic=True) == request
    assert log.predict_log.response.outputs["sum"].float_val == [6.0]
    assert log.predict_log.SerializeToString(deterministic=True) == (
        packing.field(1, request) + packing.field(2, answer)
    )
    assert log.log_metadata.model_spec.name == "sums"
    assert log.log_metadata.model_spec.version.value == 2
    assert log.log_metadata.sampling_config.sampling_rate == 1.0
    (path,) = (tmp_path / "log").iterdir()
    assert request_log.OURS.fullmatch(path.name) and path.name.startswith("sums-")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_what_came_over_rest_is_logged_too(serve, tmp_path):
    services = serve(1.0)
    servable = services.repository._models["sums"].servables[2]
    signature = servable.signatures["serving_default"]
    keys, arrays = ("product", "sum"), [AB["a"], AB["b"]]
    values = asyncio.run(services.run(signature, keys, arrays, 5.0))
    services.log_predict(signature, keys, arrays, values)
    services.close()
    (log,) = logs(tmp_path / "log")
    inputs = log.predict_log.request.inputs
    assert {name: tf.make_ndarray(inputs[name]) for name in inputs} == AB
    assert log.predict_log.response.outputs["product"].float_val == [2.0]


def test_off_by_default(serve, request_for, tmp_path):
    services = serve(0.0)
    asyncio.run(services.predict(request_for("sums", **AB), 5.0))
    assert not (tmp_path / "log").exists()


def test_the_rate_is_the_share_that_is_wanted(tmp_path):
    log = RequestLog(tmp_path, 0.25, 2**20)
    share = np.mean([log.wants() for _ in range(4000)])
    log.close()
    assert 0.2 < share < 0.3


def entry(text=b"x"):
    spec = messages.model_spec("m", 1)
    return request_log.record("Predict", spec, 1.0, packing.field(3, text), b"")


def test_what_does_not_fit_is_dropped_and_counted(tmp_path, monkeypatch):
    monkeypatch.setattr(request_log, "WAITING_RECORDS", 3)
    monkeypatch.setattr(request_log, "WAITING_BYTES", 100)
    before = counted("full", "dropped"), counted("full", "written")
    log = RequestLog(tmp_path, 1.0, 2**20)
    go, began = threading.Event(), threading.Event()

    def slow():
        began.set()
        go.wait(30)
        return entry()

    log.put("full", 10, slow)
    began.wait(30)
    log.put("full", 91, entry)  # too many bytes
    log.put("full", 10, entry)
    log.put("full", 10, entry)
    log.put("full", 10, entry)  # too many records
    go.set()
    log.close()
    after = counted("full", "dropped"), counted("full", "written")
    assert np.subtract(after, before).tolist() == [2, 3]
    assert len(logs(tmp_path)) == 3


def test_files_change_and_the_oldest_go(tmp_path):
    other = tmp_path / "mine.tfrecord"
    other.write_bytes(b"x" * 5000)  # nobody else's file is touched
    log = RequestLog(tmp_path, 1.0, 800)
    for number in range(40):
        text = b"%03d" % number
        log.put("m", 50, lambda text=text: entry(text * 20))
    log.close()
    assert other.exists()
    other.unlink()
    sizes = [path.stat().st_size for path in tmp_path.iterdir()]
    assert 1 < len(sizes) and sum(sizes) <= 2000
    kept = [one.predict_log.request.output_filter[0][:3] for one in logs(tmp_path)]
    assert kept == [f"{number:03d}" for number in range(40)][-len(kept) :]


def test_a_disk_that_fails_is_counted_and_said_once(tmp_path, caplog):
    folder = tmp_path / "log"
    log = RequestLog(folder, 1.0, 2**20)
    before = counted("gone", "failed")
    folder.rmdir()
    for _ in range(3):
        log.put("gone", 1, entry)
    log.close()
    assert counted("gone", "failed") == before + 3
    said = [record for record in caplog.records if "is not written" in record.message]
    assert 1 <= len(said) <= 3


def test_a_name_stays_in_the_folder(tmp_path):
    folder = tmp_path / "log"
    log = RequestLog(folder, 1.0, 2**20)
    log.put("../../m", 1, entry)
    log.close()
    (path,) = folder.iterdir()
    assert path.name.startswith("..%2F..%2Fm-")
    assert list(tmp_path.iterdir()) == [folder]


@pytest.mark.parametrize(
    ("told", "text"),
    [
        ({"request_log_sample_rate": 1.5}, "must be a number in [0, 1]"),
        ({"request_log_sample_rate": 0.5}, "needs `request_log_dir`"),
        ({"request_log_dir": "x"}, "needs `request_log_sample_rate`"),
        ({"request_log_max_bytes": 0}, "must be an int >= 1"),
    ],
)
def test_bad_options(told, text):
    with pytest.raises(ValueError) as caught:
        Options(**told)
    assert text in str(caught.value)
