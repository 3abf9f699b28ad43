"""Makes a servable that is warm: read from disk, its requests replayed."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from pathlib import Path

from tfrec.serving import metrics, warmup
from tfrec.serving.errors import ServingError
from tfrec.serving.options import Options
from tfrec.serving.servable import Servable

logger = logging.getLogger(__name__)


def loader(options: Options) -> Callable[[str, int, Path], Servable]:
    """A function that loads a name's version from its folder, with these options."""
    both = options.tensorflow_session_parallelism

    def load(name: str, version: int, folder: Path) -> Servable:
        begin = time.perf_counter()
        servable = Servable(
            name,
            version,
            folder,
            tags=[tag for tag in options.saved_model_tags.split(",") if tag],
            intra_op=options.tensorflow_intra_op_parallelism or both,
            inter_op=options.tensorflow_inter_op_parallelism or both,
        )
        records = 0
        if options.enable_model_warmup:
            records = _warm(servable, folder, options)
        logger.info(
            'loaded servable "%s" version %d in %.1f s, %d warm-up requests',
            name,
            version,
            time.perf_counter() - begin,
            records,
        )
        return servable

    return load


def _warm(servable: Servable, folder: Path, options: Options) -> int:
    begin, status = time.perf_counter(), "OK"
    iterations = options.num_request_iterations_for_warmup
    try:
        return warmup.replay(servable, folder, iterations)
    except Exception as error:
        servable.close()
        status = error.code if isinstance(error, ServingError) else "UNKNOWN"
        raise
    finally:
        seconds = time.perf_counter() - begin
        metrics.warmup(str(folder), status, seconds)
