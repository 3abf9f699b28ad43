"""The client against the running server, and its checks before the network."""

import re

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from tfrec.serving import Client, ServingError
from tfrec.serving import client as client_module

USER = {"user_id": "u1", "history": ["m1", "m5"], "age": 0.5}
ITEMS = pd.DataFrame({"movie_id": ["m3", "zz", "m7"], "price": [1.0, 2.0, 3.0]})
USERS = pd.DataFrame(
    {"user_id": ["u1", "new"], "history": [["m1", "m5"], []], "age": [0.5, 2.0]}
)


@pytest.fixture(scope="module")
def client(server, movies):
    with Client(server.address, movies, timeout=30) as opened:
        yield opened


@pytest.fixture
def offline(movies, monkeypatch):
    """A client that must not use the network."""

    def call(*_):
        raise AssertionError("the network was used")

    with Client("127.0.0.1:1", movies) as opened:
        monkeypatch.setattr(client_module.Channel, "call", call)
        yield opened


@pytest.fixture(scope="module")
def local(movies):
    """The ranker in this process."""
    ranker = tf.saved_model.load(str(movies / "ranker" / "1")).signatures

    def score(user, items):
        frame = pd.DataFrame([user])
        history = np.array([list(frame["history"][0]) or [""]], object)
        return ranker["serving_default"](
            user_id=tf.constant(frame["user_id"].tolist()),
            history=tf.constant(history),
            age=tf.constant(frame["age"].astype("float32")),
            movie_id=tf.constant(items["movie_id"].tolist()),
            price=tf.constant(items["price"].astype("float32")),
        )["score"].numpy()

    score.signatures = ranker
    return score


def test_embeddings(client, local):
    users = client.user_embedding(USERS)
    items = client.item_embedding(ITEMS)
    assert users.shape == (2, 4)
    assert users.dtype == np.float32
    expected = local(USER, ITEMS)
    np.testing.assert_allclose(items @ users[0], expected, rtol=1e-5, atol=1e-6)


def test_rows_of_every_kind(client):
    expected = client.user_embedding(USERS)
    as_lists = {name: USERS[name].tolist() for name in USERS}
    for rows in (as_lists, USERS.to_dict("records"), USERS.assign(extra=1)):
        assert client.user_embedding(rows).tolist() == expected.tolist()


def test_score_is_the_local_score(client, local):
    expected = local(USER, ITEMS)
    np.testing.assert_allclose(client.score(USER, ITEMS), expected, rtol=1e-6)
    for user in (pd.Series(USER), pd.DataFrame([USER]), [USER], USERS.iloc[[0]]):
        assert client.score(user, ITEMS).tolist() == client.score(USER, ITEMS).tolist()
    empty = {**USER, "user_id": "", "history": []}
    np.testing.assert_allclose(client.score(empty, ITEMS), local(empty, ITEMS), 1e-6)


def test_the_same_question_gets_the_same_answer(client):
    answers = {client.score(USER, ITEMS).tobytes() for _ in range(10)}
    assert len(answers) == 1


def test_rank_sorts_and_keeps_the_order_of_ties(client):
    items = pd.concat([ITEMS, ITEMS], ignore_index=True).assign(place=range(6))
    ranked = client.rank(USER, items)
    assert ranked["score"].is_monotonic_decreasing
    assert list(ranked.index) == list(ranked["place"])
    for _, twins in ranked.groupby("movie_id", sort=False):
        assert twins["place"].is_monotonic_increasing
    assert sorted(ranked["place"]) == list(range(6))
    scores = client.score(USER, items)
    assert ranked["score"].tolist() == scores[ranked["place"]].tolist()
    as_dict = client.rank(USER, {name: ITEMS[name].tolist() for name in ITEMS})
    assert as_dict.equals(client.rank(USER, ITEMS))


def test_predict_one_row_a_user(client):
    rows = USERS.assign(movie_id=["m3", "m4"], price=[1.0, 2.0])
    answer = client.predict("ranker", rows)
    assert list(answer) == ["score"]
    assert answer["score"].shape == (2,)
    answer["score"][0] = 0  # it may be written to
    named = client.predict(
        "ranker",
        rows,
        version=1,
        signature_name="serving_default",
        outputs=["score"],
    )
    assert named["score"][1] == answer["score"][1]


def test_a_hundred_thousand_candidates(client, local, monkeypatch):
    """Long ids: 11 MB of items through a server that takes 4 MiB."""
    sent = []
    call = client_module.Channel.call

    def counted(self, method, servable, data):
        sent.append(len(data))
        return call(self, method, servable, data)

    monkeypatch.setattr(client_module.Channel, "call", counted)
    known = [f"m{number % 50}" for number in range(50_000)]
    unknown = [f"{number:0>200}" for number in range(50_000)]
    items = pd.DataFrame({"movie_id": known + unknown})
    items["price"] = np.arange(100_000) / 1000
    scores = client.score(USER, items)
    assert len(sent) > 2
    assert max(sent) <= 4 * 2**20
    np.testing.assert_allclose(scores, local(USER, items), rtol=1e-5, atol=1e-5)
    sent.clear()
    few = items.iloc[:1000]
    assert client.score(USER, few).tolist() == scores[:1000].tolist()
    assert len(sent) == 1


def test_long_row_batches_are_split_too(server, movies):
    rows = pd.concat([USERS] * 200, ignore_index=True)
    with Client(server.address, movies, max_message_bytes=1024) as client:
        split = client.user_embedding(rows)
        assert split.tolist() == client.user_embedding(USERS).tolist() * 200


def test_status_and_metadata(client):
    assert client.status("ranker") == {1: "AVAILABLE"}
    metadata = client.metadata("ranker")
    assert metadata["version"] == 1
    assert list(metadata["signatures"]) == ["serving_default"]
    told = metadata["signatures"]["serving_default"]
    assert told["inputs"]["history"] == {"dtype": "string", "shape": [None, None]}
    assert list(told["outputs"]) == ["score"]
    assert client.metadata("ranker", version=1) == metadata


def test_what_the_server_refuses(client):
    rows = USERS.assign(movie_id=["m3", "m4"], price=[1.0, 2.0])
    with pytest.raises(ServingError, match=r"Specific\(ranker, 9\)") as caught:
        client.predict("ranker", rows, version=9)
    assert caught.value.code == "NOT_FOUND"
    assert '"ranker" at 127.0.0.1:' in str(caught.value)
    with pytest.raises(ServingError, match='signature key "odd" not found'):
        client.predict("ranker", rows, signature_name="odd")
    with pytest.raises(ServingError, match="tensor alias not found") as caught:
        client.predict(
            "ranker", rows, signature_name="serving_default", outputs=["odd"]
        )
    assert caught.value.code == "INVALID_ARGUMENT"


def test_a_closed_client(movies):
    client = Client("127.0.0.1:1", movies)
    client.close()
    with pytest.raises(ServingError, match="client is closed"):
        client.status("ranker")


@pytest.mark.parametrize(
    ("ask", "text"),
    [
        (
            lambda c: c.user_embedding(USERS.drop(columns="age")),
            'Client: column "age" must be one of the row\'s features. Received: '
            '"user_id", "history".',
        ),
        (
            lambda c: c.user_embedding(USERS.assign(age=[1.0, np.nan])),
            'Client: column "age" must not be missing. Received: NaN or null in row 1',
        ),
        (
            lambda c: c.user_embedding(USERS.assign(user_id=[1, 2])),
            'Client: column "user_id" must hold strings',
        ),
        (
            lambda c: c.user_embedding(USERS.iloc[:0]),
            "Client: `rows` must hold a row or more",
        ),
        (
            lambda c: c.score(USER, ITEMS.iloc[:0]),
            "Client: `items` must hold a row or more",
        ),
        (
            lambda c: c.score(USERS, ITEMS),
            'Client: column "user_id" must be of one user. Received: 2 rows.',
        ),
        (
            lambda c: c.score({"user_id": "u"}, ITEMS),
            'Client: column "history" must be one of the row\'s features',
        ),
        (
            lambda c: c.score(USER, ITEMS.drop(columns="price")),
            'Client: column "price" must be one of the row\'s features',
        ),
        (
            lambda c: c.rank(USER, ITEMS.assign(score=1.0)),
            'Client: column "score" must not be among the items\' columns',
        ),
        (
            lambda c: c.predict("rankr", USERS),
            'Client: `servable` must be one of "item_tower", "ranker", "user_tower". '
            "Received: servable='rankr' (str). Did you mean \"ranker\"?",
        ),
        (
            lambda c: c.predict("user_tower", USERS, outputs=["odd"]),
            'Client: `outputs` must be one of the outputs of "user_tower". Received: '
            "outputs='odd' (str). It has \"user_embedding\".",
        ),
        (
            lambda c: c.predict("user_tower", USERS, outputs="user_embedding"),
            "Client: `outputs` must be a list of names",
        ),
        (
            lambda c: c.status("absent"),
            'Client: `servable` must be one of "item_tower", "ranker"',
        ),
        (
            lambda c: c.score(USER, ITEMS, output="like"),
            'Client: `output` must be one of the outputs of "ranker". Received: '
            "output='like' (str). It has \"score\".",
        ),
    ],
)
def test_what_is_refused_before_the_network(offline, ask, text):
    with pytest.raises(ValueError, match=re.escape(text)):
        ask(offline)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"address": ""}, "`address` must be a non-empty string"),
        ({"timeout": 0}, "`timeout` must be a number > 0"),
        ({"max_message_bytes": 10}, "`max_message_bytes` must be an int >= 1024"),
    ],
)
def test_bad_arguments(movies, arguments, text):
    given = {"address": "127.0.0.1:1", "specs": movies, **arguments}
    with pytest.raises(ValueError, match=re.escape(text)):
        Client(**given)
