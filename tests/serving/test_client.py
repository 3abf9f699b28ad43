"""The client against the running server, and its checks before the network."""

import json
import re
import socket
import threading

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from tfrec.features import FeatureSpec, Numeric
from tfrec.serving import Client, Credentials, ServingError, local_server, messages
from tfrec.serving import client as client_module

USER = {"user_id": "u1", "history": ["m1", "m5"], "age": 0.5}
ITEMS = pd.DataFrame({"movie_id": ["m3", "zz", "m7"], "price": [1.0, 2.0, 3.0]})
USERS = pd.DataFrame(
    {"user_id": ["u1", "new"], "history": [["m1", "m5"], []], "age": [0.5, 2.0]}
)


@pytest.fixture(scope="module")
def client(address, movies):
    with Client(address, movies, timeout=30) as opened:
        yield opened


@pytest.fixture(params=["127.0.0.1:1", "http://127.0.0.1:1"], ids=["grpc", "rest"])
def offline(request, movies, monkeypatch):
    """A client that must not use the network."""

    def send(*_):
        raise AssertionError("the network was used")

    with Client(request.param, movies) as opened:
        monkeypatch.setattr(Client, "_send", send)
        yield opened


@pytest.fixture
def sent(monkeypatch):
    """The requests that clients send, in order."""
    requests = []
    send = Client._send

    def noted(self, request, deadline):
        requests.append(request)
        return send(self, request, deadline)

    monkeypatch.setattr(Client, "_send", noted)
    return requests


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


def test_a_hundred_thousand_candidates(client, local, sent):
    """Long ids: 11 MB of items through a server that takes 4 MiB."""
    known = [f"m{number % 50}" for number in range(50_000)]
    unknown = [f"{number:0>200}" for number in range(50_000)]
    items = pd.DataFrame({"movie_id": known + unknown})
    items["price"] = np.arange(100_000) / 1000
    scores = client.score(USER, items)
    asked = [len(request.data) for request in sent if request.data]
    assert len(asked) > 2
    assert max(asked) <= 4 * 2**20
    np.testing.assert_allclose(scores, local(USER, items), rtol=1e-5, atol=1e-5)
    sent.clear()
    few = items.iloc[:1000]
    assert client.score(USER, few).tolist() == scores[:1000].tolist()
    assert len(sent) == 1


def few(address):
    """A small limit, that the metadata, as JSON, still fits."""
    return 4096 if "http" in address else 1024


def test_long_row_batches_are_split_too(address, movies, sent):
    rows = pd.concat([USERS] * 200, ignore_index=True)
    with Client(address, movies, max_message_bytes=few(address)) as client:
        split = client.user_embedding(rows)
        assert len(sent) > 4
        assert split.tolist() == client.user_embedding(USERS).tolist() * 200


def document():
    spec = FeatureSpec([Numeric(name, side="user") for name in "ab"])
    number = {"dtype": "float32", "shape": [None]}
    return {
        "format": 1,
        "servable": "whatever",
        "inputs": {name: {**number, "side": "user"} for name in "ab"},
        "outputs": {"sum": number, "product": number},
        "spec": json.loads(spec.to_json()),
    }


@pytest.fixture(scope="module")
def sums(address):
    """Of a server that has `sums` in versions 1, 2 and 7, which weigh the sum."""
    with Client(address, {"sums": document()}, timeout=30) as opened:
        yield opened


def test_versions_and_signatures_of_a_servable_of_no_export(sums):
    rows = {"a": [1.0, 2.0], "b": [3.0, 4.0]}
    for version, weight in ((None, 7), (1, 1), (2, 2)):
        answer = sums.predict("sums", rows, version=version)
        assert answer["sum"].tolist() == [4 * weight, 6 * weight]
        assert answer["product"].tolist() == [3, 8]
        assert answer["sum"].dtype == np.float32
    named = {"version": 2, "signature_name": "serving_default", "outputs": ["product"]}
    assert list(sums.predict("sums", rows, **named)) == ["product"]
    with pytest.raises(ServingError, match="Unrecognized servable version label: ca"):
        sums.predict("sums", rows, version="canary")
    assert list(sums.status("sums")) == [7, 2, 1]
    assert sums.metadata("sums", version=2)["version"] == 2


def test_one_version_answers_all_of_a_call(address, sums, sent):
    """A call that is split names the version that its first part met."""
    rows = {"a": np.arange(500.0), "b": np.ones(500)}
    with Client(
        address, {"sums": document()}, max_message_bytes=few(address)
    ) as client:
        answer = client.predict("sums", rows)["sum"]
        assert answer.tolist() == [(number + 1) * 7 for number in range(500)]
        told = [request for request in sent if request.data]
        assert len(told) > 2
        spec = messages.model_spec("sums", 7)
        for request in told[1:]:
            assert spec in request.data or "/versions/7:" in request.place
        sent.clear()
        asked = client.predict("sums", rows, version=2)["sum"]
        assert asked.tolist() == [(number + 1) * 2 for number in range(500)]


def test_a_version_that_goes_away_during_a_call(address, monkeypatch):
    """The call begins anew, once."""
    rows = {"a": np.arange(500.0), "b": np.ones(500)}
    gone, send = [1], Client._send

    def switched(self, request, deadline):
        answer = send(self, request, deadline)
        named = "/versions/7:" in request.place
        if named or messages.model_spec("sums", 7) in request.data:
            if gone and gone.pop():
                raise ServingError("Specific(sums, 7)", "NOT_FOUND")
        return answer

    monkeypatch.setattr(Client, "_send", switched)
    with Client(
        address, {"sums": document()}, max_message_bytes=few(address)
    ) as client:
        answer = client.predict("sums", rows)["sum"]
        assert answer.tolist() == [(number + 1) * 7 for number in range(500)]
        assert not gone
        gone += [1, 1]
        with pytest.raises(ServingError, match=r"Specific\(sums, 7\)") as caught:
            client.predict("sums", rows)
        assert caught.value.code == "NOT_FOUND"
        gone.append(1)
        with pytest.raises(ServingError):  # who asks for a version gets it or nothing
            client.predict("sums", rows, version=7)


def test_frames_in_and_out(client):
    rows = USERS.assign(extra=[True, False]).set_index(pd.Index([7, 3], name="row"))
    frame = client.predict_frame("user_tower", rows)
    assert frame.drop(columns="user_embedding").equals(rows)
    vectors = client.user_embedding(USERS)
    assert np.stack(frame["user_embedding"]).tolist() == vectors.tolist()
    again = client.predict_frame("user_tower", frame.drop(columns="user_embedding"))
    assert np.stack(again["user_embedding"]).tolist() == vectors.tolist()
    scored = client.predict_frame(
        "ranker", USERS.assign(movie_id=["m3", "m4"], price=[1.0, 2.0]).to_dict("list")
    )
    assert scored["score"].dtype == np.float32
    whole = USERS.assign(movie_id=["m3", "m4"], price=[1.0, 2.0])
    assert scored["score"].tolist() == client.predict("ranker", whole)["score"].tolist()


def test_numbers_that_are_not_finite(sums):
    rows = {"a": [np.inf, -np.inf, 1.0], "b": [1.0, 2.0, 3.0]}
    try:
        answer = sums.predict("sums", rows)
    except ValueError as error:  # what a spec does not allow is not sent
        assert 'column "a"' in str(error)
    else:
        assert answer["product"].tolist() == [np.inf, -np.inf, 3.0]


def answer_of(protocol):
    """The bytes that answer a request for `sum` and `product` of one row."""
    if protocol == "rest":
        return b'{"outputs": {"sum": [4.0], "product": [3.0]}}'
    arrays = {"sum": np.float32([4]), "product": np.float32([3])}
    return messages.predict_response(messages.model_spec("sums", 1), arrays)


ROW = {"a": [1.0], "b": [3.0]}


@pytest.fixture
def played(flaky):
    """A flaky server and a client of it."""
    with Client(flaky.address, {"sums": document()}, timeout=20) as client:
        flaky.answer = answer_of("rest" if "http" in flaky.address else "grpc")
        yield flaky, client


@pytest.fixture
def pauses(monkeypatch):
    slept = []
    monkeypatch.setattr(client_module.time, "sleep", slept.append)
    return slept


def test_unavailable_is_tried_again(played, pauses):
    flaky, client = played
    flaky.left += ["UNAVAILABLE"] * 3 + [flaky.answer]
    assert client.predict("sums", ROW)["sum"].tolist() == [4]
    assert len(flaky.asked) == 4
    assert len(set(flaky.asked)) == 1
    assert len(pauses) == 3
    assert pauses == sorted(pauses)


def test_it_gives_up(played, pauses):
    flaky, client = played
    flaky.left += ["UNAVAILABLE"] * 9
    with pytest.raises(ServingError, match="answered UNAVAILABLE: no"):
        client.predict("sums", ROW)
    assert len(flaky.asked) == 4
    flaky.asked.clear()
    with pytest.raises(ServingError):  # the pause would go over the end
        client.predict("sums", ROW, timeout=0.05)
    assert len(flaky.asked) <= 1


@pytest.mark.parametrize("code", ["INVALID_ARGUMENT", "NOT_FOUND", "INTERNAL"])
def test_other_codes_are_final(played, pauses, code):
    flaky, client = played
    flaky.left.append(code)
    with pytest.raises(ServingError, match=f"answered {code}: no") as caught:
        client.predict("sums", ROW)
    assert caught.value.code == code
    assert (len(flaky.asked), pauses) == (1, [])


def test_the_timeout_is_of_the_whole_call(played):
    """Parts share it: the second is given what the first has left."""
    flaky, client = played
    late = threading.Event()
    flaky.left += ["UNAVAILABLE", late]
    with pytest.raises(ServingError, match="give the client a longer") as caught:
        client.predict("sums", ROW, timeout=0.5)
    late.set()
    assert caught.value.code == "DEADLINE_EXCEEDED"


def test_parts_share_the_deadline(sums, monkeypatch):
    seen = []
    monkeypatch.setattr(Client, "_send", lambda self, r, end: seen.append(end) or b"")
    rows = {"a": np.arange(500.0), "b": np.ones(500)}
    with Client("h:1", {"sums": document()}, max_message_bytes=1024) as client:
        client.predict("sums", rows, version=1)
    assert len(seen) > 2
    assert len(set(map(id, seen))) == 1


@pytest.mark.parametrize("answer", [b"\xff\xff", b"{}", b""])
def test_an_answer_that_is_none(played, answer):
    flaky, client = played
    if "http" not in flaky.address:
        answer = b"\xff\xff"
    flaky.left.append(answer)
    text = "but the answer is not what such a request gets"
    with pytest.raises(ServingError, match=text):
        client.predict("sums", ROW)


@pytest.mark.slow
def test_tls_and_a_token_against_the_server(tmp_path, movies, certificates, rest_port):
    token = "a-secret-of-tests"
    (tmp_path / "token").write_text(token)
    lines = [
        f"{name}: {json.dumps((certificates / file).read_text())}"
        for name, file in (
            ("server_key", "server.key"),
            ("server_cert", "server.pem"),
            ("custom_ca", "ca.pem"),
        )
    ]
    config = tmp_path / "ssl.config"
    config.write_text("\n".join([*lines, "client_verify: true"]))
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    arguments = [
        f"--ssl_config_file={config}",
        f"--token_file={tmp_path / 'token'}",
        f"--rest_api_port={port}",
        "--rest_api_enable_ssl",
    ]
    ca = certificates / "ca.pem"
    pair = (certificates / "client.pem", certificates / "client.key")
    ours = Credentials(ca, *pair, token=token)
    with local_server(movies / "ranker", arguments=arguments) as running:
        for address in (f"grpcs://{running.address}", f"https://127.0.0.1:{port}"):
            with Client(address, movies, credentials=ours, timeout=30) as client:
                assert client.score(USER, ITEMS).shape == (3,)
                assert client.status("ranker") == {1: "AVAILABLE"}
            nameless = Credentials(ca, *pair)
            with Client(address, movies, credentials=nameless) as client:
                with pytest.raises(ServingError, match="`Credentials` with") as caught:
                    client.score(USER, ITEMS)
            assert caught.value.code == "UNAUTHENTICATED"
            stranger = Credentials(ca, token=token)
            with Client(address, movies, credentials=stranger) as client:
                with pytest.raises(ServingError) as caught:
                    client.score(USER, ITEMS)
            assert caught.value.code == "UNAVAILABLE"


def test_status_and_metadata(client):
    assert client.status("ranker") == {1: "AVAILABLE"}
    metadata = client.metadata("ranker")
    assert metadata["version"] == 1
    assert list(metadata["signatures"]) == ["serving_default"]
    told = metadata["signatures"]["serving_default"]
    assert told["inputs"]["history"] == {"dtype": "string", "shape": [None, None]}
    assert list(told["outputs"]) == ["score"]
    assert client.metadata("ranker", version=1) == metadata


def test_what_the_server_refuses(client, address):
    rows = USERS.assign(movie_id=["m3", "m4"], price=[1.0, 2.0])
    with pytest.raises(ServingError, match=r"Specific\(ranker, 9\)") as caught:
        client.predict("ranker", rows, version=9)
    assert caught.value.code == "NOT_FOUND"
    assert f'"ranker" at {address} answered' in str(caught.value)
    with pytest.raises(ServingError, match=r'ignature \w+: "odd"|key "odd" not found'):
        client.predict("ranker", rows, signature_name="odd")
    with pytest.raises(ServingError, match="tensor alias not found") as caught:
        client.predict(
            "ranker", rows, signature_name="serving_default", outputs=["odd"]
        )
    assert caught.value.code == "INVALID_ARGUMENT"


@pytest.mark.parametrize("address", ["127.0.0.1:1", "http://127.0.0.1:1"])
def test_a_closed_client(movies, address):
    client = Client(address, movies)
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
            'Client: column "score" must not be among the rows\' columns',
        ),
        (
            lambda c: c.predict_frame("user_tower", USERS.assign(user_embedding=1)),
            'Client: column "user_embedding" must not be among the rows\' columns',
        ),
        (
            lambda c: c.predict_frame("user_tower", {"age": 1.0}),
            "Client: `rows` must be a DataFrame, a dict of columns or a list of dicts",
        ),
        (
            lambda c: c.user_embedding(USERS, version=-1),
            "Client: `version` must be an int >= 0, a label or None. Received: vers",
        ),
        (
            lambda c: c.metadata("ranker", version=True),
            "Client: `version` must be an int >= 0, a label or None. Received: vers",
        ),
        (
            lambda c: c.user_embedding(USERS, timeout=0),
            "Client: `timeout` must be a number > 0",
        ),
        (
            lambda c: c.predict("user_tower", USERS, parameters={"n": 3}),
            'Client: `parameters` must be parameters of "user_tower". Received: '
            "parameters='n' (str). It has none.",
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
