import re

import pytest
import tensorflow as tf

from tfrec.data import Throughput, from_pandas, throughput
from tfrec.features import FeatureSpec, Numeric


def test_counts_rows_and_batches():
    spec = FeatureSpec([Numeric("x", side="user")])
    dataset = from_pandas({"x": list(range(10))}, spec, batch_size=4)
    found = throughput(dataset, seconds=60, batches=7)
    assert (found.rows, found.batches) == (4 + 4 + 2 + 4 + 4 + 2 + 4, 7)
    assert found.rows_per_second == found.rows / found.seconds > 0


def test_stops_in_time():
    dataset = tf.data.Dataset.range(4).repeat().batch(2)
    found = throughput(dataset, seconds=0.05)
    assert 0.05 <= found.seconds < 5 and found.rows == 2 * found.batches
    assert Throughput(rows=6, batches=3, seconds=2.0).rows_per_second == 3.0


@pytest.mark.parametrize(
    ("dataset", "options", "text", "kind"),
    [
        ([1], {}, "throughput: `dataset` must be a tf.data.Dataset.", TypeError),
        (None, {"seconds": 0}, "`seconds` must be a number > 0.", ValueError),
        (None, {"batches": 0}, "`batches` must be an int >= 1.", ValueError),
        (0, {}, "`dataset` must hold batches.", ValueError),
    ],
)
def test_errors(dataset, options, text, kind):
    if not isinstance(dataset, list):
        dataset = tf.data.Dataset.range(8 if dataset is None else dataset).batch(2)
    with pytest.raises(kind, match=re.escape(text)):
        throughput(dataset, **options)
