"""The client: rows in, NumPy or a DataFrame out, over TensorFlow Serving's gRPC."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd
from tensorflow_serving.apis import predict_pb2

from tfrec import _checks
from tfrec.serving import chunks, descriptions, documents, messages, tensors
from tfrec.serving.channel import Channel

PREDICT = "PredictionService/Predict"
METADATA = "PredictionService/GetModelMetadata"
STATUS = "ModelService/GetModelStatus"


class Client:
    """Asks a server, ours or TensorFlow Serving, about servables of an export.

    Rows are checked against `feature_spec.json` before anything is sent. Many
    rows are split so that no message is larger than the limit; order is kept.

    Args:
        address: str. `"host:port"`.
        specs: the folder that export wrote (`saved_models/NAME`), one servable's
            folder, or a mapping from servable names to the documents.
        timeout: number > 0. Seconds that one request may take. UNAVAILABLE is
            retried up to three times within it.
        max_message_bytes: int >= 1024. Largest message, both ways.

    Rows are a DataFrame, a dict of lists or arrays, or a list of dicts.
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
    ) -> None:
        _checks.string(self, address=address)
        _checks.number(self, above=0, timeout=timeout)
        _checks.integer(self, 1024, max_message_bytes=max_message_bytes)
        self._documents = documents.read(specs)
        self._max_message_bytes = max_message_bytes
        self._channel = Channel(address, timeout, max_message_bytes)

    @property
    def servables(self) -> tuple[str, ...]:
        """Names of the servables that the specs describe."""
        return tuple(self._documents)

    def predict(
        self,
        servable: str,
        rows: Any,
        *,
        version: int | None = None,
        signature_name: str | None = None,
        outputs: Iterable[str] | None = None,
    ) -> dict[str, np.ndarray]:
        """Outputs by name, one entry a row.

        Args:
            servable: str. Its name.
            rows: the rows, with every input of the servable.
            version: int or None. None: the newest that is loaded.
            signature_name: str or None. None: `serving_default`.
            outputs: names, or None: all.
        """
        document = self._document(servable)
        if isinstance(outputs, str):
            way_out = f'Pass outputs=["{outputs}"].'
            rule = "must be a list of names"
            raise _checks.argument(self, "outputs", rule, outputs, way_out)
        names = list(document.inputs)
        arrays = document.arrays(rows, names)
        _not_empty("rows", arrays)
        return self._run(
            servable, arrays, names, version, signature_name, list(outputs or ())
        )

    def user_embedding(self, rows: Any) -> np.ndarray:
        """The user tower's vectors, `(N, D)` (or `(N, K, D)`)."""
        return self._only("user_tower", "user_embedding", rows)

    def item_embedding(self, rows: Any) -> np.ndarray:
        """The item tower's vectors, `(N, D)`."""
        return self._only("item_tower", "item_embedding", rows)

    def score(self, user: Any, items: Any, *, output: str | None = None) -> np.ndarray:
        """The ranker's scores of many items for one user, `(N,)`.

        Args:
            user: one row of the user and context columns: rows as elsewhere, a
                Series, or a dict that holds a single value for a column.
            items: rows of the item columns.
            output: name of the score. None: `score`, or the only one there is.
        """
        servable = "ranker"
        document = self._document(servable)
        output = self._output(servable, output, "score")
        names = document.side("item")
        if not names:
            rule = f'must be what "{servable}" scores, and it has no item column'
            raise _checks.argument(self, "items", rule, items)
        one = document.arrays(_one_row(user), document.side("user", "context"))
        for name, array in one.items():
            if len(array) != 1:
                found = f"{len(array)} rows"
                way_out = "Ask for one user after the other, or use `predict`."
                rule = "must be of one user"
                raise _checks.column(self, name, rule, found, way_out)
        many = document.arrays(items, names)
        _not_empty("items", many)
        scores = self._run(servable, {**one, **many}, names, outputs=[output])[output]
        return scores.reshape(-1)

    def rank(self, user: Any, items: Any, *, output: str | None = None) -> pd.DataFrame:
        """The items, best first, with a column `score`; ties keep their order.

        Arguments are those of `score`; `items` is a DataFrame or becomes one.
        """
        frame = items if isinstance(items, pd.DataFrame) else pd.DataFrame(items)
        if "score" in frame.columns:
            rule = "must not be among the items' columns, the result has one"
            found = _checks.quoted(frame.columns)
            raise _checks.column(self, "score", rule, found, "Rename or drop it.")
        scores = self.score(user, frame, output=output)
        order = np.argsort(-scores, kind="stable")
        return frame.iloc[order].assign(score=scores[order])

    def status(self, servable: str) -> dict[int, str]:
        """State by version, largest first: `{2: "AVAILABLE"}`."""
        self._document(servable)
        data = self._channel.call(
            STATUS, servable, descriptions.status_request(servable)
        )
        return descriptions.read_status(data)

    def metadata(self, servable: str, *, version: int | None = None) -> dict[str, Any]:
        """`{"version": 1, "signatures": {name: {"inputs": ..., "outputs": ...}}}`.

        Inputs and outputs are told by dtype and shape (None: any size).
        """
        self._document(servable)
        request = descriptions.metadata_request(servable, version)
        return descriptions.read_metadata(
            self._channel.call(METADATA, servable, request)
        )

    def close(self) -> None:
        """Ends the connection."""
        self._channel.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    def _document(self, servable: str) -> documents.Document:
        if servable not in self._documents:
            hint = _checks.closest(servable, self._documents).strip()
            rule = f"must be one of {_checks.quoted(self._documents)}"
            raise _checks.argument(self, "servable", rule, servable, hint)
        return self._documents[servable]

    def _output(
        self, servable: str, wanted: str | None, usual: str, argument: str = "output"
    ) -> str:
        """The output that is meant, the usual one or the only one."""
        known = self._document(servable).outputs
        if wanted is None and usual not in known and len(known) == 1:
            return next(iter(known))
        name = usual if wanted is None else wanted
        if name not in known:
            rule = f'must be one of the outputs of "{servable}"'
            way_out = f"It has {_checks.quoted(known)}."
            raise _checks.argument(self, argument, rule, wanted, way_out)
        return name

    def _only(self, servable: str, usual: str, rows: Any) -> np.ndarray:
        name = self._output(servable, None, usual)
        return self.predict(servable, rows, outputs=[name])[name]

    def _run(
        self,
        servable: str,
        arrays: dict[str, np.ndarray],
        by_row: list[str],
        version: int | None = None,
        signature_name: str | None = None,
        outputs: Iterable[str] = (),
    ) -> dict[str, np.ndarray]:
        """Sends the arrays in as many requests as it takes."""
        known = self._document(servable).outputs
        wanted = list(outputs)
        if not signature_name:  # the document tells of the default signature only
            for name in wanted:
                self._output(servable, name, name, argument="outputs")
        told = {name: known[name] for name in wanted or known if name in known}
        spec = messages.model_spec(servable, version, signature_name or "")
        answers: list[dict[str, np.ndarray]] = []
        for piece in chunks.split(arrays, by_row, told, self._max_message_bytes):
            part = {
                name: array[piece] if name in by_row else array
                for name, array in arrays.items()
            }
            data = messages.predict_request(spec, part, wanted)
            answer = self._channel.call(PREDICT, servable, data)
            response = predict_pb2.PredictResponse.FromString(answer)
            answers.append(
                {name: _own(proto) for name, proto in sorted(response.outputs.items())}
            )
        if len(answers) == 1:
            return answers[0]
        return {
            name: np.concatenate([answer[name] for answer in answers])
            for name in answers[0]
        }


def _own(proto: Any) -> np.ndarray:
    """The tensor as an array that may be written to."""
    array = tensors.decode(proto)
    return array if array.flags.writeable else array.copy()


def _one_row(user: Any) -> Any:
    if isinstance(user, pd.Series):
        return [user.to_dict()]
    if isinstance(user, Mapping) and any(
        isinstance(value, (str, bytes)) or not hasattr(value, "__len__")
        for value in user.values()
    ):
        return [dict(user)]
    return user


def _not_empty(argument: str, arrays: Mapping[str, np.ndarray]) -> None:
    if not len(next(iter(arrays.values()))):
        raise _checks.argument("Client", argument, "must hold a row or more", 0)
