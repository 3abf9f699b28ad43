"""Keeps what is served in step with what is on disk.

One thread looks for versions and decides; others load and unload. Requests never
wait for any of them: they see the repository, which changes in single steps.
Versions of one pair of towers come and go together.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import grpc

from tfrec.serving.errors import ServingError
from tfrec.serving.pairs import Pairs, mates
from tfrec.serving.refusal import Refusal
from tfrec.serving.repository import Repository
from tfrec.serving.servable import Servable, broken
from tfrec.serving.settling import Settling
from tfrec.serving.sources import Source

logger = logging.getLogger(__name__)
Load = Callable[[str, int, Path], Servable]
FAILED_PRECONDITION: int = grpc.StatusCode.FAILED_PRECONDITION.value[0]
TICK = 0.05  # seconds between two looks at what waits: a copy, a last request
START, LOADING, AVAILABLE, UNLOADING, END = (
    *("START", "LOADING", "AVAILABLE", "UNLOADING", "END"),
)


@dataclass
class Slot:
    """What the manager knows of one version."""

    folder: Path
    settling: Settling
    state: str = START
    servable: Servable | None = None
    busy: bool = False  # a thread loads or closes it
    failures: int = 0
    error: ServingError | None = None
    due: float = 0.0  # when it may be loaded
    pair: str = ""  # of which pair of towers it is
    alone: str = ""  # why the rest of its pair does not come


@dataclass
class Managed:
    """What the manager knows of one name."""

    source: Source | None
    wanted: dict[int, Path] = field(default_factory=dict)
    slots: dict[int, Slot] = field(default_factory=dict)
    trouble: str = ""  # of the last poll; said once

    def decided(self) -> bool:
        """True when every wanted version is available, or failed, or left alone."""
        slots = [self.slots.get(version) for version in self.wanted]
        return bool(slots) and all(
            slot and (slot.state == AVAILABLE or slot.error or slot.alone)
            for slot in slots
        )


@dataclass
class Order:
    """A new set of sources, and who waits for it."""

    sources: list[Source]
    done: Future[None]
    until: float
    first: bool
    names: list[str] | None = None


class Manager:
    """Loads, switches and unloads versions.

    Args:
        repository: the `Repository` that requests see.
        load: makes a warm `Servable` of a name, a version and its folder.
        poll_seconds: number. Pause between looks for versions; <= 0: only when
            sources are set.
        retries: int. Times that a failed load is tried again.
        retry_seconds: number. Pause before each.
        threads: int. Loads at a time.
        labels_ahead: bool. A new label may name a version that is not available.
    """

    def __init__(
        self,
        repository: Repository,
        load: Load,
        *,
        poll_seconds: float = 1.0,
        retries: int = 5,
        retry_seconds: float = 60.0,
        threads: int = 1,
        labels_ahead: bool = False,
    ) -> None:
        self._repository = repository
        self._load = load
        self._poll_seconds = poll_seconds
        self._retries = retries
        self._retry_seconds = retry_seconds
        self._labels_ahead = labels_ahead
        self._pairs = Pairs()
        self._models: dict[str, Managed] = {}
        self._orders: list[Order] = []
        self._events: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._next_poll = 0.0
        self._stopping = False
        self._loading = ThreadPoolExecutor(threads, "load")
        self._closing = ThreadPoolExecutor(1, "unload")
        self._thread = threading.Thread(target=self._run, name="manager", daemon=True)
        self._thread.start()

    def set(
        self, sources: Iterable[Source], *, seconds: float = 30.0, first: bool = False
    ) -> Future[None]:
        """Serves these sources and no others.

        Done once each name that is new has its versions available or failed.

        Args:
            sources: the sources.
            seconds: number. How long a new name may have no version at all.
            first: bool. Nothing is served yet: wait for versions without limit.

        Fails with `Refusal` when a label names what it may not, or a new name has
        no available version.
        """
        done: Future[None] = Future()
        until = float("inf") if first else time.monotonic() + seconds
        order = Order(list(sources), done, until, first)
        self._events.put(lambda: self._accept(order))
        return done

    def close(self) -> None:
        """Stops looking and frees every graph; a load that runs is left behind."""
        self._events.put(self._stop)
        self._thread.join()
        self._loading.shutdown(wait=False, cancel_futures=True)
        self._closing.shutdown(wait=True)
        while not self._events.empty():  # what the threads did since, for one
            self._handle(self._events.get())
        stopping = Refusal("UNAVAILABLE", "The server is stopping")
        while self._orders:
            self._orders.pop().done.set_exception(stopping)
        for model in self._models.values():
            for version, slot in model.slots.items():
                if slot.servable and slot.state in (LOADING, AVAILABLE, UNLOADING):
                    self._repository.withdraw((slot.servable.name, version))
                    slot.servable.close()
                    slot.servable, slot.state = None, END

    def _stop(self) -> None:
        self._stopping = True

    def _run(self) -> None:
        while not self._stopping:
            try:
                event = self._events.get(timeout=self._pause())
            except queue.Empty:
                event = None
            self._handle(event)
            self._handle(self._look)

    def _handle(self, event: Callable[[], None] | None) -> None:
        """Does what came; a fault of it ends nothing else."""
        try:
            if event is not None:
                event()
        except Exception:
            logger.exception("the manager failed in a way nobody thought of")

    def _look(self) -> None:
        """Polls when it is time, and does what is due."""
        if time.monotonic() >= self._next_poll:
            self._poll()
        self._step()

    def _pause(self) -> float:
        """Seconds until something is due."""
        now = time.monotonic()
        due = [self._next_poll] + [order.until for order in self._orders]
        for model in self._models.values():
            for slot in model.slots.values():
                if slot.busy or (slot.state == LOADING and slot.servable):
                    continue
                if slot.state in (START, LOADING):
                    due.append(max(slot.due, now + TICK))
                elif slot.state == UNLOADING:
                    due.append(now + TICK)
        return min(max(min(due) - now, 0.0), 3600.0)

    def _accept(self, order: Order) -> None:
        if not order.done.set_running_or_notify_cancel():
            return
        try:
            self._check_labels(order.sources)
        except Refusal as refusal:
            order.done.set_exception(refusal)
            return
        names = {source.name: source for source in order.sources}
        served = {name for name, model in self._models.items() if model.source}
        order.names = [name for name in names if name not in served]
        for name, model in self._models.items():
            model.source = names.get(name)
        for name, source in names.items():
            self._models.setdefault(name, Managed(source))
        self._repository.configure({n: s.labels for n, s in names.items()})
        self._orders.append(order)
        self._next_poll = 0.0

    def _check_labels(self, sources: Iterable[Source]) -> None:
        for source in sources:
            available = self._repository.available(source.name)
            used = self._repository.labels(source.name)
            for label, version in source.labels.items():
                new = self._labels_ahead and label not in used
                if version in available or new or used.get(label) == version:
                    continue
                raise Refusal(
                    "FAILED_PRECONDITION",
                    f"Request to assign label to version {version} of model "
                    f"{source.name}, which is not currently available for inference. "
                    "Load it first, or give a new label ahead with "
                    "--allow_version_labels_for_unavailable_models=true",
                )

    def _poll(self) -> None:
        sources = [model.source for model in self._models.values() if model.source]
        wanted, troubles = self._pairs.wanted(sources)
        for name, model in self._models.items():
            if model.source is None:
                model.wanted = {}
                continue
            trouble = ""
            if name in troubles:  # what is served goes on being served
                trouble = str(troubles[name])
            else:
                model.wanted = wanted[name]
                if not model.wanted:
                    trouble = f"{model.source.folder} has no wanted version"
            if trouble and trouble != model.trouble:
                logger.warning('servable "%s": %s', name, trouble)
            model.trouble = trouble
            for version, slot in list(model.slots.items()):
                if slot.state != END:
                    continue
                if version not in model.wanted or slot.settling.changed():
                    del model.slots[version]  # it is loaded when it comes back
        pause = self._poll_seconds if self._poll_seconds > 0 else float("inf")
        self._next_poll = time.monotonic() + pause

    def _step(self) -> None:
        now = time.monotonic()
        for name, model in self._models.items():
            for version, folder in model.wanted.items():
                slot = model.slots.get(version)
                if slot is None or (slot.state == END and not slot.error):
                    model.slots[version] = Slot(folder, Settling(folder))
                    self._repository.tell(name, version, START)
        self._switch()
        leaving = []
        for name, model in self._models.items():
            for version, slot in list(model.slots.items()):
                if not slot.busy and self._leaves(model, version, slot):
                    slot.state = UNLOADING
                    leaving.append((name, version))
        self._repository.withdraw(*leaving)
        for name, model in self._models.items():
            for version, slot in list(model.slots.items()):
                if not slot.busy:
                    self._move(name, model, version, slot, now)
        for order in list(self._orders):
            if self._answer(order, now):
                self._orders.remove(order)

    def _switch(self) -> None:
        """Shows what is loaded, all versions of a pair in one step."""
        ready = []
        for name, model in self._models.items():
            for version, slot in model.slots.items():
                if slot.state != LOADING or slot.busy or slot.servable is None:
                    continue
                complete, alone = self._pair_of(model, version, slot)
                if complete:
                    ready.append((slot, slot.servable))
                elif alone != slot.alone:
                    code = FAILED_PRECONDITION if alone else 0
                    self._repository.tell(name, version, LOADING, code, alone)
                    if alone:
                        text = 'servable "%s" version %d is not switched to: %s'
                        logger.warning(text, name, version, alone)
                slot.alone = "" if complete else alone
        if ready:
            self._repository.publish(*[servable for _, servable in ready])
            for slot, _ in ready:
                slot.state = AVAILABLE

    def _pair_of(self, model: Managed, version: int, slot: Slot) -> tuple[bool, str]:
        """Whether all of a slot's pair is loaded; if not, why it will not be."""
        if version not in model.wanted:
            return False, ""
        complete = True
        for name, other in self._models.items():
            if other is model or not slot.pair or not (other.source and model.source):
                continue
            pairs = {v: self._pairs.of(place) for v, place in other.wanted.items()}
            if not mates(other.source, model.source) or not any(pairs.values()):
                continue
            slots = [
                other.slots.get(v) for v, pair in pairs.items() if pair == slot.pair
            ]
            if any(one and one.servable and one.state != UNLOADING for one in slots):
                continue
            complete = False
            if all(one and one.error for one in slots):
                rest = "loads" if slots else "is there"
                return False, f'no version of "{name}" {rest} for its pair {slot.pair}'
        return complete, ""

    def _leaves(self, model: Managed, version: int, slot: Slot) -> bool:
        """True when a loaded version is to be withdrawn now."""
        if slot.servable is None or version in model.wanted:
            return False
        if slot.state == LOADING:  # it waited for its pair
            return True
        states = [
            model.slots[wanted].state
            for wanted in model.wanted
            if wanted in model.slots
        ]
        return slot.state == AVAILABLE and (not model.wanted or AVAILABLE in states)

    def _move(
        self, name: str, model: Managed, version: int, slot: Slot, now: float
    ) -> None:
        """What is to be done about a version that nobody works on."""
        if slot.state in (START, LOADING) and slot.servable is None:
            if version not in model.wanted:
                slot.state = END
                self._repository.tell(name, version, END)
            elif now >= slot.due and slot.settling.settled():
                slot.state, slot.busy = LOADING, True
                self._repository.tell(name, version, LOADING)
                self._in_thread(
                    self._loading,
                    lambda: self._load(name, version, slot.folder),
                    lambda made: self._loaded(name, model, version, slot, made),
                )
        if slot.state == UNLOADING and slot.servable and slot.servable.idle:
            slot.busy = True
            self._in_thread(
                self._closing,
                slot.servable.close,
                lambda _: self._closed(name, version, slot),
            )

    def _in_thread(
        self,
        pool: ThreadPoolExecutor,
        work: Callable[[], object],
        then: Callable[[Future[object]], None],
    ) -> None:
        """Runs `work` in a thread and `then` in the manager's own."""

        def tell(made: Future[object]) -> None:
            if not made.cancelled():  # a load that waited when all was closed
                self._events.put(lambda: then(made))

        pool.submit(work).add_done_callback(tell)

    def _loaded(
        self, name: str, model: Managed, version: int, slot: Slot, made: Future[object]
    ) -> None:
        slot.busy = False
        error = made.exception()
        if error is None:
            servable = made.result()
            if isinstance(servable, Servable):
                slot.servable, slot.error = servable, None
                slot.pair = self._pairs.of(slot.folder)
            return
        if self._poll_seconds > 0:  # it may have been taken away meanwhile
            self._next_poll = 0.0
        if not isinstance(error, ServingError):
            error = broken(name, version, slot.folder, error)
        if slot.settling.changed():
            logger.warning("%s. It is being written: waits for it.", error)
            slot.failures, slot.error = 0, None
            return
        slot.failures += 1
        slot.error = error
        left = self._retries + 1 - slot.failures
        if left > 0 and version in model.wanted:
            logger.warning("%s (%d tries left)", error, left)
            slot.due = time.monotonic() + self._retry_seconds
            return
        logger.error("%s", error)
        slot.state = END
        code = grpc.StatusCode[error.code].value[0]
        self._repository.tell(name, version, END, code, str(error))

    def _closed(self, name: str, version: int, slot: Slot) -> None:
        slot.busy, slot.servable, slot.state = False, None, END
        self._repository.tell(name, version, END)
        logger.info('unloaded servable "%s" version %d', name, version)

    def _answer(self, order: Order, now: float) -> bool:
        """Tells who waits for an order that it is done; True when it is."""
        failed = []
        for name in order.names or ():
            model = self._models[name]
            if model.source is None or self._repository.available(name):
                if order.first and not model.decided():
                    return False
                continue
            if not model.decided() and now < order.until:
                return False
            failed += _errors(name, model)
        if failed:
            order.done.set_exception(
                Refusal(
                    "UNKNOWN",
                    f"{len(failed)} model(s) did not become available: "
                    f"{{{', '.join(failed)}, }}",
                )
            )
        else:
            order.done.set_result(None)
        return True


def _errors(name: str, model: Managed) -> list[str]:
    """Why a name has no version, as TensorFlow Serving says it."""
    errors = [
        f"{{name: {name} version: {version}}} due to error: {slot.error or slot.alone}"
        for version, slot in model.slots.items()
        if slot.error or slot.alone
    ]
    return errors or [f"{{name: {name}}} due to error: {model.trouble or 'no version'}"]
