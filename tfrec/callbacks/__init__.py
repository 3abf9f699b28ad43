"""Callbacks for `model.fit`; each is a `keras.callbacks.Callback`."""

from tfrec.callbacks.backup_and_restore import BackupAndRestore as BackupAndRestore
from tfrec.callbacks.ranking_metrics import RankingMetrics as RankingMetrics
from tfrec.callbacks.terminate_on_nan import TerminateOnNaN as TerminateOnNaN
