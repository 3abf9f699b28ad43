"""The client of an event loop."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from tfrec.serving.async_channel import AsyncChannel
from tfrec.serving.client import prepare, start
from tfrec.serving.credentials import Credentials
from tfrec.serving.errors import ServingError
from tfrec.serving.grpc_format import Request
from tfrec.serving.questions import Question, T
from tfrec.serving.retries import Deadline, Retries


class AsyncClient:
    """`Client` with methods to await; as many calls at once as are wanted.

        async with AsyncClient("host:8500", "saved_models/movies") as client:
            first, second = await asyncio.gather(
                client.score(user, items), client.score(other, items)
            )

    It belongs to the loop that first uses it. The requests of one call that is split
    go one after the other, so that a long list does not take the server from others.

    Args:
        address: str. As for `Client`.
        specs: as for `Client`.
        timeout: number > 0. Seconds that one call may take.
        max_message_bytes: int >= 1024. Largest message, both ways.
        credentials: `Credentials` or None.

    Arguments of the methods, results and errors are those of `Client`.
    """

    def __init__(
        self,
        address: str,
        specs: str | os.PathLike[str] | Mapping[str, Mapping[str, Any]],
        *,
        timeout: float = 5.0,
        max_message_bytes: int = 4 * 2**20,
        credentials: Credentials | None = None,
    ) -> None:
        settings = (specs, timeout, max_message_bytes, credentials)
        place, credentials, self._questions = prepare(address, *settings)
        self._timeout = timeout
        arguments = (place, credentials, max_message_bytes)
        self._channel: Any
        if place.protocol == "grpc":
            self._channel = AsyncChannel(*arguments)
        else:
            from tfrec.serving.rest_channel import RestChannel

            self._channel = RestChannel(*arguments)

    @property
    def servables(self) -> tuple[str, ...]:
        """Names of the servables that the specs describe."""
        return tuple(self._questions.documents)

    async def predict(
        self,
        servable: str,
        rows: Any,
        *,
        version: int | str | None = None,
        signature_name: str | None = None,
        outputs: Iterable[str] | None = None,
        parameters: Mapping[str, Any] | None = None,
        timeout: float | None = None,
    ) -> dict[str, np.ndarray]:
        """Outputs by name, one entry a row."""
        question = self._questions.predict(
            servable, rows, version, signature_name, outputs, parameters
        )
        return await self._run(question, timeout)

    async def predict_frame(
        self,
        servable: str,
        rows: Any,
        *,
        version: int | str | None = None,
        signature_name: str | None = None,
        outputs: Iterable[str] | None = None,
        parameters: Mapping[str, Any] | None = None,
        timeout: float | None = None,
    ) -> pd.DataFrame:
        """The rows as a DataFrame, with a column for each output."""
        question = self._questions.predict_frame(
            servable, rows, version, signature_name, outputs, parameters
        )
        return await self._run(question, timeout)

    async def user_embedding(
        self,
        rows: Any,
        *,
        version: int | str | None = None,
        timeout: float | None = None,
    ) -> np.ndarray:
        """The user tower's vectors, `(N, D)` (or `(N, K, D)`)."""
        names = ("user_tower", "user_embedding")
        question = self._questions.embedding(*names, rows, version)
        return await self._run(question, timeout)

    async def item_embedding(
        self,
        rows: Any,
        *,
        version: int | str | None = None,
        timeout: float | None = None,
    ) -> np.ndarray:
        """The item tower's vectors, `(N, D)`."""
        names = ("item_tower", "item_embedding")
        question = self._questions.embedding(*names, rows, version)
        return await self._run(question, timeout)

    async def score(
        self,
        user: Any,
        items: Any,
        *,
        output: str | None = None,
        version: int | str | None = None,
        timeout: float | None = None,
    ) -> np.ndarray:
        """The ranker's scores of many items for one user, `(N,)`."""
        question = self._questions.score(user, items, output, version)
        return await self._run(question, timeout)

    async def rank(
        self,
        user: Any,
        items: Any,
        *,
        output: str | None = None,
        version: int | str | None = None,
        timeout: float | None = None,
    ) -> pd.DataFrame:
        """The items, best first, with a column `score`; ties keep their order."""
        question = self._questions.rank(user, items, output, version)
        return await self._run(question, timeout)

    async def recommend(
        self,
        rows: Any,
        *,
        parameters: Mapping[str, Any] | None = None,
        version: int | str | None = None,
        fallback: bool = True,
        timeout: float | None = None,
    ) -> dict[str, np.ndarray]:
        """As `Client.recommend`."""
        question = self._questions.recommend(rows, parameters, version, fallback)
        return await self._run(question, timeout)

    async def status(
        self, servable: str, *, timeout: float | None = None
    ) -> dict[int, str]:
        """State by version, largest first: `{2: "AVAILABLE"}`."""
        return await self._run(self._questions.status(servable), timeout)

    async def metadata(
        self,
        servable: str,
        *,
        version: int | str | None = None,
        timeout: float | None = None,
    ) -> dict[str, Any]:
        """`{"version": 1, "signatures": {name: {"inputs": ..., "outputs": ...}}}`."""
        return await self._run(self._questions.metadata(servable, version), timeout)

    async def close(self) -> None:
        """Ends the connection."""
        await self._channel.close()

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(self, *_: Any) -> None:
        await self.close()

    async def _run(self, question: Question[T], timeout: float | None) -> T:
        """Sends what a question asks until it has its result."""
        deadline = start(self._timeout, timeout)
        try:
            request = next(question)
            while True:
                try:
                    answer = await self._send(request, deadline)
                except ServingError as error:
                    request = question.throw(error)
                else:
                    request = question.send(answer)
        except StopIteration as end:
            return end.value

    async def _send(self, request: Request, deadline: Deadline) -> bytes:
        deadline = deadline.part(request.share)
        retries = Retries(deadline)
        while True:
            try:
                return await self._channel.call(request, deadline.left())
            except ServingError as error:
                pause = retries.pause(error)
            await asyncio.sleep(pause)
