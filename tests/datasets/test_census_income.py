import gzip

import numpy as np
import pandas as pd
import pytest

from tfrec import data
from tfrec.datasets import census_income
from tfrec.features import FeatureSpec

# Two made-up people in the published format.
EARNS = (
    "52, Self-employed-incorporated, 39, 12, Bachelors degree(BA AB BS), 0, "
    "Not in universe, Divorced, Personal services, Professional specialty, White, NA, "
    "Female, Not in universe, Not in universe, Full-time schedules, 7298, 0, 350, "
    "Head of household, Not in universe, Not in universe, Householder, Householder, "
    "1812.07, ?, ?, ?, Not in universe under 1 year old, ?, 2, Not in universe, Italy, "
    "United-States, United-States, Native- Born in the United States, 0, "
    "Not in universe, 2, 52, 95, 50000+."
)
STUDIES = (
    "17, Not in universe, 0, 0, 10th grade, 0, High school, Never married, "
    "Not in universe or children, Not in universe, Black, All other, Male, "
    "Not in universe, Not in universe, Children or Armed Forces, 0, 0, 0, Nonfiler, "
    "Not in universe, Not in universe, Child <18 never marr not in subfamily, "
    "Child under 18 never married, 904.5, Nonmover, Nonmover, Nonmover, Yes, "
    "Not in universe, 0, Both parents present, United-States, United-States, "
    "United-States, Native- Born in the United States, 0, Not in universe, 0, 0, 94, "
    "- 50000."
)
LINES = f"{EARNS}\n{STUDIES}\n"


def people(rows=400):
    """Made-up people who differ in age, dividends and both labels."""
    random = np.random.default_rng(2)
    lines = []
    for _ in range(rows):
        fields = (EARNS if random.random() < 0.3 else STUDIES).split(", ")
        fields[0], fields[18] = str(random.integers(90)), str(random.integers(500))
        lines.append(", ".join(fields))
    return "\n".join(lines) + "\n"


@pytest.fixture
def official(tmp_path):
    (tmp_path / "census-income.data").write_text(LINES)
    (tmp_path / "census-income.test").write_text(LINES)
    return tmp_path


@pytest.fixture(scope="module")
def shared_events(shared_data):
    return census_income.events(shared_data / census_income.FOLDER, split="test")


def test_events_of_the_official_file(official):
    events = census_income.events(official)
    assert list(events.columns) == [*census_income.COLUMNS, "never_married"]
    assert len(census_income.COLUMNS) == 42
    assert list(events["income_50k"]) == [1, 0]
    assert list(events["never_married"]) == [0, 1]
    assert list(events["age"]) == [52, 17]
    assert list(events["hispanic_origin"]) == ["NA", "All other"]
    assert list(events["migration_msa"]) == ["?", "Nonmover"]
    assert list(events["instance_weight"]) == [1812.07, 904.5]
    assert list(events["year"]) == [95, 94]


def test_all_layouts_give_the_same(official, tmp_path, monkeypatch, alone):
    wanted = census_income.events(official, split="test")
    packed = tmp_path / "packed" / "census-income.test.gz"
    packed.parent.mkdir()
    packed.write_bytes(gzip.compress(LINES.encode()))
    parquet = tmp_path / "data" / census_income.FOLDER
    parquet.mkdir(parents=True)
    frame = pd.read_csv(
        official / "census-income.test",
        names=census_income.COLUMNS,
        skipinitialspace=True,
        keep_default_na=False,
    )
    frame.to_parquet(parquet / "census_income_test_split.parquet")
    for source in (packed, packed.parent, parquet, official / "census-income.test"):
        found = census_income.events(source, split="test")
        pd.testing.assert_frame_equal(found, wanted)
    monkeypatch.setattr(census_income, "ADDRESS", packed.parent.as_uri())
    monkeypatch.setitem(census_income.ROWS, "test", 2)
    found = census_income.events(split="test")
    pd.testing.assert_frame_equal(found, wanted)
    assert (alone / census_income.FOLDER / packed.name).is_file()
    monkeypatch.setenv("TFREC_DATA", str(tmp_path / "data"))
    pd.testing.assert_frame_equal(census_income.events(split="test"), wanted)


def test_a_download_must_have_the_published_rows(tmp_path, monkeypatch, alone):
    file = tmp_path / "census-income.data.gz"
    monkeypatch.setattr(census_income, "ADDRESS", tmp_path.as_uri())
    file.write_bytes(gzip.compress(LINES.encode()))
    message = "census-income.data.gz must have 199523 rows, as its publisher says. Rece"
    with pytest.raises(ValueError, match=message):
        census_income.events()
    file.write_bytes(gzip.compress(b"<html>not found</html>\n"))
    with pytest.raises(ValueError, match="must have 42 fields a line. Received: 1"):
        census_income.events()
    assert list((alone / census_income.FOLDER).iterdir()) == []


def test_missing_data_says_what_to_do(official):
    (official / "census-income.data").unlink()
    for source in (None, official):
        with pytest.raises(FileNotFoundError) as error:
            census_income.events(source)
        text = str(error.value)
        assert (
            "Wanted: census_income_train_split.parquet, or census-income.data.gz"
            in text
        )
        assert "By hand: download https://archive.ics.uci.edu/ml/" in text
        assert "split='train' was asked for" in text
    with pytest.raises(ValueError, match="`split` must be one of 'train', 'test'"):
        census_income.events(official, split="validation")


def test_broken_files(tmp_path):
    packed = gzip.compress(people().encode())
    for name, content, message in (
        ("cut.gz", packed[:-200], "cut.gz' cannot be read: .*end-of-stream"),
        ("no.gz", LINES.encode(), "no.gz' cannot be read: Not a gzipped file"),
        (
            "cut.data",
            LINES[:-40].encode(),
            'column "own_business" must not be missing.*row 1',
        ),
        ("wide.data", f"{LINES}{EARNS}, 1\n".encode(), "Expected 42 fields in line 3"),
        ("empty.data", b"", "cannot be read: No columns to parse"),
        (
            "adult.data",
            b"39, State-gov, <=50K\n",
            "must have 42 fields a line. Rec.*: 3",
        ),
        (
            "age.data",
            LINES.replace("52, S", "old, S").encode(),
            "invalid literal for int",
        ),
        (
            "income.data",
            LINES.replace("50000+.", ">50K").encode(),
            'column "income_50k" must be "50000\\+." or .* Received: \'>50K\' in row 0',
        ),
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ValueError, match=f"census_income: .*{message}"):
            census_income.events(tmp_path / name)


def test_a_missing_column(tmp_path, official):
    frame = census_income.events(official).drop(columns=["weeks_worked"])
    frame.to_parquet(tmp_path / "census_income_train_split.parquet")
    message = 'column "weeks_worked" must be in the file. Received: "age", '
    with pytest.raises(ValueError, match=message):
        census_income.events(tmp_path)


def test_the_spec_fits_the_events(tmp_path):
    (tmp_path / "census-income.data").write_text(people())
    events = census_income.events(tmp_path)
    spec = census_income.spec()
    assert FeatureSpec.from_json(spec.to_json()) == spec
    assert set(spec.names) | set(census_income.NOT_FEATURES) == set(
        census_income.COLUMNS
    )
    assert not set(spec.names) & {"instance_weight", "marital_status", "income_50k"}
    assert spec.weight is None and len(spec.names) == 39
    adapted = spec.adapt(events, tmp_path / "vocabularies")
    adapted.check_adapted()
    assert FeatureSpec.from_json(adapted.to_json()) == adapted
    _, labels = next(iter(data.from_pandas(events, adapted, batch_size=8)))
    assert list(labels) == ["income_50k", "never_married"]
    assert (labels["never_married"].numpy() == events["never_married"][:8]).all()


def test_what_the_page_says(shared_events, tmp_path):
    events = shared_events
    assert len(events) == census_income.ROWS["test"] == 99_762
    assert events["income_50k"].sum() == 6_186
    assert events["never_married"].sum() == 43_143
    assert events["hispanic_origin"].eq("NA").any()
    adapted = census_income.spec().adapt(events, tmp_path)
    adapted.check_adapted()
    assert adapted.vocabulary("industry_code").size == 52


def test_real_people_written_as_published(shared_events, shared_data, tmp_path):
    """Parquet and the published text agree field by field."""
    folder = shared_data / census_income.FOLDER
    frame = pd.read_parquet(folder / "census_income_test_split.parquet").head(3000)
    lines = (", ".join(map(str, row)) for row in frame.itertuples(index=False))
    (tmp_path / "census-income.test").write_text("\n".join(lines) + "\n")
    found = census_income.events(tmp_path, split="test")
    wanted = shared_events.head(3000)
    pd.testing.assert_frame_equal(found, wanted, check_dtype=False)


def test_feature_columns_module():
    from feature_columns.census_income import SPEC

    assert SPEC == census_income.spec()
