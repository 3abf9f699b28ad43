"""The most frequent items of a recommender's document: an answer without a server."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from tfrec import _checks
from tfrec.serving.documents import Document

SOURCE = b"popular"
LOWEST = np.finfo(np.float32).min


def answer(
    document: Document, rows: int, settings: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """What the recommender gives users of whom nothing is known.

    Args:
        document: with `popular`.
        rows: int. How many users.
        settings: `n`, `exclude`, `allow` as a request has them.

    Raises: `ValueError` on an n below 1, which the graph refuses too.
    """
    if settings["n"] < 1:
        raise _checks.argument("Client", "n", "must be an int >= 1", settings["n"])
    told = document.popular
    text = document.outputs["item_id"]["dtype"] == "string"
    missing = b"" if text else -1
    ids = [item.encode() if text else item for item in told["item_id"]]
    banned, allowed = (_lists(settings[name], rows) for name in ("exclude", "allow"))
    chosen = []
    for row in range(rows):
        kept = allowed[row] - {missing}
        places = [
            place
            for place, item in enumerate(ids)
            if item not in banned[row] and (not kept or item in kept)
        ]
        chosen.append(places[: int(settings["n"])])
    width = max(map(len, chosen), default=0)
    items = np.full((rows, width), missing, object if text else np.int64)
    scores = np.full((rows, width), LOWEST, np.float32)
    for row, places in enumerate(chosen):
        items[row, : len(places)] = [ids[place] for place in places]
        scores[row, : len(places)] = [told["score"][place] for place in places]
    return {
        "count": np.array([len(places) for places in chosen], np.int32),
        "item_id": items,
        "retrieval_score": scores,
        "score": scores.copy(),
        "source": np.full(rows, SOURCE, object),
    }


def _lists(array: np.ndarray, rows: int) -> list[set[bytes | int]]:
    """A set a row, of ids as the answer has them; one row serves all."""
    sets = [
        {item.encode() if isinstance(item, str) else item for item in row}
        for row in array.tolist()
    ]
    return sets * rows if len(sets) == 1 else sets
