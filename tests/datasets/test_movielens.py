import dataclasses
import hashlib
import zipfile

import keras
import numpy as np
import pandas as pd
import pytest

from tfrec import data, models
from tfrec.datasets import movielens
from tfrec.features import FeatureSpec

MOVIES = """movieId,title,genres
1,Toy Story (1995),Adventure|Animation
2,"Nina, or NA (2007-)",Drama
3,NA,(no genres listed)
"""
RATINGS = """userId,movieId,rating,timestamp
1,2,4.0,964982703
1,1,3.5,964982703
1,3,5.0,964982900
2,1,0.5,847434962
"""


def official(folder, ratings=RATINGS, movies=MOVIES):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "ratings.csv").write_text(ratings, encoding="utf-8")
    (folder / "movies.csv").write_text(movies, encoding="utf-8")
    return folder


def zipped(file, ratings=RATINGS, movies=MOVIES):
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("ml-latest-small/ratings.csv", ratings)
        archive.writestr("ml-latest-small/movies.csv", movies)
        archive.writestr("ml-latest-small/README.txt", "terms")
    return file


def published_as(file):
    """The remote file, were this one GroupLens's."""
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    return dataclasses.replace(movielens.REMOTE, url=file.as_uri(), sha256=digest)


def many(rows=3000, people=60, films=80):
    """A made-up log in the official format: some films are liked, some not."""
    random = np.random.default_rng(3)
    film = random.integers(1, films + 1, rows)
    liked = random.random(rows) < np.where(film % 2, 0.8, 0.2)
    log = pd.DataFrame(
        {
            "userId": random.integers(1, people + 1, rows),
            "movieId": film,
            "rating": np.where(liked, 4.5, 2.0),
            "timestamp": 10**9 + random.integers(0, rows, rows),
        }
    ).drop_duplicates(["userId", "movieId"])
    movies = pd.DataFrame({"movieId": range(1, films + 1)})
    movies["title"] = [f"Film {number} ({1950 + number})" for number in movies.movieId]
    movies["genres"] = ["Crime|Drama", "Comedy", "(no genres listed)", "War"] * 20
    return log.to_csv(index=False), movies.to_csv(index=False)


@pytest.fixture(scope="module")
def shared_events(shared_data):
    return movielens.events(shared_data / movielens.FOLDER)


def test_tables_of_the_official_files(tmp_path):
    log = movielens.ratings(official(tmp_path))
    assert list(log["user_id"]) == [2, 1, 1, 1]
    assert list(log["movie_id"]) == [1, 1, 2, 3]  # a tie is in order of the film
    assert list(log["rating"]) == [0.5, 3.5, 4.0, 5.0]
    films = movielens.movies(tmp_path)
    assert list(films["title"]) == ["Toy Story (1995)", "Nina, or NA (2007-)", "NA"]
    assert films["year"].fillna(0).tolist() == [1995, 2007, 0]
    assert list(films["genres"]) == ["Adventure|Animation", "Drama", ""]


def test_events_hold_what_was_before(tmp_path):
    events = movielens.events(official(tmp_path))
    assert list(events["liked"]) == [0, 0, 1, 1]
    assert list(map(list, events["history"])) == [[], [], [], [1, 2]]
    assert list(map(list, events["liked_history"])) == [[], [], [], [2]]
    assert list(events["rated_before"]) == [0, 0, 0, 2]


def test_all_layouts_give_the_same(tmp_path, monkeypatch, alone):
    wanted = movielens.events(official(tmp_path / "csv"))
    official(tmp_path / "unzipped" / "ml-latest-small")
    file = zipped(tmp_path / "ml-latest-small.zip")
    parquet = tmp_path / "data" / movielens.FOLDER
    parquet.mkdir(parents=True)
    names = {"userId": "user_id", "movieId": "movie_id"}
    for table in ("ratings", "movies"):
        frame = pd.read_csv(tmp_path / "csv" / f"{table}.csv", keep_default_na=False)
        frame.rename(columns=names).to_parquet(parquet / f"{table}.parquet")
    sources = (tmp_path / "unzipped", file, tmp_path, parquet)
    for source in sources:
        pd.testing.assert_frame_equal(movielens.events(source), wanted)
    monkeypatch.setattr(movielens, "REMOTE", published_as(file))
    pd.testing.assert_frame_equal(movielens.events(), wanted)
    assert (alone / movielens.FOLDER / movielens.ZIP).is_file()
    monkeypatch.setenv("TFREC_DATA", str(tmp_path / "data"))
    pd.testing.assert_frame_equal(movielens.events(), wanted)


def test_missing_data_says_what_to_do():
    with pytest.raises(FileNotFoundError) as error:
        movielens.events()
    text = str(error.value)
    assert "ratings.parquet + movies.parquet, or ratings.csv + movies.csv, or " in text
    assert "download of https://files.grouplens.org/" in text
    assert "tests have no network" in text
    assert "By hand: download https://files.grouplens.org/" in text
    assert "non-commercial use only" in text


def test_a_download_that_is_not_the_published_one(tmp_path, monkeypatch):
    file = zipped(tmp_path / "ml-latest-small.zip")
    remote = dataclasses.replace(published_as(file), sha256=movielens.REMOTE.sha256)
    monkeypatch.setattr(movielens, "REMOTE", remote)
    with pytest.raises(ValueError, match="must have the SHA-256 696d65a3dfce"):
        movielens.events()


def test_broken_files(tmp_path):
    file = zipped(tmp_path / "cut.zip")
    file.write_bytes(file.read_bytes()[:-30])
    other = tmp_path / "other.zip"
    with zipfile.ZipFile(other, "w") as archive:
        archive.writestr("ml-25m/ratings.csv", RATINGS)
    cases = {
        file: "cut.zip' cannot be read: File is not a zip file",
        other: "no item named 'ml-latest-small/ratings.csv' in the archive",
        official(tmp_path / "short", RATINGS[:-12]): "no value in row 3 of .*ratings",
        official(tmp_path / "wide", RATINGS + "1,2,3,4,5\n"): "Expected 4 fields in li",
        official(tmp_path / "text", RATINGS.replace("0.5", "x")): "convert string to f",
        official(tmp_path / "old", RATINGS.replace("rating", "score")): (
            'column "rating" must be in the file. Received: "user_id", "movie_id", '
            '"score", "timestamp" in .*ratings.csv'
        ),
        official(tmp_path / "film", movies=MOVIES[:-20]): (
            'column "genres" must not be missing. Received: no value in row 2 of'
        ),
        official(tmp_path / "films", movies=MOVIES[:-25]): (
            'column "movie_id" must be among the films. Received: 3'
        ),
    }
    for source, message in cases.items():
        with pytest.raises(ValueError, match=f"movielens: .*{message}"):
            movielens.events(source)


@pytest.mark.parametrize("make", ["spec", "retrieval_spec"])
def test_specs_fit_the_events(make, tmp_path):
    events = movielens.events(official(tmp_path / "csv", *many()))
    spec = getattr(movielens, make)()
    assert FeatureSpec.from_json(spec.to_json()) == spec
    assert set(spec.names) <= set(events.columns)
    adapted = spec.adapt(events, tmp_path / "vocabularies")
    adapted.check_adapted()
    assert FeatureSpec.from_json(adapted.to_json()) == adapted


@pytest.mark.slow
def test_deepfm_learns_from_the_events(tmp_path):
    """The made-up log says by the film alone what is liked."""
    events = movielens.events(official(tmp_path / "csv", *many()))
    auc = one_epoch(events, tmp_path / "vocabularies", batch_size=32)
    assert auc > 0.7


@pytest.mark.slow
def test_deepfm_learns_from_real_events(shared_events, tmp_path):
    some = shared_events[shared_events["user_id"] % 12 == 3]
    auc = one_epoch(some, tmp_path, batch_size=64)
    assert auc > 0.72


def one_epoch(events, folder, *, batch_size):
    """AUC in the last sixth of the log."""
    keras.utils.set_random_seed(1)
    train, test = data.split_by_time(events, time="timestamp", shares=(5 / 6, 1 / 6))
    spec = movielens.spec(embedding_dim=8).adapt(train, folder)
    model = models.deepfm(spec, hidden_units=(32,), seed=1)
    model.compile(
        keras.optimizers.Adam(0.01),
        keras.losses.BinaryCrossentropy(from_logits=True),
        metrics=[keras.metrics.AUC(from_logits=True, name="auc")],
    )
    rows = data.from_pandas(train, spec, batch_size=batch_size, shuffle=True)
    model.fit(rows, epochs=1, shuffle=False, verbose=0)
    rows = data.from_pandas(test, spec)
    return model.evaluate(rows, verbose=0, return_dict=True)["auc"]


def test_what_the_page_says(shared_events):
    events = shared_events
    assert len(events) == 100_004
    assert events["user_id"].nunique() == 671
    assert events["user_id"].value_counts().min() >= 20
    assert events["movie_id"].nunique() == 9_066
    assert events["rating"].between(0.5, 5).all()
    assert events["timestamp"].is_monotonic_increasing
    assert not events.duplicated(["user_id", "movie_id"]).any()
    years = events["year"].dropna()
    assert years.between(1900, 2016).all() and len(years) > 99_900


def test_real_films(shared_data):
    films = movielens.movies(shared_data / movielens.FOLDER)
    assert len(films) == films["movie_id"].nunique() == 9_125
    assert films["year"].isna().sum() == 4
    assert (films["genres"] == "").sum() == 18


def test_real_histories_do_not_look_ahead(shared_events):
    events = shared_events
    random = np.random.default_rng(0)
    for row in random.choice(len(events), 100, replace=False):
        event = events.iloc[row]
        own = events[events["user_id"] == event["user_id"]]
        earlier = own[own["timestamp"] < event["timestamp"]]
        assert list(event["history"]) == list(earlier["movie_id"])[-20:]
        liked = earlier["movie_id"][earlier["rating"] >= 4]
        assert list(event["liked_history"]) == list(liked)[-20:]
        assert event["rated_before"] == len(earlier)


@pytest.mark.parametrize("make", ["spec", "retrieval_spec"])
def test_specs_fit_the_real_events(shared_events, make, tmp_path):
    getattr(movielens, make)().adapt(shared_events, tmp_path).check_adapted()


def test_feature_columns_module():
    from feature_columns.movielens import SPEC

    assert SPEC == movielens.spec()
