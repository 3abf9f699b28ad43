"""The client: rows in, NumPy or a DataFrame out, over TensorFlow Serving's API."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from tfrec import _checks
from tfrec.serving import address as addresses
from tfrec.serving import documents
from tfrec.serving.channel import Channel
from tfrec.serving.credentials import Credentials
from tfrec.serving.errors import ServingError
from tfrec.serving.grpc_format import Request
from tfrec.serving.questions import Question, Questions, T
from tfrec.serving.retries import Deadline, Retries


class Client:
    """Asks a server, ours or TensorFlow Serving, about servables of an export.

    Rows are checked against `feature_spec.json` before anything is sent. Many
    rows are split so that no message is larger than the limit; order is kept, and
    one version answers all of a call. Threads may share a client. It imports no
    TensorFlow.

    Args:
        address: str. `"host:port"`, `"grpc://host:port"`, `"unix:/path"`, or over
            TLS `"grpcs://host:port"`; for REST `"http://host:port"` or `"https://..."`.
        specs: the folder that export wrote (`saved_models/NAME`), one servable's
            folder, or a mapping from servable names to the documents.
        timeout: number > 0. Seconds that one call may take, with all its requests.
            UNAVAILABLE is retried up to three times within it.
        max_message_bytes: int >= 1024. Largest message, both ways.
        credentials: `Credentials` or None.

    Rows are a DataFrame, a dict of lists or arrays, or a list of dicts. Every method
    that asks takes `timeout` (number > 0 or None: the client's), and `version` where
    it says so: an int, a label, or None: the newest that is loaded.
    Raises: `ValueError` on bad rows, names or arguments, before the network;
    `ServingError` with the gRPC status in `code` for all that fails beyond.
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
            self._channel = Channel(*arguments)
        else:
            from tfrec.serving.blocking import Blocking
            from tfrec.serving.rest_channel import RestChannel

            self._channel = Blocking(RestChannel(*arguments))

    @property
    def servables(self) -> tuple[str, ...]:
        """Names of the servables that the specs describe."""
        return tuple(self._questions.documents)

    def predict(
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
        """Outputs by name, one entry a row.

        Args:
            servable: str. Its name.
            rows: the rows, with every input of the servable.
            version: see the class.
            signature_name: str or None. None: `serving_default`.
            outputs: names, or None: all.
            parameters: what the servable takes besides columns, such as `n` and
                `exclude` of a recommender. What is left out has its default.
            timeout: see the class.
        """
        question = self._questions.predict(
            servable, rows, version, signature_name, outputs, parameters
        )
        return self._run(question, timeout)

    def predict_frame(
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
        """The rows as a DataFrame, with a column for each output.

        Arguments are those of `predict`. The index is kept; a vector is one value.
        """
        question = self._questions.predict_frame(
            servable, rows, version, signature_name, outputs, parameters
        )
        return self._run(question, timeout)

    def user_embedding(
        self,
        rows: Any,
        *,
        version: int | str | None = None,
        timeout: float | None = None,
    ) -> np.ndarray:
        """The user tower's vectors, `(N, D)` (or `(N, K, D)`)."""
        names = ("user_tower", "user_embedding")
        return self._run(self._questions.embedding(*names, rows, version), timeout)

    def item_embedding(
        self,
        rows: Any,
        *,
        version: int | str | None = None,
        timeout: float | None = None,
    ) -> np.ndarray:
        """The item tower's vectors, `(N, D)`."""
        names = ("item_tower", "item_embedding")
        return self._run(self._questions.embedding(*names, rows, version), timeout)

    def score(
        self,
        user: Any,
        items: Any,
        *,
        output: str | None = None,
        version: int | str | None = None,
        timeout: float | None = None,
    ) -> np.ndarray:
        """The ranker's scores of many items for one user, `(N,)`.

        Args:
            user: one row of the user and context columns: rows as elsewhere, a
                Series, or a dict that holds a single value for a column.
            items: rows of the item columns.
            output: name of the score. None: `score`, or the only one there is.
            version: see the class.
            timeout: see the class.
        """
        question = self._questions.score(user, items, output, version)
        return self._run(question, timeout)

    def rank(
        self,
        user: Any,
        items: Any,
        *,
        output: str | None = None,
        version: int | str | None = None,
        timeout: float | None = None,
    ) -> pd.DataFrame:
        """The items, best first, with a column `score`; ties keep their order.

        Arguments are those of `score`; `items` is a DataFrame or becomes one.
        """
        question = self._questions.rank(user, items, output, version)
        return self._run(question, timeout)

    def recommend(
        self,
        rows: Any,
        *,
        parameters: Mapping[str, Any] | None = None,
        version: int | str | None = None,
        fallback: bool = True,
        timeout: float | None = None,
    ) -> dict[str, np.ndarray]:
        """Items for users, from the servable `recommender`, whatever happens to it.

        The outputs are those of `export.save_recommender`; `source` says where a
        user's items come from:

        - "personal": the whole funnel;
        - "retrieved": the whole funnel took more than 0.6 of the time, or failed in
          the server; the items are those of the signature without the ranker;
        - "popular": nothing is known of the user; or nothing answered in time, and
          the items are the most frequent that `feature_spec.json` holds, at most
          200, without the excluded ones.

        Args:
            rows: the users, as elsewhere.
            parameters: `n`, `k`, `exclude`, `allow`, `probes`.
            version: see the class.
            fallback: bool. False: an error where the whole funnel does not answer.
            timeout: see the class.

        An error of the request itself, such as INVALID_ARGUMENT or
        UNAUTHENTICATED, is raised always.
        """
        question = self._questions.recommend(rows, parameters, version, fallback)
        return self._run(question, timeout)

    def status(self, servable: str, *, timeout: float | None = None) -> dict[int, str]:
        """State by version, largest first: `{2: "AVAILABLE"}`."""
        return self._run(self._questions.status(servable), timeout)

    def metadata(
        self,
        servable: str,
        *,
        version: int | str | None = None,
        timeout: float | None = None,
    ) -> dict[str, Any]:
        """`{"version": 1, "signatures": {name: {"inputs": ..., "outputs": ...}}}`.

        Inputs and outputs are told by dtype and shape (None: any size).
        """
        return self._run(self._questions.metadata(servable, version), timeout)

    def close(self) -> None:
        """Ends the connection."""
        self._channel.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    def _run(self, question: Question[T], timeout: float | None) -> T:
        """Sends what a question asks until it has its result."""
        deadline = start(self._timeout, timeout)
        try:
            request = next(question)
            while True:
                try:
                    answer = self._send(request, deadline)
                except ServingError as error:
                    request = question.throw(error)
                else:
                    request = question.send(answer)
        except StopIteration as end:
            return end.value

    def _send(self, request: Request, deadline: Deadline) -> bytes:
        deadline = deadline.part(request.share)
        retries = Retries(deadline)
        while True:
            try:
                return self._channel.call(request, deadline.left())
            except ServingError as error:
                pause = retries.pause(error)
            time.sleep(pause)


def prepare(
    address: str,
    specs: Any,
    timeout: float,
    max_message_bytes: int,
    credentials: Credentials | None,
) -> tuple[addresses.Address, Credentials, Questions]:
    """A client's arguments, checked.

    Raises: `ValueError`, and as `documents.read`.
    """
    place = addresses.parse(address)
    _checks.number("Client", above=0, timeout=timeout)
    _checks.integer("Client", 1024, max_message_bytes=max_message_bytes)
    credentials = Credentials() if credentials is None else credentials
    credentials.check(place)
    questions = Questions(place, documents.read(specs), max_message_bytes)
    return place, credentials, questions


def start(usual: float, timeout: float | None) -> Deadline:
    """The deadline of a call that begins now.

    Raises: `ValueError`.
    """
    if timeout is None:
        return Deadline(usual)
    _checks.number("Client", above=0, timeout=timeout)
    return Deadline(timeout)
