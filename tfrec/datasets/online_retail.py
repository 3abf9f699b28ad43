"""Online Retail: all till lines of a British online gift shop, 2010 to 2011.

541,909 lines of 25,900 invoices, 1 December 2010 to 9 December 2011, with the text
and price of each item. Many customers are wholesalers, and people buy the same goods
again: what somebody bought before is no reason to leave it out of the answers.

Licence: CC BY 4.0 (UCI Machine Learning Repository); the copy in the R package
onlineretail is CC0. It does not come with tfrec.
Cite: Chen, Sain, Guo, Data mining for the online retail industry: a case study of RFM
model-based customer segmentation using data mining, Journal of Database Marketing &
Customer Strategy Management 19, 2012.

Files: `transactions.parquet` with the names below, or UCI's `data.csv` (or any .csv
with its headings `InvoiceNo`, `StockCode`, ...). Of UCI's `Online Retail.xlsx` make a
.csv first: `pandas.read_excel("Online Retail.xlsx").to_csv("data.csv", index=False)`
(needs the package openpyxl). UCI publishes no checksum: a download is accepted when
it has the columns and the rows that UCI counts.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from tfrec.data.histories import histories
from tfrec.datasets import fetch
from tfrec.features import Categorical, FeatureSpec, MultiCategorical, Numeric, Sequence

ROWS = 541_909
HISTORY = 50
COLUMNS = {
    "InvoiceNo": "invoice_no",
    "StockCode": "stock_code",
    "Description": "description",
    "Quantity": "quantity",
    "InvoiceDate": "invoice_date",
    "UnitPrice": "unit_price",
    "CustomerID": "customer_id",
    "Country": "country",
}

FOLDER = "online_retail"
ADDRESS = "https://archive.ics.uci.edu/static/public/352/data.csv"


def transactions(source: fetch.Source = None) -> pd.DataFrame:
    """One till line a row, as published: cancellations and returns too.

    Columns: `invoice_no` (a leading C is a cancellation), `stock_code`,
    `description` (some missing), `quantity` (negative for returns), `invoice_date`,
    `unit_price` in pounds, `customer_id` Int64 (a quarter missing), `country`.

    Args:
        source: folder or file, or None: `tfrec.datasets` says where it is looked
            for.

    Raises: `FileNotFoundError`, `ValueError`: as `tfrec.datasets` says.
    """
    file = fetch.find(
        "online_retail",
        [{"lines": "transactions.parquet"}, {"lines": "data.csv"}],
        source,
        folder=FOLDER,
        remote=fetch.Remote(ADDRESS, "data.csv", check=_published),
        by_hand=f"download {ADDRESS} and pass its path as `source`, or put it into the "
        f"folder {FOLDER} below TFREC_DATA.",
    )["lines"]
    return _read(file)


def purchases(source: fetch.Source = None) -> pd.DataFrame:
    """The lines that are sales: customer known, not cancelled, quantity and price > 0.

    Args: as in `transactions`.
    """
    return _sales(transactions(source))


def items(source: fetch.Source = None) -> pd.DataFrame:
    """One article a row: `stock_code`, `description`, `price`.

    Of several descriptions the most frequent, of several prices the median.

    Args: as in `transactions`.
    """
    return _items(_goods(purchases(source)))


def events(source: fetch.Source = None) -> pd.DataFrame:
    """One article of one basket a row, with what its customer had bought before.

    Of `purchases`, without codes that are no goods (postage, bank charges, ...: they
    do not begin with five digits). An article stands once in a basket, its `quantity`
    summed; all of a basket have the basket's first `invoice_date`. `history` holds the
    newest 50 articles of strictly earlier baskets. In order of time.

    Columns: `customer_id` int64, `country`, `invoice_no`, `invoice_date`,
    `stock_code`, `quantity`, `description`, `price`, `history`.

    Args: as in `transactions`.
    """
    lines = _goods(purchases(source))
    catalogue = _items(lines)
    start = lines.groupby("invoice_no")["invoice_date"].transform("min")
    lines = lines.assign(invoice_date=start)
    keys = ["customer_id", "country", "invoice_no", "invoice_date", "stock_code"]
    baskets = lines.groupby(keys, sort=False, as_index=False)["quantity"].sum()
    baskets = baskets.sort_values(
        ["invoice_date", "invoice_no"], kind="stable", ignore_index=True
    )
    baskets = baskets.merge(catalogue, on="stock_code", how="left")
    return histories(
        baskets,
        user="customer_id",
        item="stock_code",
        time="invoice_date",
        max_length=HISTORY,
    )


def spec(*, embedding_dim: int = 64) -> FeatureSpec:
    """The columns of `events` that two towers read, not adapted yet.

    A customer is a country and what they bought before; an article is its code, the
    words of its description and its price.
    """
    return FeatureSpec(
        [
            Sequence("history", of="stock_code", max_length=HISTORY),
            Categorical("country", side="user", embedding_dim=8),
            Categorical("stock_code", side="item", embedding_dim=embedding_dim),
            MultiCategorical(
                "description",
                side="item",
                separator=" ",
                min_count=5,
                max_length=10,
                embedding_dim=16,
            ),
            Numeric("price", side="item", scaling="log1p"),
        ],
        timestamp="invoice_date",
    )


def _read(file: Path) -> pd.DataFrame:
    with fetch.reading("online_retail", file):
        if file.suffix == ".parquet":
            frame = pd.read_parquet(file)
        else:
            text = ("InvoiceNo", "StockCode", "Description", "Country")
            frame = pd.read_csv(
                file,
                dtype=dict.fromkeys(text, "str"),
                keep_default_na=False,
                na_values=[""],
                encoding_errors="replace",
            )
    frame = frame.rename(columns=COLUMNS)
    gaps = ("description", "customer_id")
    fetch.check_columns("online_retail", frame, COLUMNS.values(), file, gaps=gaps)
    frame = frame[list(COLUMNS.values())]
    with fetch.reading("online_retail", file):
        types = {"quantity": "int64", "unit_price": "float32", "customer_id": "Int64"}
        frame = frame.astype(types)
        dates = pd.to_datetime(frame["invoice_date"])
    return frame.assign(invoice_date=dates.astype("datetime64[us]"))


def _sales(lines: pd.DataFrame) -> pd.DataFrame:
    kept = lines["customer_id"].notna() & ~lines["invoice_no"].str.startswith("C")
    kept &= (lines["quantity"] > 0) & (lines["unit_price"] > 0)
    lines = lines[kept].reset_index(drop=True)
    return lines.astype({"customer_id": "int64"})


def _goods(lines: pd.DataFrame) -> pd.DataFrame:
    return lines[lines["stock_code"].str.match(r"\d{5}")]


def _items(lines: pd.DataFrame) -> pd.DataFrame:
    texts = lines.groupby(["stock_code", "description"], as_index=False).size()
    texts = texts.sort_values(["size", "description"], ascending=[False, True])
    texts = texts.drop_duplicates("stock_code")[["stock_code", "description"]]
    prices = lines.groupby("stock_code")["unit_price"].median().rename("price")
    found = prices.reset_index().merge(texts, on="stock_code", how="left")
    return found[["stock_code", "description", "price"]]


def _published(file: Path) -> None:
    """The check of a download: all its rows are there."""
    fetch.check_rows("online_retail", len(_read(file)), ROWS, file)
