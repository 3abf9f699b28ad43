"""Logs -> tf.data of ids; histories and splits that do not leak."""

from tfrec.data.histories import histories as histories
from tfrec.data.pipeline import from_csv as from_csv
from tfrec.data.pipeline import from_pandas as from_pandas
from tfrec.data.pipeline import from_parquet as from_parquet
from tfrec.data.splits import leave_last_out as leave_last_out
from tfrec.data.splits import split_by_time as split_by_time
