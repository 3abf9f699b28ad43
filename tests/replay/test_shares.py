"""Requests beside rows: shares counted by hand."""

import pandas as pd
import pytest

from tfrec import replay


@pytest.mark.slow
def test_shares_of_both(tmp_path, write_log, exported):
    """Users asked: a, new, none. Items: x; y q x; y y. Histories: one x each."""
    write_log(tmp_path / "log")
    rows = exported[0].parents[2] / "rows.parquet"
    table = replay.skew(tmp_path / "log", exported[0], str(rows)).set_index("column")
    assert set(table.index) == {"user", "history", "item"}
    user, item, history = (table.loc[n] for n in ("user", "item", "history"))
    assert (user.log_rows, user.data_rows) == (3, 4)
    assert user.log_unknown == pytest.approx(1 / 2)
    assert user.log_missing == pytest.approx(1 / 3)
    assert (user.data_unknown, user.data_missing) == (0, 0)
    assert user.difference == pytest.approx(1 / 2)
    assert (item.log_rows, item.log_missing) == (6, 0)
    assert item.log_unknown == pytest.approx(1 / 6)
    assert (history.log_missing, history.data_missing) == (0, 0.25)
    assert list(table.index) == ["user", "history", "item"]  # worst first


@pytest.mark.slow
def test_rows_in_memory(tmp_path, write_log, exported):
    write_log(tmp_path / "log")
    rows = pd.read_parquet(exported[0].parents[2] / "rows.parquet")
    found = [
        replay.skew(tmp_path / "log", exported[0], some)
        for some in (rows, exported[0].parents[2] / "rows.parquet")
    ]
    pd.testing.assert_frame_equal(*found)


def test_a_folder_that_is_no_export(tmp_path):
    with pytest.raises(ValueError, match="`version` must be the folder of a version"):
        replay.skew(tmp_path, tmp_path, [])
