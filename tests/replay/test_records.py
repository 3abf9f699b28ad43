"""Reading a log past its cuts; warm-up files."""

import os

import pytest
import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

from tfrec import replay
from tfrec.serving import warmup
from tfrec.serving.servable import Servable


@pytest.mark.slow
def test_files_in_order_of_time(tmp_path, write_log):
    one, other = (tmp_path / f"{n}.requests.tfrecord" for n in "ba")
    records = write_log(one)
    write_log(other, records[:1])
    (tmp_path / "else.tfrecord").write_bytes(b"no log")
    for place, seconds in ((one, 1), (other, 2)):
        os.utime(place, (seconds, seconds))
    found = [log.SerializeToString() for log in replay.read(tmp_path)]
    parsed = [prediction_log_pb2.PredictionLog.FromString(r) for r in records]
    assert found == [p.SerializeToString() for p in (*parsed, parsed[0])]
    assert len(list(replay.read(one))) == 3
    assert len(list(replay.read(f"{tmp_path}/a*"))) == 1


@pytest.mark.slow
@pytest.mark.parametrize("cut", [1, 5, 40])
def test_what_is_cut_off_is_left_out(tmp_path, write_log, caplog, cut):
    path = tmp_path / "a.requests.tfrecord"
    write_log(path)
    path.write_bytes(path.read_bytes()[:-cut])
    write_log(tmp_path / "b.requests.tfrecord")
    with caplog.at_level("WARNING"):
        assert len(list(replay.read(tmp_path))) == 5
    assert "is cut off or damaged after record 2" in caplog.text


def test_a_log_that_is_not_there(tmp_path):
    with pytest.raises(ValueError, match="`log` must be a request log"):
        list(replay.read(tmp_path))


@pytest.mark.slow
def test_a_log_becomes_a_warm_up_file(tmp_path, write_log, exported):
    write_log(tmp_path / "log")
    target = tmp_path / "version" / warmup.FILE
    assert replay.write_warmup(tmp_path / "log", target, records=2) == 2
    assert os.listdir(target.parent) == [target.name]
    servable = Servable("ranker", 2, exported[1])
    assert warmup.replay(servable, tmp_path / "version") == 2
    servable.close()


@pytest.mark.parametrize(
    ("records", "text"), [(0, "must be an int >= 1"), (1001, "must be an int <= 1000")]
)
def test_bad_numbers_of_records(tmp_path, records, text):
    with pytest.raises(ValueError, match=text):
        replay.write_warmup(tmp_path, tmp_path / "x", records)


def test_an_empty_log_is_no_warm_up(tmp_path):
    tf.io.TFRecordWriter(str(tmp_path / "log")).close()
    with pytest.raises(ValueError, match="`log` must hold a record"):
        replay.write_warmup(tmp_path / "log", tmp_path / "file")
    assert os.listdir(tmp_path) == ["log"]


def test_a_wrong_log_leaves_nothing_behind(tmp_path):
    target = tmp_path / "ranker" / "9" / "assets.extra" / "requests"
    with pytest.raises((ValueError, FileNotFoundError)):
        replay.write_warmup(tmp_path / "nope*", target)
    assert not list(tmp_path.iterdir())
