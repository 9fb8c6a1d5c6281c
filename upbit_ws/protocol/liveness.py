"""Is the other side still there, and is it still telling us things? Two clocks, since neither answers for the other.

**Transport.** A ping every `ping_interval`, whatever else is going on; its pong is due within `pong_timeout`. Only the
pong to an outstanding ping (epoch and counter are its payload) or a data message satisfies it. Data does, because on a
slow line the pong queues behind it. A foreign pong or a ping of the peer does not: a peer that only chatters in control
frames has not shown that it hears us. Any byte is a proof of life for vouching (`last_bytes_at`), which is a weaker
thing.

**Data.** A connection that answers pings but delivers nothing is the classic silent stall. When the feed as a whole has
been silent for much longer than its own cadence, the wanted set is sent again (`Resubscribe`), which makes the exchange
answer with a snapshot of every code; nothing within `snapshot_timeout` after that means a new connection
(`Reconnect`). A quiet feed answers the question, is believed, and is asked less often. The data clock runs only while
the wanted set contains something that answers with a snapshot and goes on in real time (`on_request`).

**Our own faults.** When this side was late (SIGSTOP, a thread hogging the interpreter) the evidence lies unread in the
socket, so nothing is judged before one more read. After a suspend the peer is asked at once, with a short deadline.

The caller reads first and ticks afterwards::

    timeout = liveness.next_deadline() - now()
    ...                       # wait, read, on_bytes / on_data / on_pong
    for action in liveness.tick(now()):
        ...                   # carry out
"""

from __future__ import annotations

from collections import deque
from enum import Enum, unique
from typing import NamedTuple

from upbit_ws.config import ConnectionConfig
from upbit_ws.protocol.cadence import Cadence
from upbit_ws.records import frozen

__all__ = ["Action", "Liveness", "Reconnect", "ReconnectReason", "Resubscribe", "SendPing"]

INFINITY = float("inf")
MAX_OUTSTANDING = 8
"""Pings remembered. More can only be open while data flows, and then the oldest ones do not matter."""
WAKE_TIMEOUT = 2.0
"""Seconds for the pong after a suspend: the line has usually changed, and the user is looking at the screen."""
SUSPEND_STEP = 1.0
"""A clock that runs on during a suspend gained so many seconds on the one that does not."""
MAX_LAG = 0.5
"""Being called so many seconds late is our fault, not the peer's."""
GRACE = 1.0
"""Seconds to read what has piled up before anything is judged."""
MESSAGE_WINDOW = 65.0
"""Seconds after which a probe that could not be sent (message limit, full send buffer) counts as unanswered."""


@unique
class ReconnectReason(Enum):
    """Why a connection is given up."""

    NO_PONG = "no pong"
    MUTE = "mute"


@frozen
class SendPing:
    """Send a ping frame with this payload."""

    payload: bytes


@frozen
class Resubscribe:
    """Send the wanted set again and call `on_request`. From now on (`suspected_since`) vouching stands still."""

    silent_since: float


@frozen
class Reconnect:
    """Give this connection up. Nothing that it delivered is vouched for after `silent_since`."""

    reason: ReconnectReason
    silent_since: float


Action = SendPing | Resubscribe | Reconnect


class _Ping(NamedTuple):
    payload: bytes
    sent_at: float
    timeout: float


class _TransportClock:
    """Pings sent, pongs awaited."""

    __slots__ = ("_counter", "_epoch", "_interval", "_outstanding", "_timeout", "ping_at", "proven_at")

    def __init__(self, interval: float, timeout: float, epoch: int, now: float) -> None:
        self._interval = interval
        self._timeout = timeout
        self._epoch = epoch
        self._counter = 0
        self._outstanding: deque[_Ping] = deque(maxlen=MAX_OUTSTANDING)
        self.ping_at = now + interval
        self.proven_at = now

    def ping(self, now: float) -> SendPing:
        self._counter += 1
        payload = b"%d.%d" % (self._epoch, self._counter)
        self._outstanding.append(_Ping(payload, now, self._timeout))
        self.ping_at = now + self._interval
        return SendPing(payload)

    def ping_after_wake(self, now: float) -> SendPing:
        self._outstanding.clear()  # asked on a line that may be gone; their pongs may be lost with it
        action = self.ping(now)
        self._outstanding[0] = self._outstanding[0]._replace(timeout=min(self._timeout, WAKE_TIMEOUT))
        return action

    def pong(self, payload: bytes, now: float) -> float | None:
        if all(ping.payload != payload for ping in self._outstanding):
            return None
        ping = self._outstanding.popleft()
        while ping.payload != payload:  # a pong answers all earlier pings as well (RFC 6455, 5.5.3)
            ping = self._outstanding.popleft()
        self.proven_at = now
        return now - ping.sent_at

    @property
    def deadline(self) -> float:
        if not self._outstanding:
            return INFINITY
        oldest = self._outstanding[0]
        return max(oldest.sent_at, self.proven_at) + oldest.timeout


class _DataClock:
    """Silence of the feed as a whole, and the question put when it lasts too long."""

    __slots__ = (
        "_cadence",
        "_has_spoken",
        "_is_watching",
        "_learns",
        "_probed_at",
        "_quiet_from",
        "_timeout",
        "spoke_at",
        "suspected_at",
    )

    def __init__(self, cadence: Cadence, snapshot_timeout: float, now: float) -> None:
        self._cadence = cadence
        self._timeout = snapshot_timeout
        self._is_watching = False
        self._has_spoken = False
        self._learns = True
        self._probed_at: float | None = None
        self._quiet_from = now
        self.spoke_at = now
        self.suspected_at: float | None = None

    def request_sent(self, now: float, is_watchable: bool) -> bool:
        was_suspected, is_new = self.suspected_at is not None, not self._is_watching
        self._is_watching = is_watchable
        if not is_watchable:
            self.suspected_at = None
            return was_suspected
        if was_suspected:
            self._probed_at = now
        elif is_new:
            self.forgive(now)  # the silence while nobody listened does not count
        return False

    def spoke(self, now: float) -> bool:
        if not self._has_spoken:
            self._has_spoken = True
            self._cadence.spoke()
        elif self._learns and self._is_watching:
            self._cadence.learn(now - self.spoke_at)
        self._learns = True
        self._quiet_from = self.spoke_at = now
        was_suspected = self.suspected_at is not None
        self.suspected_at = None
        return was_suspected

    def forgive(self, now: float) -> None:
        """The silence until now was ours."""
        self._quiet_from = now
        self._learns = False

    @property
    def deadline(self) -> float:
        if not self._is_watching:
            return INFINITY
        if self.suspected_at is None:
            patience = self._cadence.patience if self._has_spoken else self._cadence.first_patience
            return self._quiet_from + patience
        if self._probed_at is None:
            return self.suspected_at + MESSAGE_WINDOW + self._timeout
        return self._probed_at + self._timeout

    def expired(self, now: float) -> Resubscribe | Reconnect:
        if self.suspected_at is None:
            self.suspected_at = now
            self._probed_at = None
            return Resubscribe(self.spoke_at)
        if not self._has_spoken:
            self._cadence.connection_was_barren()
        return Reconnect(ReconnectReason.MUTE, self.spoke_at)


class Liveness:
    """Both clocks of one connection (one epoch). Owned by its I/O thread; all times are monotonic seconds.

    Args:
        config: `ping_interval`, `pong_timeout`, `snapshot_timeout`, `mute_floor` and `mute_factor` are read.
        epoch: Number of the connection, part of every ping's payload.
        now: The moment of the upgrade.
        cadence: What earlier connections of this endpoint have learned; give the same object to the next one.
    """

    def __init__(self, config: ConnectionConfig, epoch: int, now: float, cadence: Cadence | None = None) -> None:
        self.cadence = cadence if cadence is not None else Cadence(config.mute_floor, config.mute_factor)
        self._transport = _TransportClock(config.ping_interval, config.pong_timeout, epoch, now)
        self._data = _DataClock(self.cadence, config.snapshot_timeout, now)
        self._max_lag = min(MAX_LAG, config.pong_timeout / 2)
        self._grace = min(GRACE, config.pong_timeout)
        self._long_lag = config.ping_interval
        self._promised = INFINITY  # when the caller was last told to come back
        self._judge_from = now  # nothing is judged before
        self._was_late = False
        self._offset: float | None = None  # of the clock that runs on during a suspend
        self._is_over = False
        self.last_bytes_at = now
        """The last proof of life of any kind, for vouching."""

    def on_bytes(self, now: float) -> None:
        """Something was read, be it half a frame."""
        self.last_bytes_at = now
        self._was_late = False

    def on_data(self, now: float) -> bool:
        """A read batch held at least one data message. True when this ends a suspicion: the feed is trusted again."""
        self._transport.proven_at = now
        return self._data.spoke(now)

    def on_pong(self, payload: bytes, now: float) -> float | None:
        """A pong arrived: its round-trip time in seconds, or None when it answers no outstanding ping of ours."""
        return self._transport.pong(payload, now)

    def on_request(self, now: float, *, is_watchable: bool) -> bool:
        """A subscription request was handed to the socket, ours or the answer to `Resubscribe`.

        `is_watchable`: whether the set asks for snapshots and for real time (`Plan.is_watchable`). True when this ends
        a suspicion, because there is nothing left that could be mute.
        """
        return self._data.request_sent(now, is_watchable)

    @property
    def suspected_since(self) -> float | None:
        """Since when the feed is suspected mute; None while it is trusted."""
        return self._data.suspected_at

    @property
    def last_data_at(self) -> float:
        """When the feed last spoke; the upgrade while it has not."""
        return self._data.spoke_at

    def next_deadline(self) -> float:
        """When to tick at the latest. Being later than this answer is taken for a lag of the caller."""
        self._promised = self._deadline()
        return self._promised

    def tick(self, now: float, awake: float | None = None) -> list[Action]:
        """What is to be done now, in order. After a `Reconnect` there is nothing more to do, ever.

        Args:
            now: Monotonic seconds, taken after everything readable was read.
            awake: A clock that also runs while the machine sleeps (CLOCK_BOOTTIME, or the wall clock where there is
                none). A wall clock set forward by hand costs one ping, nothing else.
        """
        if self._is_over:
            return []
        actions: list[Action] = []
        if self._woke_up(now, awake):
            actions.append(self._transport.ping_after_wake(now))
        elif now >= self._transport.ping_at:
            actions.append(self._transport.ping(now))
        if now >= self._judge_from:
            verdict = self._judge(now)
            if isinstance(verdict, Reconnect):
                self._is_over = True
                return [verdict]
            if verdict is not None:
                actions.append(verdict)
        return actions

    def _judge(self, now: float) -> Action | None:
        if now >= self._transport.deadline:
            return Reconnect(ReconnectReason.NO_PONG, self.last_bytes_at)
        if now >= self._data.deadline:
            return self._data.expired(now)
        return None

    def _deadline(self) -> float:
        if self._is_over:
            return INFINITY
        judged = max(min(self._transport.deadline, self._data.deadline), self._judge_from)
        return min(self._transport.ping_at, judged)

    def _woke_up(self, now: float, awake: float | None) -> bool:
        """Whether the machine slept. A lesser lag only postpones the judgement, once per read."""
        lag, self._promised = now - self._promised, INFINITY
        has_slept = lag >= self._long_lag and not self._was_late
        if awake is not None:
            offset, before = awake - now, self._offset
            self._offset = offset
            has_slept = has_slept or (before is not None and offset - before >= SUSPEND_STEP)
        if has_slept or (lag > self._max_lag and not self._was_late):
            self._was_late = True
            self._judge_from = now + self._grace
        if has_slept:
            self._data.forgive(now)
        return has_slept
