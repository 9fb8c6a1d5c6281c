"""Section C: what each close code means for the next attempt."""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest

from tests.reliability.loss import Loss, Violation
from tests.reliability.payloads import ticker
from tests.reliability.rig import Rig, Subject, wait_until
from tests.reliability.scripts import Script, good, greet, then
from upbit_ws.lifecycle import BackingOff, Connecting, Disconnected
from upbit_ws.protocol.frames import Opcode
from upbit_ws.testing import Conversation, server_frame
from upbit_ws.types import ConnectionState

Record = Callable[..., None]
#: As users have it, without the pause before the second attempt.
USUAL = {"first_jitter": 0.2, "base_delay": 0.5, "max_delay": 30.0}


def closing(code: int | None, reason: str = "") -> Script:
    """Serves nobody: answers the request with a Close."""
    return then(greet, lambda talk: talk.send_close(code, reason), Conversation.wait_for_end)


def delays_after(rig: Rig, code: int, *, attempts: int = 1, **sections: Any) -> tuple[Subject, list[float]]:
    """The waits after the first few closes with a code."""
    subject = rig.connect(rig.serve(closing(code)), **sections)
    subject.await_event(BackingOff, attempts, patience=10.0)
    return subject, [event.delay for event in subject.events(BackingOff)][:attempts]


def test_C1_a_normal_close_that_nobody_asked_for_is_a_failure(rig: Rig, record: Record) -> None:
    loss = Loss(rig, then(lambda talk: talk.send_close(1000), Conversation.wait_for_end))
    loss.check_return()
    assert loss.end.code == 1000
    loss.check_times(tried_again=0.25)
    loss.subject.manager.close()
    wait_until(lambda: loss.subject.status.state is ConnectionState.CLOSED, "the end")
    assert loss.server.connections == 2, "after our own close there is no further attempt"
    record(
        "C1",
        figure=f"next attempt after {loss.tried_again_after * 1e3:.0f} ms; none after our own close",
        bound="0.25 s",
    )


@pytest.mark.parametrize("code", [1001, 1012])
def test_C2_a_server_that_restarts_is_not_met_by_a_herd(rig: Rig, record: Record, code: int) -> None:
    delays = [delays_after(rig, code, reconnection=USUAL)[1][0] for _ in range(8)]
    assert all(0.0 <= delay <= 5.25 for delay in delays)
    assert max(delays) - min(delays) > 0.5
    record("C2", figure=f"8 clients return after {min(delays):.1f} to {max(delays):.1f} s", bound="0 to 5.2 s")


def test_C3_an_end_without_a_close_is_followed_by_an_attempt_at_once(rig: Rig, record: Record) -> None:
    loss = Loss(rig, Conversation.end)
    loss.check_return()
    assert loss.end.code == 1006
    loss.check_times(tried_again=0.25)
    record("C3", figure=f"next attempt after {loss.tried_again_after * 1e3:.0f} ms", bound="0.25 s")


@pytest.mark.parametrize("code", [1002, 1003, 1007, 1010])
def test_C4_an_accusation_that_repeats_itself_slows_down(rig: Rig, record: Record, code: int) -> None:
    subject, delays = delays_after(rig, code, attempts=5)
    assert max(delays[:4]) <= 0.5
    assert delays[4] >= 30.0
    wait_until(lambda: subject.status.state is ConnectionState.ERROR, "the state ERROR")
    assert subject.status.last_error is not None
    assert str(code) in subject.status.last_error
    record("C4", figure=f"4 attempts within a second, the next one after {delays[4]:.0f} s, state ERROR")


def test_C5_a_policy_that_refuses_us_twice_is_not_asked_again_soon(rig: Rig, record: Record) -> None:
    subject, delays = delays_after(rig, 1008, attempts=2)
    assert delays[0] <= 0.05
    assert delays[1] >= 30.0
    wait_until(lambda: subject.status.state is ConnectionState.ERROR, "the state ERROR")
    record("C5", figure=f"second attempt at once, the third after {delays[1]:.0f} s, state ERROR")


def test_C5_with_keys_the_second_attempt_has_a_token_of_its_own(rig: Rig, record: Record) -> None:
    server = rig.serve(closing(1008))
    subject = rig.connect(server, ["myAsset"], ())
    second = subject.await_event(BackingOff, 2)
    assert second.delay >= 30.0
    wait_until(lambda: subject.status.state is ConnectionState.ERROR, "the state ERROR")
    asked = [talk.requests[0] for talk in server.conversations if talk.requests]
    tokens = [request.headers["authorization"] for request in asked if request.path == "/websocket/v1/private"]
    assert len(tokens) == len(set(tokens)) == 2
    record("C5", figure=f"second attempt at once with a new token, the third after {second.delay:.0f} s, state ERROR")


def test_C6_a_request_that_is_too_big_is_not_sent_for_ever(rig: Rig, record: Record) -> None:
    """No splitting: a further request replaces the first at the exchange, so half a set would be all there is."""
    subject, delays = delays_after(rig, 1009, attempts=5)
    assert delays[4] >= 30.0
    wait_until(lambda: subject.status.state is ConnectionState.ERROR, "the state ERROR")
    record("C6", figure=f"not split (a request replaces the one before); after 5 in a row a wait of {delays[4]:.0f} s")


def test_C7_an_internal_error_of_the_server(rig: Rig, record: Record) -> None:
    _, delays = delays_after(rig, 1011, attempts=5, reconnection={"base_delay": 0.1, "max_delay": 0.4})
    assert all(delay <= ceiling for delay, ceiling in zip(delays, (0.1, 0.2, 0.4, 0.4, 0.4), strict=True))
    record("C7", figure=f"waits of {', '.join(f'{delay:.2f}' for delay in delays)} s under 0.1, 0.2, 0.4, 0.4, 0.4")


@pytest.mark.parametrize("code", [1013, 1014])
def test_C8_a_busy_server_is_left_alone_for_five_seconds(rig: Rig, record: Record, code: int) -> None:
    _, (delay,) = delays_after(rig, code)
    assert 5.0 <= delay <= 5.5
    record("C8", figure=f"a wait of {delay:.2f} s", bound="5 s at least")


@pytest.mark.parametrize("code", [3000, 3999, 4000, 4999])
def test_C9_codes_of_the_application_are_told(rig: Rig, record: Record, code: int) -> None:
    server = rig.serve(closing(code, "점검 중입니다"), good(ticker(1)))
    subject = rig.connect(server)
    subject.await_price(1.0)
    end = subject.events(Disconnected)[0]
    assert end.code == code
    assert "점검 중입니다" in end.reason
    record("C9", figure="code and reason in the event, then back")


@pytest.mark.parametrize(
    ("body", "answer"),
    [
        *((code.to_bytes(2, "big"), 1002) for code in (999, 1004, 1005, 1006, 1015, 2999, 5000)),
        (b"\x03", 1002),
        (b"\x03\xe8\xff\xfe", 1007),
    ],
)
def test_C10_close_frames_that_may_not_be(rig: Rig, record: Record, body: bytes, answer: int) -> None:
    Violation(rig, server_frame(body, Opcode.CLOSE)).check("C10", record, answer)


def storm(rig: Rig, script: Script, seconds: float, **sections: Any) -> list[float]:
    """When dials began while an exchange closed every connection, for so long."""
    subject = rig.connect(rig.serve(script), **sections)
    subject.await_event(Connecting)
    begun = subject.events(Connecting)[0].at
    wait_until(lambda: time.monotonic() - begun > seconds, "time", patience=seconds + 5)
    subject.manager.close()
    return [event.at for event in subject.events(Connecting)]


def check_storm(dials: list[float]) -> None:
    assert len(dials) >= 2
    gaps = [later - earlier for earlier, later in pairwise(dials)]
    assert all(sum(at <= other < at + 1.0 for other in dials) <= 5 for at in dials)
    assert all(gap >= 0 for gap in gaps)


@pytest.mark.parametrize("greeting", [(), (ticker(1),)], ids=["mute", "with a snapshot"])
def test_C11_a_storm_of_closes_begins_slowly(rig: Rig, record: Record, greeting: tuple[bytes, ...]) -> None:
    script = then(lambda talk: greet(talk, *greeting), lambda talk: talk.send_close(1000), Conversation.wait_for_end)
    dials = storm(rig, script, 2.0, reconnection=USUAL)
    check_storm(dials)
    assert len(dials) <= 12


@pytest.mark.slow
@pytest.mark.timeout(90)
@pytest.mark.parametrize("greeting", [(), (ticker(1),)], ids=["mute", "with a snapshot"])
def test_C11_a_minute_of_accepting_and_closing(rig: Rig, record: Record, greeting: tuple[bytes, ...]) -> None:
    script = then(lambda talk: greet(talk, *greeting), lambda talk: talk.send_close(1000), Conversation.wait_for_end)
    dials = storm(rig, script, 60.0, reconnection=USUAL)
    check_storm(dials)
    assert len(dials) <= 30
    record("C11", figure=f"{len(dials)} connections in 60 s", bound="30")


def test_C12_a_reason_cannot_forge_a_line_of_the_log(rig: Rig, record: Record) -> None:
    reason = "bye\r\nCRITICAL upbit_ws all is lost\x1b[31m\u2028next\x00"
    long_one = server_frame((1000).to_bytes(2, "big") + b"x" * 4096, Opcode.CLOSE)
    server = rig.serve(
        closing(1000, reason), then(greet, lambda talk: talk.send(long_one), Conversation.wait_for_end), good(ticker(1))
    )
    subject = rig.connect(server)
    subject.await_price(1.0)
    first, second = subject.events(Disconnected)[:2]
    assert r"bye\r\nCRITICAL" in first.reason
    assert second.code == 1002, "4 kB do not fit a control frame"
    assert len(second.reason) < 300
    mentioned = [line for line in rig.invariants.log if "all is lost" in line]
    assert mentioned != []
    for line in mentioned:
        assert not set("\r\n\x1b\u2028\x00") & set(line)
    record("C12", figure=f"escaped in {len(mentioned)} lines of the log; 4 kB refused with 1002")
