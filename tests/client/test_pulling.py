"""Waiting for first values, refusing old ones, and saying how true a value is: with a clock that moves when told."""

from __future__ import annotations

from typing import Any

import pytest

from tests.payloads import ticker
from tests.shared.test_data_pool_manager import TICKER, TRADE, Rig, broken
from upbit_ws.client.pulling import Puller, check_limit, check_seconds
from upbit_ws.config import DataPoolConfig
from upbit_ws.exceptions import (
    ClientClosedError,
    DataTimeoutError,
    InvalidArgumentError,
    RequestRejectedError,
    StaleDataError,
)
from upbit_ws.testing import ManualClock


class Bench:
    """A puller on a pool, with everything else at hand."""

    def __init__(self, **config: Any) -> None:
        self.rig = Rig(TICKER, TRADE)
        self.clock = ManualClock(start=100.0)
        self.is_open = True
        self.refusals: dict[Any, RequestRejectedError] = {}
        self.puller = Puller(
            self.rig.pool,
            DataPoolConfig(**config),
            self.clock,
            self.check_open,
            lambda: "because",
            lambda: self.refusals,
        )

    def check_open(self) -> None:
        if not self.is_open:
            raise ClientClosedError


@pytest.mark.parametrize("value", [None, 0, 0.5, 10])
def test_seconds_are_seconds(value: Any) -> None:
    check_seconds("timeout", value)


@pytest.mark.parametrize("value", [-1, "1", True, float("nan"), [1], 10**400])
def test_what_is_no_number_of_seconds_is_refused(value: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="timeout"):
        check_seconds("timeout", value)


@pytest.mark.parametrize(("value", "is_good"), [(None, True), (1, True), (0, False), (-1, False), (1.0, False)])
def test_a_limit_is_a_whole_number_from_one(value: Any, is_good: bool) -> None:
    if is_good:
        check_limit(value)
    else:
        with pytest.raises(InvalidArgumentError, match="limit"):
            check_limit(value)


def test_a_value_that_is_there_is_not_waited_for() -> None:
    bench = Bench()
    bench.rig.send(ticker())

    bench.puller.require([bench.rig.slot()], 0, None)


def test_what_is_missing_is_named_beside_what_came() -> None:
    bench = Bench()
    bench.rig.send(ticker())

    with pytest.raises(DataTimeoutError, match="because") as caught:
        bench.puller.require([bench.rig.slot(TICKER), bench.rig.slot(TRADE)], 0, None)

    assert (caught.value.missing, caught.value.received) == ((TRADE,), (TICKER,))
    assert caught.value.timeout == 0


def test_a_refusal_is_raised_instead_of_waiting() -> None:
    bench = Bench()
    bench.refusals[TRADE] = RequestRejectedError("WRONG_FORMAT", "no")

    with pytest.raises(RequestRejectedError, match="WRONG_FORMAT"):
        bench.puller.require([bench.rig.slot(TRADE)], 60.0, None)


def test_a_closed_client_does_not_wait() -> None:
    bench = Bench()
    bench.is_open = False

    with pytest.raises(ClientClosedError):
        bench.puller.require([bench.rig.slot(TRADE)], 60.0, None)


def test_the_age_is_that_of_the_last_sign_of_life() -> None:
    bench = Bench()
    slot = bench.rig.slot()
    bench.rig.send(ticker(), at=100.0)
    bench.clock.advance(50.0)
    bench.rig.pool.prove_alive(bench.rig.epoch, 149.0)

    bench.puller.require([slot], 0, 1.0)
    bench.clock.advance(0.5)

    with pytest.raises(StaleDataError) as caught:
        bench.puller.require([slot], 0, 1.0)
    assert caught.value.age == 1.5
    assert caught.value.keys == (TICKER,)


def test_the_configured_bound_holds_where_no_other_is_given() -> None:
    bench = Bench(max_age=60.0)
    slot = bench.rig.slot()
    bench.rig.send(ticker(), at=100.0)
    bench.clock.advance(61.0)

    with pytest.raises(StaleDataError, match="60"):
        bench.puller.require([slot], 0, None)
    bench.puller.require([slot], 0, 100.0)


def test_after_the_end_of_a_connection_the_age_grows_until_the_next_ones_snapshot() -> None:
    bench = Bench()
    slot = bench.rig.slot()
    bench.rig.send(ticker(at=5), at=100.0)
    bench.clock.advance(10.0)
    bench.rig.reconnect(109.0)
    bench.rig.pool.prove_alive(bench.rig.epoch, 110.0)  # the new connection lives, and has not spoken of this key

    with pytest.raises(StaleDataError):
        bench.puller.require([slot], 0, 5.0)
    reading = bench.puller.reading(slot)
    assert reading is not None
    assert (reading.is_live, reading.age, reading.epoch) == (False, 10.0, 1)

    bench.rig.send(ticker(at=5, stream="SNAPSHOT"), at=110.0)
    bench.puller.require([slot], 0, 5.0)
    reading = bench.puller.reading(slot)
    assert reading is not None
    assert (reading.is_live, reading.age, reading.epoch) == (True, 0.0, 2)


def test_nothing_vouches_for_a_value_that_stands_in_for_an_undecodable_one() -> None:
    bench = Bench()
    slot = bench.rig.slot()
    bench.rig.send(ticker(at=1, price=1.0), at=100.0)
    bench.rig.send(broken(ticker(at=2)), at=109.0)
    bench.clock.advance(10.0)

    reading = bench.puller.reading(slot)

    assert reading is not None
    assert (reading.is_live, reading.age, reading.received_at) == (False, 10.0, 100.0)
    bench.puller.require([slot], 0, 5.0)
    with pytest.raises(StaleDataError) as caught:
        bench.puller.check_stand_ins([slot], 5.0)
    assert caught.value.age == 10.0
    bench.puller.check_stand_ins([slot], 20.0)
    bench.puller.check_stand_ins([slot], None)


def test_there_is_no_reading_of_nothing() -> None:
    bench = Bench()

    assert bench.puller.reading(bench.rig.slot()) is None
    bench.rig.send(broken(ticker()))
    assert bench.puller.reading(bench.rig.slot()) is None
