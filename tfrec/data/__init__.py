"""Logs -> tf.data of ids; histories, splits and negatives that do not leak."""

from tfrec.data import negatives as negatives
from tfrec.data.coverage import coverage as coverage
from tfrec.data.histories import histories as histories
from tfrec.data.sources import from_csv as from_csv
from tfrec.data.sources import from_pandas as from_pandas
from tfrec.data.sources import from_parquet as from_parquet
from tfrec.data.splits import leave_last_out as leave_last_out
from tfrec.data.splits import split_by_time as split_by_time
from tfrec.data.splits import split_by_user as split_by_user
from tfrec.data.tfrecord import from_tfrecord as from_tfrecord
from tfrec.data.tfrecord import write_tfrecord as write_tfrecord
from tfrec.data.throughput import Throughput as Throughput
from tfrec.data.throughput import throughput as throughput
