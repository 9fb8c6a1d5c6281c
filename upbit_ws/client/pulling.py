"""What every pull has in common: wait for first values, refuse what cannot be vouched for, then read."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

from upbit_ws.exceptions import DataTimeoutError, InvalidArgumentError, StaleDataError, UpbitWebSocketError
from upbit_ws.protocol.slots import Slot
from upbit_ws.symbols import is_pattern, normalize_symbol
from upbit_ws.types import Reading, StreamKey

if TYPE_CHECKING:
    from upbit_ws.config import DataPoolConfig
    from upbit_ws.shared.data_pool_manager import DataPoolManager

__all__ = ["Puller", "check_code", "check_limit", "check_seconds"]


def check_seconds(argument: str, value: float | None, *, optional: bool = True) -> None:
    """Refuse what is no number of seconds, nor None where that is taken for one."""
    if value is None and optional:
        return
    if not _is_seconds(value):
        raise InvalidArgumentError(
            argument, f"must be a number of seconds, 0 or more, got {value!r}", f"{argument}=5.0"
        )


def _is_seconds(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    try:
        return float(value) >= 0
    except OverflowError:  # a whole number beyond all numbers that a clock can be added to
        return False


def check_limit(limit: int | None) -> None:
    """Refuse what is no number of entries."""
    if limit is None:
        return
    if isinstance(limit, bool) or not isinstance(limit, int) or limit < 1:
        raise InvalidArgumentError("limit", f"must be a whole number, 1 or more, got {limit!r}", "limit=10")


def check_code(symbol: str) -> str:
    """Refuse a pattern where one stream is meant; the code as the exchange writes it.

    Raises:
        InvalidArgumentError: it is a pattern, or no code.
    """
    code = normalize_symbol(symbol)
    if is_pattern(code):
        raise InvalidArgumentError("symbol", f"must be one market here, got {symbol!r}", "symbol='KRW-BTC'")
    return code


class Puller:
    """Reads slots for one client. Stateless but for what it is given; safe from any thread."""

    def __init__(
        self,
        pool: DataPoolManager,
        config: DataPoolConfig,
        clock: Callable[[], float],
        check_open: Callable[[], None],
        why_nothing_came: Callable[[], str],
        refusals: Callable[[], Mapping[StreamKey, UpbitWebSocketError]],
    ) -> None:
        self._pool = pool
        self._config = config
        self._clock = clock
        self._check_open = check_open
        self._why_nothing_came = why_nothing_came
        self._refusals = refusals

    def require(self, slots: Sequence[Slot], timeout: float | None, max_age: float | None) -> None:
        """Return when every slot has a value that can be vouched for.

        Raises:
            DataTimeoutError: some slot has had no value within `timeout`.
            RequestRejectedError: the exchange refuses what was registered for some slot.
            StaleDataError: a value is older than `max_age` allows.
        """
        if any(slot.current is None for slot in slots):
            self._wait_for_first(slots, timeout)
        limit = self._config.max_age if max_age is None else max_age
        if limit is not None:
            self._check_age(slots, limit)

    def check_stand_ins(self, slots: Sequence[Slot], max_age: float | None) -> None:
        """Refuse values that stand in for newer ones that did not decode and are too old. To be asked after decoding.

        Raises:
            StaleDataError: nothing vouches for such a value after it arrived, so its age is that of its arrival.
        """
        limit = self._config.max_age if max_age is None else max_age
        if limit is None:
            return
        arrivals: dict[StreamKey, float] = {}
        for slot in slots:
            memo = slot.memo
            if memo is not None and memo[0] is slot.current and memo[1][1][0] is not memo[0][0]:
                arrivals[slot.key] = memo[1][1][1][0]
        now = self._clock()
        stale = {key: now - arrived for key, arrived in arrivals.items() if now - arrived > limit}
        if stale:
            raise StaleDataError(age=max(stale.values()), max_age=limit, keys=tuple(stale))

    def _wait_for_first(self, slots: Sequence[Slot], timeout: float | None) -> None:
        seconds = self._config.timeout if timeout is None else timeout
        deadline = self._clock() + seconds
        missing = self.wait_until_delivered(slots, deadline, self.check_refused)
        if missing:
            received = tuple(slot.key for slot in slots if slot.current is not None)
            raise DataTimeoutError(
                tuple(slot.key for slot in missing), received, timeout=seconds, reason=self._why_nothing_came()
            )

    def check_refused(self, slots: Sequence[Slot]) -> None:
        """Raise the exchange's refusal of one of these, or of the keys (`RequestRejectedError`,
        `AuthenticationError`).
        """
        refusals = self._refusals()
        for slot in slots:
            if slot.key in refusals:
                raise refusals[slot.key]

    def wait_until(
        self,
        slots: Sequence[Slot],
        is_there: Callable[[], bool],
        timeout: float | None,
        why: Callable[[], str | None] = lambda: None,
    ) -> None:
        """Block until `is_there()`, which is asked again when a thread is woken for one of these slots.

        Args:
            why: What hinders it, where that is something of its own.

        Raises:
            DataTimeoutError: not within `timeout` seconds (None as configured).
            RequestRejectedError, AuthenticationError: the exchange refuses it.
        """
        seconds = self._config.timeout if timeout is None else timeout
        deadline = self._clock() + seconds
        while not is_there():
            self._check_open()
            self.check_refused(slots)
            left = deadline - self._clock()
            if left <= 0:
                keys = tuple(slot.key for slot in slots)
                raise DataTimeoutError(keys, timeout=seconds, reason=why() or self._why_nothing_came())
            self._pool.wait(slots, is_there, left)

    def wait_until_ready(
        self, slots: Sequence[Slot], deadline: float, is_ready: Callable[[Slot], bool]
    ) -> list[Slot]:
        """Block until every stream stands, or the deadline is over. The slots of those that do not.

        A stream with a snapshot stands when it has delivered, another one when the exchange has confirmed it.
        """
        while missing := [slot for slot in slots if not is_ready(slot)]:
            self._check_open()
            left = deadline - self._clock()
            if left <= 0:
                break
            self._pool.wait(missing, partial(_is_any, is_ready, missing), left)
        return missing

    def wait_until_delivered(
        self, slots: Sequence[Slot], deadline: float, check: Callable[[Sequence[Slot]], None] | None = None
    ) -> list[Slot]:
        """Block until every slot has a value or the deadline is over. The slots that have none.

        `check` is called with these at first and each time that the thread is woken, and may raise.
        """
        missing = [slot for slot in slots if slot.current is None]
        while missing:
            self._check_open()
            if check is not None:
                check(missing)
            left = deadline - self._clock()
            if left <= 0:
                break
            self._pool.wait(missing, partial(_has_delivered, missing), left)
            missing = [slot for slot in missing if slot.current is None]
        return missing

    def _check_age(self, slots: Sequence[Slot], limit: float) -> None:
        now = self._clock()
        ages: dict[int, float] = {}
        stale: list[StreamKey] = []
        oldest = 0.0
        for slot in slots:
            current = slot.current
            if current is None:
                continue
            epoch = current[1][1]
            age = ages.get(epoch)
            if age is None:
                vouched_at = self._pool.vouched_at(epoch)
                age = ages[epoch] = float("inf") if vouched_at is None else now - vouched_at
            if age > limit:
                stale.append(slot.key)
                oldest = max(oldest, age)
        if stale:
            raise StaleDataError(age=oldest, max_age=limit, keys=tuple(stale))

    def reading(self, slot: Slot) -> Reading | None:
        """The newest value with everything that is known about how true it is; None where there is none."""
        found = self._pool.event(slot)
        current = slot.current
        if found is None or current is None:
            return None
        event, entry = found
        received_at, epoch = entry[1]
        # A value that stands because its successor did not decode was true when it arrived; nothing later vouches for
        # it.
        is_newest = entry is current or entry[0] is current[0]
        vouched_at = self._pool.vouched_at(current[1][1]) if is_newest else received_at
        return Reading(
            event=event,
            received_at=received_at,
            epoch=epoch,
            revision=slot.revision,
            vouched_at=vouched_at,
            is_live=is_newest and self._pool.is_live(slot),
            age=None if vouched_at is None else max(self._clock() - vouched_at, 0.0),
        )


def _is_any(is_ready: Callable[[Slot], bool], slots: Sequence[Slot]) -> bool:
    return any(map(is_ready, slots))


def _has_delivered(slots: Sequence[Slot]) -> bool:
    return any(slot.current is not None for slot in slots)
