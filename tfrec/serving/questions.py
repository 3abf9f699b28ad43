"""What a client asks and how it reads the answers, whatever carries them.

Each method is a generator: it yields requests, is sent the bytes of their answers
(or the error is thrown into it) and returns the result. Checks come before the
first request, so before the network.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping
from typing import Any, TypeVar

import numpy as np
import pandas as pd
from google.protobuf.message import DecodeError

from tfrec import _checks
from tfrec.serving import chunks, frames, grpc_format, popular, rest_format, retries
from tfrec.serving.address import Address
from tfrec.serving.documents import Document
from tfrec.serving.errors import ServingError
from tfrec.serving.grpc_format import Request

OWNER = "Client"
FIRST_SHARE = 0.6  # of the time, for what has a fallback
TOO_LATE = ("DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED", "INTERNAL", "UNKNOWN", "ABORTED")
ABSENT = ("UNAVAILABLE", "NOT_FOUND", "FAILED_PRECONDITION")
T = TypeVar("T")
Question = Generator[Request, bytes, T]
Arrays = dict[str, np.ndarray]


class _Gone(ServingError):
    """The version that answered a call's first part was unloaded; to begin anew."""


class Questions:
    """The questions of one client.

    Args:
        address: `Address`.
        documents: `Document` by servable name.
        max_message_bytes: int. Largest message, both ways.
    """

    def __init__(
        self,
        address: Address,
        documents: Mapping[str, Document],
        max_message_bytes: int,
    ) -> None:
        self._address = address
        self.documents = documents
        self._max_message_bytes = max_message_bytes
        over_grpc = address.protocol == "grpc"
        self._format: Any = grpc_format if over_grpc else rest_format

    def predict(
        self,
        servable: str,
        rows: Any,
        version: int | str | None,
        signature_name: str | None,
        outputs: Iterable[str] | None,
        parameters: Mapping[str, Any] | None,
    ) -> Question[Arrays]:
        """Outputs by name, one entry a row."""
        document = self._document(servable)
        wanted = self._wanted(document, signature_name, outputs)
        names = list(document.inputs)
        arrays = document.arrays(rows, names)
        _not_empty("rows", arrays)
        count = len(next(iter(arrays.values())))
        for name, array in document.settings(parameters or {}, count).items():
            arrays[name] = array
            if array.ndim and len(array) == count > 1:  # one entry a row
                names.append(name)
        return (
            yield from self._run(
                document, arrays, names, wanted, version, signature_name
            )
        )

    def predict_frame(
        self, servable: str, rows: Any, *arguments: Any
    ) -> Question[pd.DataFrame]:
        """The rows, with the outputs as further columns."""
        frame = frames.of("rows", rows)
        known = list(self._document(servable).outputs)
        frames.check_free(frame, known)
        answer = yield from self.predict(servable, frame, *arguments)
        frames.check_free(frame, answer)
        return frames.with_outputs(frame, answer)

    def embedding(
        self, servable: str, usual: str, rows: Any, version: int | str | None
    ) -> Question[np.ndarray]:
        """A tower's vectors."""
        name = self._output(self._document(servable), None, usual)
        answer = yield from self.predict(servable, rows, version, None, [name], None)
        return answer[name]

    def score(
        self, user: Any, items: Any, output: str | None, version: int | str | None
    ) -> Question[np.ndarray]:
        """The ranker's scores of many items for one user."""
        document = self._document("ranker")
        output = self._output(document, output, "score")
        names = document.side("item")
        if not names:
            rule = 'must be what "ranker" scores, and it has no item column'
            raise _checks.argument(OWNER, "items", rule, items)
        one = document.arrays(frames.one_row(user), document.side("user", "context"))
        for name, array in one.items():
            if len(array) != 1:
                found = f"{len(array)} rows"
                way_out = "Ask for one user after the other, or use `predict`."
                rule = "must be of one user"
                raise _checks.column(OWNER, name, rule, found, way_out)
        many = document.arrays(items, names)
        _not_empty("items", many)
        answer = yield from self._run(
            document, {**one, **many}, names, [output], version
        )
        return answer[output].reshape(-1)

    def rank(
        self, user: Any, items: Any, output: str | None, version: int | str | None
    ) -> Question[pd.DataFrame]:
        """The items, best first; ties keep their order."""
        frame = frames.of("items", items)
        frames.check_free(frame, ["score"])
        scores = yield from self.score(user, frame, output, version)
        order = np.argsort(-scores, kind="stable")
        return frame.iloc[order].assign(score=scores[order])

    def recommend(
        self,
        rows: Any,
        parameters: Mapping[str, Any] | None,
        version: int | str | None,
        fallback: bool,
    ) -> Question[Arrays]:
        """The recommender's answer, or what there is in its place."""
        _checks.boolean(OWNER, fallback=fallback)
        document, call = self._document("recommender"), (rows, version)
        ways = [None, *document.fallbacks] if fallback else [None]
        last = not (fallback and document.popular)
        while ways:
            way = ways.pop(0)
            question = self.predict("recommender", *call, way, None, parameters)
            try:
                if last and not ways:
                    return (yield from question)
                return (yield from _within(question, FIRST_SHARE))
            except ServingError as error:
                if error.code in ABSENT:
                    ways = []
                elif error.code not in TOO_LATE:
                    raise
                if last and not ways:
                    raise
        count = len(next(iter(document.arrays(rows, document.inputs).values())))
        settings = document.settings(parameters or {}, count)
        return popular.answer(document, count, settings)

    def status(self, servable: str) -> Question[dict[int, str]]:
        """State by version, largest first."""
        self._document(servable)
        request = self._format.status(servable)
        return (yield from self._ask(request, self._format.read_status))

    def metadata(
        self, servable: str, version: int | str | None
    ) -> Question[dict[str, Any]]:
        """Version and signatures."""
        self._document(servable)
        _check_version(version)
        request = self._format.metadata(servable, version)
        return (yield from self._ask(request, self._format.read_metadata))

    def _document(self, servable: str) -> Document:
        if servable not in self.documents:
            hint = _checks.closest(servable, self.documents).strip()
            rule = f"must be one of {_checks.quoted(self.documents)}"
            raise _checks.argument(OWNER, "servable", rule, servable, hint)
        return self.documents[servable]

    def _wanted(
        self,
        document: Document,
        signature_name: str | None,
        outputs: Iterable[str] | None,
    ) -> list[str]:
        if isinstance(outputs, str):
            way_out = f'Pass outputs=["{outputs}"].'
            rule = "must be a list of names"
            raise _checks.argument(OWNER, "outputs", rule, outputs, way_out)
        wanted = list(outputs or ())
        if not signature_name:  # the document tells of the default signature only
            for name in wanted:
                self._output(document, name, name, argument="outputs")
        return wanted

    def _output(
        self,
        document: Document,
        wanted: str | None,
        usual: str,
        argument: str = "output",
    ) -> str:
        """The output that is meant, the usual one or the only one."""
        known = document.outputs
        if wanted is None and usual not in known and len(known) == 1:
            return next(iter(known))
        name = usual if wanted is None else wanted
        if name not in known:
            rule = f'must be one of the outputs of "{document.servable}"'
            way_out = f"It has {_checks.quoted(known)}."
            raise _checks.argument(OWNER, argument, rule, wanted, way_out)
        return name

    def _run(
        self,
        document: Document,
        arrays: Arrays,
        by_row: list[str],
        wanted: list[str],
        version: int | str | None,
        signature_name: str | None = None,
    ) -> Question[Arrays]:
        """The answer to the arrays, in as many requests as it takes."""
        _check_version(version)
        known = document.outputs
        # Over REST all outputs come, wanted or not.
        coming = known if self._format.TELLS_LITTLE else wanted or known
        answered = {name: known[name] for name in coming if name in known}
        if "n" in arrays and "n" in document.parameters:
            answered = chunks.of_width(
                answered, int(arrays["n"]), self._max_message_bytes
            )
        pieces = chunks.split(
            arrays,
            by_row,
            answered,
            self._max_message_bytes,
            row_bytes=self._format.row_bytes,
            value_bytes=self._format.VALUE_BYTES,
        )
        parts = [
            {
                name: array[piece] if name in by_row else array
                for name, array in arrays.items()
            }
            for piece in pieces
        ]
        call = (document.servable, parts, wanted, signature_name or "", known)
        try:
            return (yield from self._send(version, *call))
        except _Gone:
            return (yield from self._send(version, *call))

    def _send(
        self,
        version: int | str | None,
        servable: str,
        parts: list[Arrays],
        wanted: list[str],
        signature_name: str,
        told: Mapping[str, Any],
    ) -> Question[Arrays]:
        """One request a part; the answers in their order, as one.

        The version that answers the first part is asked for the others.
        """
        answers, asked = [], version
        if self._format.TELLS_LITTLE and (signature_name or len(parts) > 1):
            found = yield from self.metadata(servable, version)
            asked = found["version"]
            if signature_name:
                signature = found["signatures"].get(signature_name, {"outputs": {}})
                told = signature["outputs"]
                self._check_told(servable, wanted, told)
        for part in parts:
            request = self._format.predict(
                servable, asked, signature_name, part, wanted
            )
            try:
                answer, answered = yield from self._ask(
                    request, lambda data: self._format.read_predict(data, wanted, told)
                )
            except ServingError as error:
                if asked != version and error.code == "NOT_FOUND":
                    raise _Gone(str(error), error.code) from error
                raise
            answers.append(answer)
            asked = asked if answered is None else answered
        if len(answers) == 1:
            return answers[0]
        return {
            name: np.concatenate([answer[name] for answer in answers])
            for name in answers[0]
        }

    def _check_told(
        self, servable: str, wanted: list[str], told: Mapping[str, Any]
    ) -> None:
        """A server that filters outputs says this; one that does not cannot."""
        for name in wanted:
            if told and name not in told:
                text = f"output tensor alias not found in signature: {name}. It has "
                text += _checks.quoted(told)
                code = "INVALID_ARGUMENT"
                raise retries.failed(self._address.text, servable, code, text)

    def _ask(self, request: Request, read: Callable[[bytes], T]) -> Question[T]:
        data = yield request
        try:
            return read(data)
        except (ValueError, KeyError, TypeError, AttributeError, DecodeError) as error:
            what = f"{type(error).__name__}: {error}"
            text = f"but the answer is not what such a request gets ({what})"
            address = self._address.text
            raise retries.failed(address, request.servable, "OK", text) from error


def _within(question: Question[T], share: float) -> Question[T]:
    """The question, a request of which may take but a share of the time left."""
    try:
        request = next(question)
        while True:
            try:
                data = yield request._replace(share=share)
            except ServingError as error:
                request = question.throw(error)
            else:
                request = question.send(data)
    except StopIteration as end:
        return end.value


def _check_version(version: Any) -> None:
    if version is None or (isinstance(version, str) and version):
        return
    if not _checks.is_int(version) or not 0 <= version < 2**63:
        rule = "must be an int >= 0, a label or None"
        raise _checks.argument(OWNER, "version", rule, version)


def _not_empty(argument: str, arrays: Mapping[str, np.ndarray]) -> None:
    if not len(next(iter(arrays.values()))):
        raise _checks.argument(OWNER, argument, "must hold a row or more", 0)
