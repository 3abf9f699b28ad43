"""`export.save_recommender`: the whole funnel as one SavedModel."""

from __future__ import annotations

import functools
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfrec import _checks
from tfrec.encoder import IdEncoder
from tfrec.export import recommender_parts as parts
from tfrec.export.catalogue import (
    check_two_tower,
    padding,
    popularity,
    read_items,
)
from tfrec.export.pair import pair_id
from tfrec.export.publish import publish
from tfrec.export.recommender_parts import OWNER
from tfrec.export.retrieval import Retrieval, by_row, order_by_cell
from tfrec.export.save import check_ranker, check_spec
from tfrec.export.servable import (
    FORMAT,
    Servable,
    Untracked,
    call_model,
    pair_fact,
    pair_signature,
    served_names,
    spec_document,
    told,
    told_inputs,
)
from tfrec.export.warmup import recommender_requests
from tfrec.features import FeatureSpec
from tfrec.features.columns import half
from tfrec.models.two_tower import TwoTower

PERSONAL, RETRIEVED, POPULAR = "personal", "retrieved", "popular"
MOST_POPULAR = 200  # items that a client knows by heart
LOWEST = np.finfo(np.float32).min  # a score that JSON can hold, unlike -inf


def save_recommender(
    model: TwoTower,
    spec: FeatureSpec,
    catalogue: Any,
    path: str | os.PathLike[str],
    *,
    ranker: keras.Model | None = None,
    ranker_spec: FeatureSpec | None = None,
    k: int = 200,
    n: int = 10,
    cells: int = 0,
    probes: int = 16,
    version: int = 1,
    examples: Any = None,
) -> dict[str, Path]:
    """Writes `PATH/recommender/<version>/`: raw user columns in, items out.

    In one request: the user tower, the k best items that the user may be given,
    the ranker on those, the n best of them. Any number of users.

    Inputs, besides the user and context columns of tower and ranker; all may be
    left out of a request:

    - `exclude`, `allow`: item ids `(users or 1, any)`. An excluded item is never
      given. A user whose `allow` holds an id is given only items in it. Padding,
      `""` or -1, fills shorter lists; ids that the catalogue lacks are ignored in
      `exclude`, and allow nothing in `allow`.
    - `k`, `n`: int32 scalars >= 1; k below n counts as n.
    - `probes`: with cells, how many are searched.

    Outputs, `(users, width)`, the width being the longest list of the request:
    `item_id`, exactly as in the catalogue; `score`, the ranker's probability or,
    without a ranker, the retrieval score; `retrieval_score`, the inner product;
    and `(users,)`: `count`, how many places are filled (others hold the padding id
    and the lowest float32); `source`, "personal" or "popular". "popular" marks a
    user of whom nothing is known, no id and no history that a vocabulary holds
    (hashed columns: no value at all): these get the most frequent items of the
    vocabulary's counts, their share of the counted rows as both scores.

    With a ranker there is a second signature, `retrieval`, with the same inputs and
    outputs: it leaves the ranker out, so that `score` is the retrieval score and
    `source` "retrieved" for "personal". It is what `Client.recommend` asks for when
    the ranker takes too long; `feature_spec.json` holds the most frequent items, for
    when nothing answers. The signature `pair_id` tells which towers the vectors
    are of.

    Args:
        model: a `TwoTower`; the user tower may end in `(batch, interests, dim)`.
        spec: its FeatureSpec.
        catalogue: one row an item, with the item columns of tower and ranker: a
            DataFrame, a dict of columns, or the path of Parquet or CSV files.
        path: folder, as in `save`.
        ranker: a model that ends in one logit, or None: retrieval only.
        ranker_spec: its FeatureSpec; None: `spec`.
        k: int >= 1. Items for the ranker, where the request does not say.
        n: int >= 1. Items given, where the request does not say.
        cells: int >= 0. 0: exact search. Else k-means cells of an inverted file;
            about the root of the number of items is a start.
        probes: int >= 1. Cells searched, where the request does not say.
        version, examples: as in `save`.

    Returns: {"recommender": folder of the new version}.
    Raises: as `save`; `ValueError` on a repeated or missing item id, more cells
    than items, and columns called like an input above.
    """
    check_two_tower(OWNER, model)
    check_spec(OWNER, spec)
    _checks.positive_int(OWNER, k=k, n=n, probes=probes, version=version)
    _checks.integer(OWNER, cells=cells)
    k, n, cells, probes, version = map(int, (k, n, cells, probes, version))
    if ranker is None and ranker_spec is not None:
        rule = "is of a ranker, and there is none"
        raise _checks.argument(OWNER, "ranker_spec", rule, ranker_spec)
    if ranker is not None:
        check_ranker(OWNER, "ranker", ranker, "a keras.Model")
        ranker_spec = ranker_spec or spec
        check_spec(OWNER, ranker_spec)
    with tempfile.TemporaryDirectory() as folder:
        defaults = {"k": k, "n": n, **({"probes": probes} if cells else {})}
        funnel = _Recommender(
            model, spec, catalogue, ranker, ranker_spec, cells, defaults, Path(folder)
        )
        requests = {"recommender": recommender_requests(funnel, examples)}
        servables = {"recommender": funnel}
        return publish(OWNER, Path(path), version, servables, requests)


class _Recommender(tf.Module):
    """The funnel's graph."""

    def __init__(
        self, model, spec, catalogue, ranker, ranker_spec, cells, defaults, folder
    ) -> None:
        super().__init__()
        self._tower = Untracked((model.user_tower, spec))
        self._ranker = Untracked((ranker, ranker_spec))
        self.held = [w.value for w in model.user_tower.weights]
        if ranker is not None:
            self.held += [w.value for w in ranker.weights]
        self.spec = spec if ranker is None else parts.merged(spec, ranker_spec)
        self.item_id = model.item_id
        self._missing = padding(spec, model.item_id)
        self._defaults = Untracked(defaults)
        self._pair_id = pair_id(model, spec)
        self._items(model, spec, catalogue, cells, folder)
        self.encoder = self._encoders(model, spec, ranker, ranker_spec)
        inputs = self._inputs = Untracked({**self.encoder.signature()})
        if ranker is not None and self.ranker_encoder is not self.encoder:
            inputs.value.update(self.ranker_encoder.signature())
        self._parameters = Untracked(parts.parameters(spec, model.item_id, defaults))
        taken = sorted(set(inputs.value) & {"exclude", "allow", "k", "n", "probes"})
        if taken:
            rule = "must not be called like an input of the recommender"
            way_out = "Rename the column."
            raise _checks.column(OWNER, taken[0], rule, f'"{taken[0]}"', way_out)
        with_ranker = ranker is not None
        answers = {"serving_default": functools.partial(self._answer, with_ranker)}
        if with_ranker:
            answers["retrieval"] = functools.partial(self._answer, False)
        self._functions = Untracked(
            {
                name: tf.function(answer).get_concrete_function(
                    **inputs.value, **self._parameters.value
                )
                for name, answer in answers.items()
            }
            | pair_signature(self._pair_id)
        )

    @property
    def functions(self) -> dict[str, Any]:
        """The served functions by the name of their signature."""
        return self._functions.value

    @property
    def inputs(self) -> dict[str, tf.TensorSpec]:
        """The user's raw columns."""
        return self._inputs.value

    @property
    def parameters(self) -> dict[str, tuple[Any, Any]]:
        """(NumPy type, default) of what a request may say besides the columns."""
        values = {"exclude": [[]], "allow": [[]], **self._defaults.value}
        return {
            name: (tensor.dtype.as_numpy_dtype, values[name])
            for name, tensor in self._parameters.value.items()
        }

    def _items(self, model, spec, catalogue, cells, folder) -> None:
        """The catalogue: vectors, ids, the ranker's item columns; ids to places."""
        ranker, ranker_spec = self._ranker.value
        tower = Servable(OWNER, model.item_tower, spec, {"vector": parts.float32})
        embed = tower.functions["serving_default"]
        names, function = list(tower.encoder.raw_names), embed
        whole = spec
        if ranker is not None:
            whole = self.spec
            names, function = parts.with_ranker(ranker, ranker_spec, names, embed)
        ids, found = read_items(OWNER, whole, catalogue, self.item_id, names, function)
        vectors = found.pop("vector")
        if not np.isfinite(vectors).all():
            row = int(np.flatnonzero(~np.isfinite(vectors).all(axis=1))[0])
            rule = "must give finite item vectors"
            raise _checks.argument(OWNER, "model", rule, f"NaN or inf in row {row}")
        order, index = np.arange(len(ids)), ()
        if cells:
            if cells > len(ids):
                rule = f"must be at most the {len(ids)} items of the catalogue"
                raise _checks.argument(OWNER, "cells", rule, cells)
            order, *index = order_by_cell(vectors, cells)
        ids = ids[order]
        shares = popularity(spec, self.item_id, ids)
        self.retrieval = Retrieval(vectors[order], shares, *index)
        self.ids = tf.Variable(ids, trainable=False)
        self.columns = {
            name.removeprefix("column:"): tf.Variable(values[order], trainable=False)
            for name, values in found.items()
        }
        self.places = parts.places(folder / "catalogue.txt", ids)

    def _encoders(self, model, spec, ranker, ranker_spec) -> IdEncoder:
        """The user tower's encoder, which does for the ranker where specs are one."""
        names = served_names(OWNER, model.user_tower, spec)
        self.ranker_encoder = None
        if ranker is not None:
            of_user = [
                name
                for name in served_names(OWNER, ranker, ranker_spec)
                if half(ranker_spec[name]) == "user"
            ]
            if ranker_spec == spec:
                names = list(dict.fromkeys([*names, *of_user]))
                self.ranker_encoder = encoder = IdEncoder(spec, names)
                return encoder
            self.ranker_encoder = IdEncoder(ranker_spec, of_user)
        return IdEncoder(spec, names)

    def _answer(
        self, with_ranker: bool, /, **features: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        exclude, allow = features.pop("exclude"), features.pop("allow")
        k, n = features.pop("k"), features.pop("n")
        probes = features.pop("probes", None)
        for name, value in (("k", k), ("n", n)):
            message = f"recommender: `{name}` must be an int >= 1."
            tf.debugging.assert_positive(value, message=message)
        tower, spec = self._tower.value
        encoded = self.encoder(features)
        users = parts.interests(call_model(tower, spec, encoded))
        rows, size = tf.shape(users)[0], self.retrieval.size
        known = parts.known(spec, encoded, rows)
        banned, allowed = (self._to_places(ids, rows) for ids in (exclude, allow))
        restricted = tf.reduce_any(allow != self._missing, axis=1)
        restricted = tf.broadcast_to(restricted, [rows])
        width = tf.minimum(tf.maximum(k, n), size)
        scores, places = self.retrieval(
            users, known, banned, allowed, restricted, width, probes
        )
        personal = PERSONAL
        if not with_ranker:
            ranked = final = scores
            personal = PERSONAL if self.ranker_encoder is None else RETRIEVED
        else:
            same = self.ranker_encoder is self.encoder
            of_user = encoded if same else self.ranker_encoder(features)
            logits = self._rank(of_user, places)
            ranked = tf.where(known[:, None], logits, scores)
            ranked = tf.where(scores > -np.inf, ranked, -np.inf)
            final = tf.where(known[:, None], tf.sigmoid(logits), scores)
        best, at = tf.math.top_k(ranked, tf.minimum(n, size))
        count = tf.reduce_sum(tf.cast(best > -np.inf, tf.int32), axis=1)
        longest = tf.maximum(tf.reduce_max(count), 0)
        filled = (best > -np.inf)[:, :longest]
        at = at[:, :longest]

        def pick(values, otherwise):
            picked = tf.gather(values, at, batch_dims=1)
            return tf.where(filled, picked, otherwise)

        items = tf.gather(self.ids, tf.gather(places, at, batch_dims=1))
        return {
            "item_id": tf.where(filled, items, self._missing),
            "score": pick(final, LOWEST),
            "retrieval_score": pick(scores, LOWEST),
            "count": count,
            "source": tf.where(known, personal, POPULAR),
        }

    def _to_places(self, ids: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
        """Where the items stand, `(rows, any)`; -1 for what is not there."""
        places = self.places.lookup(ids)
        return tf.broadcast_to(places, [rows, tf.shape(places)[1]])

    def _rank(self, of_user: Mapping[str, tf.Tensor], places: tf.Tensor) -> tf.Tensor:
        """The ranker's logits, `(users, items)`; each user's half runs once."""
        ranker, spec = self._ranker.value
        own = {tensor.name for tensor in ranker.inputs}
        of_user = {name: value for name, value in of_user.items() if name in own}

        def one(row):
            user, at = row
            columns = {name: value[None] for name, value in user.items()}
            for name, values in self.columns.items():
                columns[name] = tf.gather(values, at)
            logits = tf.cast(call_model(ranker, spec, columns), tf.float32)[:, 0]
            return tf.broadcast_to(logits, tf.shape(at))

        return by_row(one, (of_user, places), tf.shape(places)[1], tf.float32)

    def document(self, name: str, version: int, folder: Path) -> dict[str, Any]:
        """What `feature_spec.json` says; vocabulary paths relative to `folder`."""
        parameters = told(self._parameters.value)
        for key, entry in parameters.items():
            entry["default"] = self.parameters[key][1]
        return {
            "format": FORMAT,
            "servable": name,
            "version": version,
            **pair_fact(self._pair_id),
            "item_id": self.item_id,
            "items": self.retrieval.size,
            "inputs": told_inputs(self.spec, self.inputs),
            "parameters": parameters,
            "outputs": told(self.functions["serving_default"].structured_outputs),
            "fallbacks": [name for name in self.functions if name == "retrieval"],
            "popular": self._popular(),
            "spec": spec_document(self.spec, folder),
        }

    def _popular(self) -> dict[str, list[Any]]:
        """The most frequent items, as the graph gives them to a user nobody knows."""
        shares = self.retrieval.popularity.numpy()
        best = np.argsort(-shares, kind="stable")[:MOST_POPULAR]
        ids = self.ids.numpy()[best].tolist()
        return {
            "item_id": [i.decode() if isinstance(i, bytes) else i for i in ids],
            "score": shares[best].tolist(),
        }
