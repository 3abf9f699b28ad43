"""The client of an event loop: the same answers, many at once."""

import asyncio
import inspect
import json
import threading

import numpy as np
import pandas as pd
import pytest

from tfrec.features import FeatureSpec, Numeric
from tfrec.serving import AsyncClient, Client, ServingError
from tfrec.serving import async_client as async_client_module

USER = {"user_id": "u1", "history": ["m1", "m5"], "age": 0.5}
ITEMS = pd.DataFrame({"movie_id": ["m3", "zz", "m7"], "price": [1.0, 2.0, 3.0]})
USERS = pd.DataFrame(
    {"user_id": ["u1", "new"], "history": [["m1", "m5"], []], "age": [0.5, 2.0]}
)


def with_client(address, specs, use, **arguments):
    async def run():
        async with AsyncClient(address, specs, **arguments) as client:
            return await use(client)

    return asyncio.run(run())


def test_methods_are_those_of_the_client():
    names = {name for name in vars(Client) if not name.startswith("_")}
    assert {name for name in vars(AsyncClient) if not name.startswith("_")} == names
    for name in names - {"servables"}:
        ours, theirs = getattr(AsyncClient, name), getattr(Client, name)
        assert inspect.iscoroutinefunction(ours)
        assert inspect.signature(ours) == inspect.signature(theirs)
    ours, theirs = inspect.signature(AsyncClient), inspect.signature(Client)
    assert ours.parameters == theirs.parameters


def test_answers_are_those_of_the_client(address, movies):
    rows = USERS.assign(movie_id=["m3", "m4"], price=[1.0, 2.0])

    async def use(client):
        assert client.servables == ("item_tower", "ranker", "user_tower")
        return [
            await client.user_embedding(USERS),
            await client.item_embedding(ITEMS),
            await client.score(USER, ITEMS),
            (await client.predict("ranker", rows))["score"],
            (await client.rank(USER, ITEMS)).reset_index().to_numpy(),
            (await client.predict_frame("ranker", rows))["score"].to_numpy(),
            np.array(await client.status("ranker"), object),
            np.array(await client.metadata("ranker"), object),
        ]

    found = with_client(address, movies, use, timeout=30)
    with Client(address, movies, timeout=30) as client:
        expected = [
            client.user_embedding(USERS),
            client.item_embedding(ITEMS),
            client.score(USER, ITEMS),
            client.predict("ranker", rows)["score"],
            client.rank(USER, ITEMS).reset_index().to_numpy(),
            client.predict_frame("ranker", rows)["score"].to_numpy(),
            np.array(client.status("ranker"), object),
            np.array(client.metadata("ranker"), object),
        ]
    for one, other in zip(found, expected, strict=True):
        assert one.tolist() == other.tolist()


def test_many_at_once_and_nobody_gets_anothers_answer(address, movies):
    async def use(client):
        async def ask(number):
            rows = ITEMS.assign(price=ITEMS["price"] + number)
            return await client.item_embedding(rows)

        one = await ask(0)
        answers = await asyncio.gather(*(ask(number) for number in range(60)))
        return one, answers

    one, answers = with_client(address, movies, use, timeout=60)
    for number, answer in enumerate(answers):
        np.testing.assert_allclose(answer, one + number, rtol=1e-5, atol=1e-5)


def sums():
    spec = FeatureSpec([Numeric("a", side="user")])
    number = {"dtype": "float32", "shape": [None]}
    return {
        "format": 1,
        "servable": "sums",
        "inputs": {"a": {**number, "side": "user"}},
        "outputs": {"sum": number},
        "spec": json.loads(spec.to_json()),
    }


def test_two_are_under_way_at_the_same_time(flaky):
    """Both are held until both have come: one after the other would never end."""
    first, second = threading.Event(), threading.Event()
    flaky.left += [first, second]

    async def use(client):
        asked = [
            asyncio.ensure_future(client.predict("sums", {"a": [1]})) for _ in "ab"
        ]
        while len(flaky.asked) < 2:
            await asyncio.sleep(0.01)
        first.set()
        second.set()
        return await asyncio.gather(*asked, return_exceptions=True)

    answers = with_client(flaky.address, {"sums": sums()}, use, timeout=25)
    assert len(answers) == 2  # empty answers: of no use, but answers
    texts = [str(answer) for answer in answers if isinstance(answer, Exception)]
    assert all("DEADLINE" not in text for text in texts)


def test_unavailable_is_tried_again(flaky, monkeypatch):
    slept, sleep = [], asyncio.sleep

    async def no_pause(seconds):
        slept.append(seconds)
        await sleep(0)

    monkeypatch.setattr(async_client_module.asyncio, "sleep", no_pause)
    flaky.left += ["UNAVAILABLE"] * 9

    async def use(client):
        await client.predict("sums", {"a": [1]})

    with pytest.raises(ServingError, match="answered UNAVAILABLE: no"):
        with_client(flaky.address, {"sums": sums()}, use, timeout=20)
    assert len(flaky.asked) == 4
    assert len([pause for pause in slept if pause >= 0.05]) == 3


def test_the_timeout(flaky):
    late = threading.Event()
    flaky.left.append(late)

    async def use(client):
        await client.predict("sums", {"a": [1]}, timeout=0.3)

    with pytest.raises(ServingError, match="give the client a longer") as caught:
        with_client(flaky.address, {"sums": sums()}, use)
    late.set()
    assert caught.value.code == "DEADLINE_EXCEEDED"


def test_bad_rows_are_refused_before_the_network(movies):
    async def use(client):
        await client.user_embedding(USERS.drop(columns="age"))

    for address in ("127.0.0.1:1", "http://127.0.0.1:1"):
        with pytest.raises(ValueError, match='column "age" must be one of the row'):
            with_client(address, movies, use)
