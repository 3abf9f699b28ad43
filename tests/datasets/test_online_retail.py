import numpy as np
import pandas as pd
import pytest

from tfrec.datasets import online_retail
from tfrec.features import FeatureSpec

# The same columns as UCI's data.csv; customer 1 has a basket over two minutes.
HEAD = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,"
CSV = f"""{HEAD}Country
500001,85123A,WHITE  HEART,6,12/1/2010 8:26,2.55,1.0,France
500001,71053,"LANTERN, METAL",2,12/1/2010 8:27,3.39,1.0,France
500001,85123A,WHITE  HEART,4,12/1/2010 8:27,2.15,1.0,France
500002,22752,NESTING BOXES,1,12/1/2010 8:27,7.65,2.0,Spain
500003,71053,"LANTERN, METAL",1,12/2/2010 9:00,3.39,1.0,France
500003,POST,POSTAGE,1,12/2/2010 9:00,18.0,1.0,France
500004,22752,NESTING BOXES,1,12/13/2010 9:00,7.65,1.0,France
C500005,71053,"LANTERN, METAL",-1,12/14/2010 9:00,3.39,1.0,France
500006,71053,,1,12/14/2010 9:01,3.39,,France
500007,71053,"LANTERN, METAL",1,12/14/2010 9:02,0.0,2.0,Spain
500008,71053,LANTERN,1,12/15/2010 9:02,5.39,2.0,Spain
"""


@pytest.fixture
def official(tmp_path):
    folder = tmp_path / "official"
    folder.mkdir()
    (folder / "data.csv").write_text(CSV)
    return folder


@pytest.fixture(scope="module")
def shared_lines(shared_data):
    return online_retail.transactions(shared_data / online_retail.FOLDER)


@pytest.fixture(scope="module")
def shared_events(shared_data):
    return online_retail.events(shared_data / online_retail.FOLDER)


def test_tables_of_the_official_file(official):
    lines = online_retail.transactions(official)
    assert list(lines.columns) == list(online_retail.COLUMNS.values())
    assert len(lines) == 11
    assert lines["customer_id"].isna().sum() == lines["description"].isna().sum() == 1
    assert lines["invoice_date"][0] == pd.Timestamp("2010-12-01 08:26")
    assert lines["invoice_date"][6] == pd.Timestamp("2010-12-13 09:00")
    sales = online_retail.purchases(official)
    assert list(sales.index) == list(range(8))
    assert sales["customer_id"].dtype == np.int64
    assert set(sales["invoice_no"]) == {f"50000{number}" for number in (1, 2, 3, 4, 8)}
    items = online_retail.items(official)
    assert list(items["stock_code"]) == ["22752", "71053", "85123A"]
    assert list(items["description"][1:]) == ["LANTERN, METAL", "WHITE  HEART"]
    assert np.allclose(items["price"], [7.65, 3.39, 2.35])


def test_events_are_baskets(official):
    events = online_retail.events(official)
    basket = events[events["invoice_no"] == "500001"]
    assert list(basket["stock_code"]) == ["85123A", "71053"]  # each once
    assert list(basket["quantity"]) == [10, 2]
    assert basket["invoice_date"].eq(pd.Timestamp("2010-12-01 08:26")).all()
    assert list(map(list, basket["history"])) == [[], []]  # none of its own
    assert not events["stock_code"].eq("POST").any()
    later = events[events["customer_id"] == 1].iloc[2:]
    assert list(map(list, later["history"])) == [
        ["85123A", "71053"],
        ["85123A", "71053", "71053"],
    ]
    assert list(events[events["customer_id"] == 2]["history"].map(list)) == [
        [],
        ["22752"],
    ]
    assert events["invoice_date"].is_monotonic_increasing


def test_all_layouts_give_the_same(official, tmp_path, monkeypatch, alone):
    (official / "data.csv").write_text(CSV.replace("500006,71053,,", "500006,71053,?,"))
    wanted = online_retail.transactions(official)
    parquet = tmp_path / "data" / online_retail.FOLDER
    parquet.mkdir(parents=True)
    wanted.to_parquet(parquet / "transactions.parquet")
    for source in (parquet, parquet / "transactions.parquet", official / "data.csv"):
        pd.testing.assert_frame_equal(online_retail.transactions(source), wanted)
    monkeypatch.setattr(online_retail, "ADDRESS", (official / "data.csv").as_uri())
    monkeypatch.setattr(online_retail, "ROWS", 11)
    pd.testing.assert_frame_equal(online_retail.transactions(), wanted)
    assert (alone / online_retail.FOLDER / "data.csv").is_file()
    monkeypatch.setenv("TFREC_DATA", str(tmp_path / "data"))
    pd.testing.assert_frame_equal(online_retail.transactions(), wanted)


def test_a_download_must_have_the_published_rows(official, monkeypatch, alone):
    monkeypatch.setattr(online_retail, "ADDRESS", (official / "data.csv").as_uri())
    with pytest.raises(ValueError, match="data.csv must have 541909 rows, as its publ"):
        online_retail.events()
    assert list((alone / online_retail.FOLDER).iterdir()) == []


def test_missing_data_says_what_to_do(tmp_path):
    for source in (None, tmp_path):
        with pytest.raises(FileNotFoundError) as error:
            online_retail.events(source)
        assert "Wanted: transactions.parquet, or data.csv. Looked" in str(error.value)
        assert "By hand: download https://archive.ics.uci.edu/" in str(error.value)


def test_broken_files(official):
    file = official / "data.csv"
    for text, message in (
        (
            CSV[:-12],
            'column "country" must not be missing. Received: no value in row 10',
        ),
        (
            CSV.replace("UnitPrice", "Price"),
            'column "unit_price" must be in the file. R',
        ),
        (CSV.replace("12/13/2010 9:00", "soon"), "data.csv' cannot be read: .*soon"),
        (CSV.replace(",6,12", ",six,12"), "data.csv' cannot be read: .*'six'"),
        (CSV.replace("Spain", "Spain,1"), "Expected 8 fields in line 5, saw 9"),
        ("", "data.csv' cannot be read: No columns to parse"),
    ):
        file.write_text(text)
        with pytest.raises(ValueError, match=f"online_retail: .*{message}"):
            online_retail.events(official)
    cut = official / "transactions.parquet"
    cut.write_bytes(b"PAR1")
    with pytest.raises(
        ValueError, match="transactions.parquet' cannot be read: .*4 bytes"
    ):
        online_retail.events(official)


def test_the_spec_fits_the_events(official, tmp_path):
    spec = online_retail.spec()
    assert FeatureSpec.from_json(spec.to_json()) == spec
    events = pd.concat([online_retail.events(official)] * 5, ignore_index=True)
    adapted = spec.adapt(events, tmp_path / "vocabularies")
    adapted.check_adapted()
    assert FeatureSpec.from_json(adapted.to_json()) == adapted
    assert set(adapted.vocabulary("description").values()) == {
        *("WHITE", "HEART", "LANTERN,", "METAL", "NESTING", "BOXES")
    }
    items = online_retail.items(official)
    assert {column.name for column in spec if column.side == "item"} == set(items)


def test_what_the_page_says(shared_lines, shared_data):
    assert len(shared_lines) == online_retail.ROWS == 541_909
    assert shared_lines["invoice_no"].nunique() == 25_900
    assert shared_lines["customer_id"].isna().sum() == 135_080
    sales = online_retail.purchases(shared_data / online_retail.FOLDER)
    assert len(sales) == 397_884
    assert sales["customer_id"].nunique() == 4_338
    assert sales["stock_code"].nunique() == 3_665
    assert sales["invoice_no"].nunique() == 18_532


def test_real_events(shared_events, tmp_path):
    events = shared_events
    assert len(events) == 386_326
    assert not events.duplicated(["invoice_no", "stock_code"]).any()
    assert events["stock_code"].nunique() == 3_659
    assert events.groupby("invoice_no")["invoice_date"].nunique().max() == 1
    assert (events["quantity"] > 0).all() and (events["price"] > 0).all()
    online_retail.spec().adapt(events, tmp_path).check_adapted()


def test_real_histories_do_not_look_ahead(shared_events):
    events = shared_events
    random = np.random.default_rng(0)
    for row in random.choice(len(events), 60, replace=False):
        event = events.iloc[row]
        own = events[events["customer_id"] == event["customer_id"]]
        earlier = own[own["invoice_date"] < event["invoice_date"]]
        assert list(event["history"]) == list(earlier["stock_code"])[-50:]
        assert event["invoice_no"] not in set(earlier["invoice_no"])


def test_feature_columns_module():
    from feature_columns.online_retail import SPEC

    assert SPEC == online_retail.spec()
