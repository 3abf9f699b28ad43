"""A spec as a table that people read: columns, tables, bytes."""

from __future__ import annotations

from tfrec import _checks
from tfrec.features.columns import Numeric
from tfrec.features.spec import FeatureSpec

FLOAT_BYTES = 4
# A Python process that has TensorFlow and tfrec loaded and trains with small batches
# (benchmarks/training.py --memory).
PROCESS_BYTES = 800_000_000


def describe(spec: FeatureSpec, *, slots: int = 1, linear: bool = True) -> str:
    """Columns and tables of a spec as text, before anything is allocated.

    Bytes are those of the table and of `slots` optimizer slots of its size
    (Adagrad 1, Adam 2), float32. The last line adds what a training process takes
    besides: about its peak, where batches and layers are small beside the tables.

    Args:
        spec: FeatureSpec, adapted or not.
        slots: int >= 0.
        linear: bool. With the first-order weight that rankers keep in each row.

    Raises: `ValueError` on another `slots` or `linear`.

    >>> from tfrec.features import Categorical
    >>> spec = FeatureSpec([Categorical("city", side="user", hash_buckets=8)])
    >>> print(describe(spec))
    column  kind         side  serve  table  rows  width  bytes with 1 slot
    city    categorical  user  yes    city     10     16              1,360
    total                                                             1,360
    in training, about                                          800,001,360
    """
    _checks.integer("describe", slots=slots)
    _checks.boolean("describe", linear=linear)
    tables = spec.known_tables()
    unit = "slot" if slots == 1 else "slots"
    head = ["column", "kind", "side", "serve", "table", "rows", "width"]
    lines = [[*head, f"bytes with {slots} {unit}"]]
    total, counted = 0, set()
    for column in spec:
        name = spec.table_of(column)
        table = tables.get(name) if name else None
        rows = width = size = ""
        if table is not None and name is not None:
            rows, width = f"{table.rows:,}", str(table.embedding_dim)
            if name not in counted:
                counted.add(name)
                floats = table.rows * (table.embedding_dim + linear)
                used = floats * FLOAT_BYTES * (1 + slots)
                total += used
                size = f"{used:,}"
            else:
                size = "(shared)"
        elif isinstance(column, Numeric):
            width = str(column.shape[0] if column.shape else 1)
        else:
            rows = "?"
        served = "yes" if column.serve else "no"
        lines.append(
            [
                column.name,
                column.kind,
                column.side,
                served,
                name or "",
                rows,
                width,
                size,
            ]
        )
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    right = {5, 6, 7}
    # More than the total, where the size of a table is not known yet.
    whole_of = ", of what is known" if any(line[5] == "?" for line in lines) else ""
    ends = {
        f"total{whole_of}": total,
        f"in training, about{whole_of}": total + PROCESS_BYTES,
    }
    whole = sum(widths) + 2 * (len(widths) - 1)
    last = [f"{k}{used:>{max(whole - len(k), 1)},}" for k, used in ends.items()]
    table_lines = [
        "  ".join(
            cell.rjust(width) if i in right else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    ]
    return "\n".join([*table_lines, *last])
