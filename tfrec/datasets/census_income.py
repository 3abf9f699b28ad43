"""Census-Income (KDD): one person of the U.S. survey of 1994 or 1995 a row.

Two tasks on the same 39 columns, as in the paper of MMoE: does the person earn more
than 50,000 dollars (6 in 100), and were they never married (43 in 100)? 199,523
people to train on, 99,762 to test on.

Licence: CC BY 4.0 (UCI Machine Learning Repository); made from public files of the
U.S. Census Bureau. It does not come with tfrec.
Cite: Lane, Kohavi, Census-Income (KDD), UCI Machine Learning Repository, 2000.

Files: UCI's `census-income.data` and `census-income.test`, plain or .gz, or
`census_income_train_split.parquet` and `census_income_test_split.parquet` with the
names of `COLUMNS`. UCI publishes no checksum: a download is accepted when it has the
42 columns and the rows that UCI counts, and no field is missing.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from tfrec import _checks
from tfrec.datasets import fetch
from tfrec.features import Bucketized, Categorical, FeatureSpec, Numeric

ROWS = {"train": 199_523, "test": 99_762}

# In the order of the published files.
COLUMNS = (
    *("age", "class_of_worker", "industry_code", "occupation_code", "education"),
    *("wage_per_hour", "enrolled_in_edu_last_wk", "marital_status", "major_industry"),
    *("major_occupation", "race", "hispanic_origin", "sex", "labor_union_member"),
    *("unemployment_reason", "employment_status", "capital_gains", "capital_losses"),
    *("dividends", "tax_filer_status", "prev_region", "prev_state"),
    *("household_family_stat", "household_summary", "instance_weight"),
    *("migration_msa", "migration_reg", "migration_within_reg", "lived_here_1yr_ago"),
    *("migration_sunbelt", "num_persons_worked_for", "family_under_18"),
    *("birth_country_father", "birth_country_mother", "birth_country_self"),
    *("citizenship", "own_business", "veterans_questionnaire", "veterans_benefits"),
    *("weeks_worked", "year", "income_50k"),
)
CODES = (
    "industry_code",
    "occupation_code",
    "own_business",
    "veterans_benefits",
    "year",
)
AMOUNTS = ("wage_per_hour", "capital_gains", "capital_losses", "dividends")
COUNTS = ("num_persons_worked_for", "weeks_worked")
NOT_FEATURES = ("instance_weight", "marital_status", "income_50k")

FOLDER = "census_income_kdd"
ADDRESS = "https://archive.ics.uci.edu/ml/machine-learning-databases/census-income-mld"
FILES = {"train": "census-income.data", "test": "census-income.test"}


def events(source: fetch.Source = None, *, split: str = "train") -> pd.DataFrame:
    """One person a row, in the published order, with the two labels.

    Columns: those of `COLUMNS`, where `income_50k` is 1 for more than 50,000
    dollars, and `never_married`, 1 where `marital_status` is "Never married". "?"
    and "Not in universe" are values like others. `instance_weight` counts the
    people whom a row stands for: no feature.

    Args:
        source: folder or file, or None: `tfrec.datasets` says where it is looked
            for.
        split: `"train"` or `"test"`, the published halves.

    Raises: `FileNotFoundError`, `ValueError`: as `tfrec.datasets` says.
    """
    _checks.one_of("census_income", ROWS, split=split)
    file = FILES[split]
    rows = fetch.find(
        "census_income",
        [
            {"rows": f"census_income_{split}_split.parquet"},
            {"rows": f"{file}.gz"},
            {"rows": file},
        ],
        source,
        folder=FOLDER,
        remote=fetch.Remote(
            f"{ADDRESS}/{file}.gz", f"{file}.gz", check=_published(split)
        ),
        by_hand=f"download {ADDRESS}/{file}.gz and pass its path as `source`, or put "
        f"it into the folder {FOLDER} below TFREC_DATA. split={split!r} was asked for; "
        "the other half has a file of its own.",
    )["rows"]
    return _labelled(_read(rows))


def spec(*, embedding_dim: int = 8) -> FeatureSpec:
    """The columns of `events` that a multi-task model reads, not adapted yet.

    All but the labels, what they are made of, and `instance_weight`.
    """
    columns: list[Categorical | Numeric | Bucketized] = []
    for name in COLUMNS:
        side = "context" if name == "year" else "user"
        if name in NOT_FEATURES:
            continue
        if name == "age":
            columns.append(
                Bucketized(name, side=side, num_buckets=20, embedding_dim=embedding_dim)
            )
        elif name in AMOUNTS:
            columns.append(Numeric(name, side=side, scaling="log1p"))
        elif name in COUNTS:
            columns.append(Numeric(name, side=side, scaling="min_max"))
        else:
            dtype = "int64" if name in CODES else "string"
            columns.append(
                Categorical(name, side=side, dtype=dtype, embedding_dim=embedding_dim)
            )
    return FeatureSpec(columns, labels=["income_50k", "never_married"])


def _read(file: Path) -> pd.DataFrame:
    numbers = {"age", *CODES, *AMOUNTS, *COUNTS}
    if file.suffix == ".parquet":
        with fetch.reading("census_income", file):
            frame = pd.read_parquet(file)
    else:
        with fetch.reading("census_income", file):
            frame = pd.read_csv(
                file,
                header=None,
                skipinitialspace=True,
                keep_default_na=False,
                na_values=[""],
            )
        if frame.shape[1] != len(COLUMNS):
            raise ValueError(
                f"census_income: {str(file)!r} must have {len(COLUMNS)} fields a line. "
                f"Received: {frame.shape[1]}. Pass UCI's own file as `source`."
            )
        frame.columns = list(COLUMNS)
    fetch.check_columns("census_income", frame, COLUMNS, file)
    frame = frame[list(COLUMNS)]
    with fetch.reading("census_income", file):
        types = dict.fromkeys(sorted(numbers), "int64")
        return frame.astype({**types, "instance_weight": "float64"})


def _labelled(frame: pd.DataFrame) -> pd.DataFrame:
    income = frame["income_50k"].astype(str).str.strip(" .")
    strange = ~income.isin(["50000+", "- 50000"])
    if strange.any():
        row = int(strange.to_numpy().argmax())
        rule, found = 'must be "50000+." or "- 50000."', f"{income[row]!r} in row {row}"
        way_out = "Pass UCI's own file as `source`."
        raise _checks.column("census_income", "income_50k", rule, found, way_out)
    frame["income_50k"] = (income == "50000+").astype("float32")
    single = frame["marital_status"] == "Never married"
    frame["never_married"] = single.astype("float32")
    return frame


def _published(split: str):
    """The check of a download: all its rows are there."""

    def check(file: Path) -> None:
        fetch.check_rows("census_income", len(_read(file)), ROWS[split], file)

    return check
