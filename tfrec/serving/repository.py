"""What is served at this moment: look-up by name, version or label, and the states."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tensorflow_serving.apis import get_model_status_pb2

from tfrec.serving.refusal import Refusal
from tfrec.serving.servable import Servable

STATES = get_model_status_pb2.ModelVersionStatus.State
AVAILABLE = STATES.Value("AVAILABLE")


@dataclass
class State:
    """How far a version is, as GetModelStatus tells it."""

    state: int
    code: int = 0
    message: str = ""


@dataclass
class Model:
    """What is known of a name."""

    configured: bool = True
    labels: Mapping[str, int] = field(default_factory=dict)
    servables: dict[int, Servable] = field(default_factory=dict)
    states: dict[int, State] = field(default_factory=dict)


class Held:
    """Gives a servable that was acquired to a `with`, and releases it behind that."""

    def __init__(self, servable: Servable) -> None:
        self._servable = servable

    def __enter__(self) -> Servable:
        return self._servable

    def __exit__(self, *_: object) -> None:
        self._servable.release()


class Repository:
    """Servables by name and version. The manager changes it, requests look up.

    Every change is one step under a lock: a request sees it whole or not at all.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._models: dict[str, Model] = {}

    def configure(self, labels: Mapping[str, Mapping[str, int]]) -> None:
        """Sets the names that are to be served, with their labels."""
        with self._lock:
            for name, model in self._models.items():
                model.configured = name in labels
                model.labels = labels.get(name, {})
            for name in set(labels) - set(self._models):
                self._models[name] = Model(labels=labels[name])

    def tell(
        self, name: str, version: int, state: str, code: int = 0, message: str = ""
    ) -> None:
        """Sets what the status of a version says."""
        with self._lock:
            states = self._models.setdefault(name, Model()).states
            states[version] = State(STATES.Value(state), code, message)

    def publish(self, *servables: Servable) -> None:
        """From now on requests find these servables, all from one moment on."""
        with self._lock:
            for servable in servables:
                model = self._models.setdefault(servable.name, Model())
                model.servables[servable.version] = servable
                model.states[servable.version] = State(AVAILABLE)

    def withdraw(self, *versions: tuple[str, int]) -> None:
        """From now on no request finds these (name, version)s, all at one moment."""
        with self._lock:
            for name, version in versions:
                model = self._models[name]
                model.servables.pop(version, None)
                model.states[version] = State(STATES.Value("UNLOADING"))

    def hold(self, spec: Any) -> Held:
        """The servable that a ModelSpec means; it stays loaded within the `with`.

        Raises: `Refusal`.
        """
        with self._lock:
            servable = self._find(spec)
            servable.acquire()
        return Held(servable)

    def _find(self, spec: Any) -> Servable:
        name = spec.name
        if not name:
            raise Refusal("INVALID_ARGUMENT", "ModelSpec has no name specified.")
        model = self._models.get(name)
        servables = model.servables if model else {}
        choice = spec.WhichOneof("version_choice")
        if choice == "version_label":
            label = spec.version_label
            if model is None or label not in model.labels:
                text = f"Unrecognized servable version label: {label}"
                raise Refusal("INVALID_ARGUMENT", text)
            version = model.labels[label]
            wanted = f"Specific({name}, {version})"
        elif choice == "version":
            version = spec.version.value
            wanted = f"Specific({name}, {version})"
        else:
            version, wanted = max(servables, default=0), f"Latest({name})"
        if version not in servables:
            raise Refusal("NOT_FOUND", f"Servable not found for request: {wanted}")
        return servables[version]

    def available(self, name: str) -> list[int]:
        """Versions of a name that requests find, smallest first."""
        with self._lock:
            model = self._models.get(name)
            return sorted(model.servables) if model else []

    def labels(self, name: str) -> Mapping[str, int]:
        """The labels of a name."""
        with self._lock:
            model = self._models.get(name)
            return model.labels if model else {}

    def configured(self) -> list[str]:
        """The names that are to be served."""
        with self._lock:
            return [name for name, model in self._models.items() if model.configured]

    def ready(self) -> bool:
        """True when every configured name has an available version."""
        with self._lock:
            return all(
                model.servables for model in self._models.values() if model.configured
            )

    def listing(self) -> dict[str, dict[int, str]]:
        """State by version, largest first, of every name that was ever served."""
        with self._lock:
            return {
                name: {
                    version: STATES.Name(model.states[version].state)
                    for version in sorted(model.states, reverse=True)
                }
                for name, model in sorted(self._models.items())
            }

    def status(self, request: Any) -> bytes:
        """The bytes of the GetModelStatusResponse.

        Raises: `Refusal`.
        """
        if not request.HasField("model_spec"):
            raise Refusal("INVALID_ARGUMENT", "Missing ModelSpec")
        spec = request.model_spec
        with self._lock:
            model = self._models.get(spec.name)
            states = dict(model.states) if model else {}
        if not states:
            text = f"Could not find any versions of model {spec.name}"
            raise Refusal("NOT_FOUND", text)
        versions = sorted(states, reverse=True)
        if spec.HasField("version"):
            wanted = spec.version.value
            if wanted not in states:
                text = f"Could not find version {wanted} of model {spec.name}"
                raise Refusal("NOT_FOUND", text)
            versions = [wanted]
        response = get_model_status_pb2.GetModelStatusResponse()
        for version in versions:
            told = states[version]
            entry = response.model_version_status.add(version=version)
            entry.state = told.state
            entry.status.error_code = told.code
            entry.status.error_message = told.message
            entry.status.SetInParent()
        return response.SerializeToString()
