"""The loaded servables, and which one a request means."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable
from typing import Any

from tensorflow_serving.apis import get_model_status_pb2

from tfrec.serving import warmup
from tfrec.serving.errors import ServingError
from tfrec.serving.refusal import Refusal
from tfrec.serving.servable import Servable
from tfrec.serving.sources import Source

logger = logging.getLogger(__name__)
AVAILABLE = get_model_status_pb2.ModelVersionStatus.AVAILABLE


class Repository:
    """Servables by name and version.

    Args:
        sources: the `Source`s to load; two of one name are an error.

    Raises: `ServingError` when a wanted version is missing or does not load.
    """

    def __init__(self, sources: Iterable[Source]) -> None:
        self._servables: dict[str, dict[int, Servable]] = {}
        for source in sources:
            if source.name in self._servables:
                raise ServingError(
                    f'serve: servable "{source.name}" must be named once. Received: '
                    f"it also in {source.folder}. Rename one of the two.",
                    "INVALID_ARGUMENT",
                )
            versions = self._servables[source.name] = {}
            for version, folder in source.versions().items():
                begin = time.perf_counter()
                servable = Servable(source.name, version, folder)
                records = warmup.replay(servable, folder)
                versions[version] = servable
                logger.info(
                    'loaded servable "%s" version %d in %.1f s, %d warm-up requests',
                    source.name,
                    version,
                    time.perf_counter() - begin,
                    records,
                )

    def find(self, request: Any) -> Servable:
        """The servable that the request's `model_spec` means.

        Raises: `Refusal`.
        """
        if not request.HasField("model_spec"):
            raise Refusal("INVALID_ARGUMENT", "Missing ModelSpec")
        spec = request.model_spec
        if not spec.name:
            raise Refusal("INVALID_ARGUMENT", "ModelSpec has no name specified.")
        versions = self._servables.get(spec.name, {})
        choice = spec.WhichOneof("version_choice")
        if choice == "version_label":
            text = f"Unrecognized servable version label: {spec.version_label}"
            raise Refusal("INVALID_ARGUMENT", text)
        if choice == "version":
            version, wanted = (
                spec.version.value,
                f"Specific({spec.name}, {spec.version.value})",
            )
        else:
            version, wanted = max(versions, default=0), f"Latest({spec.name})"
        if version not in versions:
            raise Refusal("NOT_FOUND", f"Servable not found for request: {wanted}")
        return versions[version]

    def status(self, request: Any) -> bytes:
        """The bytes of the GetModelStatusResponse.

        Raises: `Refusal`.
        """
        if not request.HasField("model_spec"):
            raise Refusal("INVALID_ARGUMENT", "Missing ModelSpec")
        spec = request.model_spec
        versions = sorted(self._servables.get(spec.name, {}), reverse=True)
        if not versions:
            text = f"Could not find any versions of model {spec.name}"
            raise Refusal("NOT_FOUND", text)
        if spec.HasField("version"):
            wanted = spec.version.value
            if wanted not in versions:
                text = f"Could not find version {wanted} of model {spec.name}"
                raise Refusal("NOT_FOUND", text)
            versions = [wanted]
        response = get_model_status_pb2.GetModelStatusResponse()
        for version in versions:
            status = response.model_version_status.add(version=version, state=AVAILABLE)
            status.status.SetInParent()
        return response.SerializeToString()

    def close(self) -> None:
        """Frees every graph."""
        for versions in self._servables.values():
            for servable in versions.values():
                servable.close()
