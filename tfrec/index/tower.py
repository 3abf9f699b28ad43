"""An exported item tower, in this process or behind a server."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from tfrec import _checks
from tfrec.features import FeatureSpec, wire
from tfrec.features.sources import blocks
from tfrec.index import items

ROWS = 1024  # always as many: a row's bits then do not depend on its neighbours
BLOCK = 8192
OWNER = "index"
PREDICT = "/tensorflow.serving.PredictionService/Predict"


class Tower:
    """Raw item columns -> vectors, from what `export.save` wrote.

    Args:
        saved_models: the folder with `item_tower/<version>`; the newest is taken.
        address: `"host:port"` of a server that serves it, or None: it is loaded
            into this process.
        timeout: number. Seconds that one request may take.

    Raises: `ValueError` when there is no item tower, and when the server's towers
    are another pair.
    """

    def __init__(
        self,
        saved_models: str | os.PathLike[str],
        address: str | None = None,
        timeout: float = 60.0,
    ) -> None:
        place = Path(saved_models) / "item_tower"
        versions = [p for p in place.glob("*") if p.name.isdigit()]
        if not versions:
            rule = "must be a folder with item_tower/<version>"
            found = str(saved_models)
            raise _checks.argument(OWNER, "saved_models", rule, found)
        self.folder = max(versions, key=lambda p: int(p.name))
        text = (self.folder / "assets.extra/feature_spec.json").read_text("utf-8")
        document = json.loads(text)
        if "pair_id" not in document:
            rule = "must hold an item tower with a pair id"
            way_out = "Export it again with this version of tfrec."
            found = str(self.folder)
            raise _checks.argument(OWNER, "saved_models", rule, found, way_out)
        self.pair_id: str = document["pair_id"]
        self.item_id: str = document["item_id"]
        self.names: list[str] = list(document["inputs"])
        self.spec = FeatureSpec.from_json(document["spec"])
        self.dim: int = document["outputs"]["item_embedding"]["shape"][-1]
        self._ask = self._local() if address is None else self._served(address, timeout)

    def embed(self, arrays: Mapping[str, np.ndarray]) -> np.ndarray:
        """The vectors of raw columns.

        Shapes: arrays of N rows in, `(N, dim)` float32 out.
        """
        rows = len(next(iter(arrays.values())))
        found = np.empty((rows, self.dim), np.float32)
        for start in range(0, rows, ROWS):
            part = np.minimum(np.arange(start, start + ROWS), rows - 1)
            some = {name: values[part] for name, values in arrays.items()}
            found[start : start + ROWS] = self._ask(some)[: rows - start]
        return found

    def check(self, pair_id: str) -> None:
        """Raises `ValueError` when an index is of other towers."""
        if pair_id != self.pair_id:
            rule = f"must be of the index's pair of towers, {pair_id}"
            way_out = "Build the index anew with `tfrec index build`."
            raise _checks.argument(OWNER, "saved_models", rule, self.pair_id, way_out)

    def read(self, catalogue: Any) -> Iterator[tuple[pa.Array, Any, pa.Array]]:
        """(ids, raw columns, hashes) of a catalogue, a block at a time."""
        spec = self.spec
        names = list(spec.raw_names(dict.fromkeys([self.item_id, *self.names])))
        padding = spec.padding_of(spec[self.item_id])
        missing = padding.encode() if isinstance(padding, str) else padding
        for block in blocks(catalogue, spec, names, block_rows=BLOCK, owner=OWNER):
            arrays = wire(spec, block, names, owner=block.owner)
            ids = arrays[self.item_id]
            if not len(ids):
                continue
            if (ids == missing).any():
                rule = "must name an item in every row of the catalogue"
                found = f"none in row {np.flatnonzero(ids == missing)[0]}"
                raise _checks.column(block.owner, self.item_id, rule, found)
            columns = {name: arrays[name] for name in self.names}
            yield items.id_array(ids), columns, items.row_hashes(spec, columns)

    def _local(self) -> Any:
        import tensorflow as tf

        loaded = tf.saved_model.load(str(self.folder))
        serve = loaded.signatures["serving_default"]

        def ask(arrays: Mapping[str, np.ndarray]) -> np.ndarray:
            _ = loaded  # its variables live as long as the function
            tensors = {name: tf.constant(value) for name, value in arrays.items()}
            return serve(**tensors)["item_embedding"].numpy()

        return ask

    def _served(self, address: str, timeout: float) -> Any:
        import grpc
        import tensorflow as tf
        from tensorflow_serving.apis import predict_pb2

        size = 64 << 20
        limits = ("max_receive_message_length", "max_send_message_length")
        options = [(f"grpc.{name}", size) for name in limits]
        send = grpc.insecure_channel(address, options=options).unary_unary(
            PREDICT, response_deserializer=predict_pb2.PredictResponse.FromString
        )

        def call(signature: str, arrays: Mapping[str, np.ndarray], output: str) -> Any:
            request = predict_pb2.PredictRequest()
            request.model_spec.name = "item_tower"
            request.model_spec.signature_name = signature
            for name, value in arrays.items():
                request.inputs[name].CopyFrom(tf.make_tensor_proto(value))
            try:
                answer = send(request.SerializeToString(), timeout=timeout)
            except grpc.RpcError as error:
                rule = "must be a server that answers for item_tower"
                found = f"{error.code().name}: {error.details()}"
                way_out = f"Received from it: {found}."
                raise _checks.argument(
                    OWNER, "address", rule, address, way_out
                ) from error
            return tf.make_ndarray(answer.outputs[output])

        found = call("pair_id", {}, "pair_id").item().decode()
        if found != self.pair_id:
            rule = f"must serve the towers of {self.folder.name!r}: {self.pair_id}"
            raise _checks.argument(OWNER, "address", rule, f"{found} at {address}")

        def ask(arrays: Mapping[str, np.ndarray]) -> np.ndarray:
            # Again for every block: the server may have changed its version.
            vectors = call("serving_default", arrays, "item_embedding")
            if call("pair_id", {}, "pair_id").item().decode() != self.pair_id:
                rule = "must serve one pair of towers until the index is built"
                raise _checks.argument(OWNER, "address", rule, address)
            return vectors

        return ask
