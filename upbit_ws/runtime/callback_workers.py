"""The threads that run user callbacks.

A subscriber with something in its mailbox stands once in the queue of its lane. A worker takes it, calls it for a short
turn (`_TURN` events or `_TURN_SECONDS`, whichever ends first) and puts it back at the end while more waits, so a busy
subscriber costs the others one turn at most. Only one worker has a subscriber at a time: its events come in order.

There are two lanes: data, with `BackpressureConfig.workers` threads, and the life of connections, with one, so that
`BackingOff` is not stuck behind trades. All threads are called `upbit-ws-callback-<n>`.

A callback that does not return for `stuck_after` seconds keeps its thread (Python cannot end one) and its place: its
own events wait and overflow by its strategy. It is reported with its stack, and a new worker takes the place of its
thread.
"""

from __future__ import annotations

import logging
import sys
import threading
import traceback
from collections.abc import Callable
from itertools import count
from queue import SimpleQueue
from typing import Final

from attrs import field

from upbit_ws.config import BackpressureConfig
from upbit_ws.exceptions import PayloadError
from upbit_ws.records import define, frozen
from upbit_ws.runtime.monitors import Monitor
from upbit_ws.runtime.threads import spawn
from upbit_ws.shared.error_log import ErrorLog
from upbit_ws.shared.locks import make_lock
from upbit_ws.shared.subscriber import DATA_LANE, EVENTS_LANE, Subscriber
from upbit_ws.shared.waiting import Signal

__all__ = ["CallbackWorkers", "Lane", "StuckReport", "Worker"]

logger = logging.getLogger("upbit_ws")

_TURN: Final = 64
_TURN_SECONDS: Final = 0.002
#: A worker that was idle for less than this (seconds) lets events gather for as long before it looks again.
_BREATH: Final = 0.0003
#: A stuck callback is found at most this share of `stuck_after` late.
_LOOKS_PER_STUCK: Final = 4
_LONGEST_LOOK: Final = 1.0

Job = Subscriber | Callable[[], object] | None


@frozen
class StuckReport:
    """A callback that has not returned for a while."""

    subscriber: Subscriber
    seconds: float
    stack: str


@define(eq=False)
class Lane:
    """A queue and the threads that serve it."""

    name: str
    size: int
    queue: SimpleQueue[Job] = field(factory=SimpleQueue)
    workers: list[Worker] = field(factory=list)


@define(eq=False)
class Worker:
    """One thread. Its attributes are written by itself, `is_retired` by who watches over it."""

    lane: Lane
    subscriber: Subscriber | None = None
    called_at: float | None = None
    is_retired: bool = False
    thread: threading.Thread | None = None


class CallbackWorkers:
    """The pool. Threads start with the first subscriber of a lane.

    Args:
        config: How many threads, and when a callback counts as stuck.
        clock: Monotonic seconds.
        on_stuck: Told about each callback that is stuck, once per call.
    """

    def __init__(
        self, config: BackpressureConfig, clock: Callable[[], float], on_stuck: Callable[[StuckReport], None]
    ) -> None:
        self._config = config
        self._clock = clock
        self._on_stuck = on_stuck
        self._errors = ErrorLog()
        #: Guards the lists of workers, and that none starts after `stop`.
        self._lock = make_lock("callback-workers", 46)
        self._lanes = {DATA_LANE: Lane(DATA_LANE, config.workers), EVENTS_LANE: Lane(EVENTS_LANE, 1)}
        self._numbers = count(1)
        self._is_stopping = False
        self._halt = Signal()
        interval = min(config.stuck_after / _LOOKS_PER_STUCK, _LONGEST_LOOK)
        self._watch = Monitor("upbit-ws-callback-watch", interval, self._look_for_stuck)
        #: Callbacks found stuck so far.
        self.stuck = 0

    def __repr__(self) -> str:
        return f"<CallbackWorkers {', '.join(thread.name for thread in self.threads()) or 'no threads'}>"

    # -- for other threads --------------------------------------------------------------------------------------------

    def start(self, lane: str) -> None:
        """Have the threads of a lane. Called before the first subscriber of it can get anything."""
        self._fill(self._lanes[lane])
        self._watch.start()

    def schedule(self, subscriber: Subscriber) -> None:
        """A subscriber has something in its mailbox and no worker."""
        self._lanes[subscriber.subscription.lane].queue.put(subscriber)

    def run(self, job: Callable[[], object]) -> None:
        """Run something of the SDK, or of the user's, on the lane of events: what follows from an overflow, say."""
        self.start(EVENTS_LANE)
        self._lanes[EVENTS_LANE].queue.put(job)

    def call_error_handler(self, subscriber: Subscriber, error: BaseException) -> None:
        """Hand an error to the subscriber's own handler, on the present thread; log it where there is none."""
        handler = None if subscriber.on_error is None else subscriber.on_error()
        if handler is None:
            self._errors.report(subscriber.callback.name, error, self._clock())
            return
        try:
            handler(error)
        except BaseException as second:  # whatever user code raises, it ends here
            self._errors.report(subscriber.on_error.name if subscriber.on_error else "", second, self._clock())

    def threads(self) -> list[threading.Thread]:
        """All threads that were started and may still run."""
        with self._lock:
            workers = [worker for lane in self._lanes.values() for worker in lane.workers]
        threads = [worker.thread for worker in workers if not worker.is_retired or _runs(worker.thread)]
        return [thread for thread in (*threads, self._watch.thread) if thread is not None]

    def stop(self) -> None:
        """Ask all threads to end. What waits in mailboxes is not delivered any more; announcements still are."""
        with self._lock:
            self._is_stopping = True
            counts = [(lane, len(lane.workers)) for lane in self._lanes.values()]
        self._watch.stop()
        self._halt.set()
        for lane, workers in counts:
            for _ in range(workers):
                lane.queue.put(None)

    # -- the pool -----------------------------------------------------------------------------------------------------

    def _fill(self, lane: Lane) -> None:
        """Start workers until there are as many as there should be, not counting those that are stuck."""
        while True:
            with self._lock:
                lane.workers = [worker for worker in lane.workers if worker.thread is None or worker.thread.is_alive()]
                serving = sum(not worker.is_retired for worker in lane.workers)
                if self._is_stopping or serving >= lane.size:
                    return
                worker = Worker(lane)
                lane.workers.append(worker)
                number = next(self._numbers)
            self._start(worker, number)

    def _start(self, worker: Worker, number: int) -> None:
        try:
            worker.thread = spawn(
                f"upbit-ws-callback-{number}", lambda: self._work(worker), on_crash=lambda _: self._replace(worker)
            )
        except RuntimeError:  # the system has no more threads: those that there are have to do
            with self._lock:
                worker.lane.workers.remove(worker)
            raise

    def _replace(self, worker: Worker) -> None:
        worker.is_retired = True
        self._fill(worker.lane)

    def _look_for_stuck(self) -> None:
        now = self._clock()
        with self._lock:
            workers = [worker for lane in self._lanes.values() for worker in lane.workers]
        for worker in workers:
            called_at, subscriber = worker.called_at, worker.subscriber
            if (
                worker.is_retired
                or called_at is None
                or subscriber is None
                or now - called_at < self._config.stuck_after
            ):
                continue
            stack = _stack_of(worker.thread)
            if worker.called_at != called_at:
                continue  # it has returned meanwhile
            self.stuck += 1
            self._replace(worker)
            logger.error("! %s has not returned for %.1f s:\n%s", subscriber.callback.name, now - called_at, stack)
            self._on_stuck(StuckReport(subscriber, now - called_at, stack))

    # -- the threads --------------------------------------------------------------------------------------------------

    def _work(self, worker: Worker) -> None:
        queue, clock = worker.lane.queue, self._clock
        while not worker.is_retired:
            idle_since = clock()
            job = queue.get()
            if job is None:
                return
            is_fed_fast = clock() - idle_since < _BREATH
            self._do(job, worker)
            del job  # an idle worker keeps nothing alive
            if is_fed_fast and queue.empty():
                # Waking a thread for every event costs more than the event, most of it in the I/O thread's way to the
                # interpreter. What comes within a breath is served together.
                self._halt.wait(_BREATH)

    def _do(self, job: Subscriber | Callable[[], object], worker: Worker) -> None:
        if not isinstance(job, Subscriber):
            self._run_job(job)
            return
        if self._is_stopping and worker.lane.name == DATA_LANE:
            job.end()
        worker.subscriber = job
        has_more = self._serve(job, worker)
        worker.subscriber = None
        if has_more:
            worker.lane.queue.put(job)

    def _run_job(self, job: Callable[[], object]) -> None:
        try:
            job()
        except BaseException as error:  # a worker outlives whatever it is given
            self._errors.report("a job of the SDK", error, self._clock())

    def _serve(self, subscriber: Subscriber, worker: Worker) -> bool:
        """Call a subscriber for one turn. True when more waits for it."""
        take, clock, units = subscriber.mailbox.take, self._clock, subscriber.subscription.units
        reference, component = subscriber.callback, subscriber.subscription.component
        mailbox = subscriber.mailbox
        delays: list[float] = []
        durations: list[float] = []
        ends = clock() + _TURN_SECONDS
        for _ in range(_TURN):
            delivery = take()
            if delivery is None:
                break
            callback = reference.strong or reference()
            if callback is None or subscriber.is_over or component() is None:
                mailbox.discarded += 1
                subscriber.end()
                break
            try:
                event = delivery.event() if units is None else delivery.sliced(units)
            except Exception as error:  # also RecursionError and MemoryError of a monstrous payload
                mailbox.discarded += 1
                self._could_not_decode(subscriber, error)
                continue
            now = clock()
            delays.append(now - delivery.received_at)
            mailbox.delivered += 1
            worker.called_at = now
            try:
                callback(event)
            except BaseException as error:  # SystemExit and KeyboardInterrupt of user code too end here, not the thread
                self._failed(subscriber, error)
            worker.called_at = None
            del callback  # an object that only this call held is collected now, not after the turn
            done = clock()
            durations.append(done - now)
            if done >= ends:
                break
        # While this worker has the mailbox nobody else writes these figures.
        subscriber.delay.record_all(delays)
        subscriber.duration.record_all(durations)
        subscriber.seconds += sum(durations)
        return mailbox.pause()

    def _failed(self, subscriber: Subscriber, error: BaseException) -> None:
        subscriber.exceptions += 1
        self.call_error_handler(subscriber, error)

    def _could_not_decode(self, subscriber: Subscriber, error: Exception) -> None:
        subscriber.undecodable += 1
        what = error if isinstance(error, PayloadError) else PayloadError(f"could not be decoded: {error!r}")
        self._errors.report("decoding", what, self._clock())


def _runs(thread: threading.Thread | None) -> bool:
    return thread is not None and thread.is_alive()


def _stack_of(thread: threading.Thread | None) -> str:
    frame = sys._current_frames().get(thread.ident) if thread is not None and thread.ident is not None else None
    return "".join(traceback.format_stack(frame)) if frame is not None else "(no stack)"
