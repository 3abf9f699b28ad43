"""Requests beside training rows: values that the vocabularies lack, and gaps."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import tensorflow as tf

from tfrec import _checks, data
from tfrec.encoder import IdEncoder
from tfrec.features import FeatureSpec
from tfrec.features.vocabulary import PADDING_ID, UNKNOWN_ID
from tfrec.replay.records import OWNER, read
from tfrec.serving import tensors

DOCUMENT = "assets.extra/feature_spec.json"
DEFAULT_SIGNATURES = ("", "serving_default")


def skew(
    log: str | os.PathLike[str], version: str | os.PathLike[str], rows: Any
) -> pd.DataFrame:
    """Shares of unknown values and of rows without a value, column by column.

    Args:
        log: as for `read`. Predict requests of the default signature count.
        version: folder of a version that export wrote; its columns and vocabularies.
        rows: the training data: Parquet paths, or rows in memory.

    Returns: one row a column of ids that both have, with `log_rows`, `log_unknown`
    (of the values that are there), `log_missing` (of the rows), the same for the
    data, and `difference`, the larger change of the two shares. The worst is first.
    Raises: `ValueError` when there is no log or no document.
    """
    extra = Path(version) / DOCUMENT
    if not extra.is_file():
        rule = "must be the folder of a version that export wrote"
        raise _checks.argument(OWNER, "version", rule, os.fspath(version))
    document = json.loads(extra.read_text("utf-8"))
    spec = FeatureSpec.from_json(document["spec"], extra.parent)
    names = list(document["inputs"])
    encoder = IdEncoder(spec, names)
    asked = _counted(_requests(log, encoder, names))
    if isinstance(rows, (str, os.PathLike, list)):
        learned = data.from_parquet(rows, spec, columns=names)
    else:
        learned = data.from_pandas(rows, spec, columns=names)
    counted = _counted(learned.as_numpy_iterator()).add_suffix("_")
    both = asked.join(counted, how="inner")
    table = pd.DataFrame(index=both.index)
    for prefix, mark in (("log", ""), ("data", "_")):
        table[f"{prefix}_rows"] = both[f"rows{mark}"]
        values = both[f"values{mark}"]
        table[f"{prefix}_unknown"] = both[f"unknown{mark}"] / values.clip(lower=1)
        missing = both[f"missing{mark}"]
        table[f"{prefix}_missing"] = missing / both[f"rows{mark}"].clip(lower=1)
    gaps = [
        (table[f"log_{what}"] - table[f"data_{what}"]).abs()
        for what in ("unknown", "missing")
    ]
    table["difference"] = np.maximum(*gaps)
    table = table.sort_values("difference", ascending=False, kind="stable")
    return table.rename_axis("column").reset_index()


def _requests(log: Any, encoder: IdEncoder, names: list[str]) -> Iterable[Any]:
    """Ids of each logged request, as the servable makes them."""
    for record in read(log):
        if record.WhichOneof("log_type") != "predict_log":
            continue
        request = record.predict_log.request
        if request.model_spec.signature_name not in DEFAULT_SIGNATURES:
            continue
        raw = {
            name: tf.constant(tensors.decode(request.inputs[name]))
            for name in names
            if name in request.inputs
        }
        if len(raw) == len(names):
            yield {name: ids.numpy() for name, ids in encoder(raw).items()}


def _counted(batches: Iterable[Mapping[str, np.ndarray]]) -> pd.DataFrame:
    counts: dict[str, np.ndarray] = {}
    for batch in batches:
        for name, ids in batch.items():
            if ids.dtype.kind != "i":
                continue
            real = ids != PADDING_ID
            filled = real.any(axis=1) if ids.ndim == 2 else real
            unknown = (ids == UNKNOWN_ID).sum()
            found = [len(ids), real.sum(), unknown, (~filled).sum()]
            counts[name] = counts.get(name, 0) + np.array(found, np.int64)
    columns = ["rows", "values", "unknown", "missing"]
    return pd.DataFrame.from_dict(counts, orient="index", columns=columns)
