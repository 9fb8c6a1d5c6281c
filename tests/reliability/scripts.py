"""What scripted exchanges do on a connection: behave, for as long as a test wants, so that the fault is the only one."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from upbit_ws.protocol.frames import Opcode
from upbit_ws.testing import Conversation

__all__ = ["Script", "Stamps", "attend", "good", "greet", "send_apart", "then", "until"]

Script = Callable[[Conversation], None]


class Stamps(dict[str, float]):
    """Moments (monotonic seconds, the SDK's clock) by name."""

    def mark(self, name: str) -> float:
        """That was now."""
        self[name] = now = time.monotonic()
        return now


def until(talk: Conversation, event: threading.Event) -> None:
    """Do nothing before `event` is set, or the server stops."""
    while not event.is_set():
        talk.pause(0.001)


def greet(talk: Conversation, *payloads: bytes, headers: dict[str, str] | None = None) -> None:
    """Accept the upgrade, read the subscription, and answer it with these messages."""
    talk.upgrade(headers)
    while talk.read_frame().opcode != Opcode.TEXT:
        pass
    for payload in payloads:
        talk.send_frame(payload)


def attend(talk: Conversation, *payloads: bytes) -> None:
    """Answer pings with pongs, requests with these messages, and a close with a close, until the end."""
    while True:
        frame = talk.read_frame()
        if frame.opcode == Opcode.PING:
            talk.send_frame(frame.payload, Opcode.PONG)
        elif frame.opcode == Opcode.CLOSE:
            talk.send_frame(frame.payload, Opcode.CLOSE)
            return
        elif frame.opcode == Opcode.TEXT:
            for payload in payloads:
                talk.send_frame(payload)


def good(*payloads: bytes, headers: dict[str, str] | None = None) -> Script:
    """An exchange as it should be: these messages answer every request."""

    def script(talk: Conversation) -> None:
        greet(talk, *payloads, headers=headers)
        attend(talk, *payloads)

    return script


def then(*steps: Callable[[Conversation], object]) -> Script:
    """One step after the other."""

    def script(talk: Conversation) -> None:
        for step in steps:
            step(talk)

    return script


def send_apart(data: bytes) -> Callable[[Conversation], object]:
    """These bytes, and time for them to be read apart from what follows."""
    return then(lambda talk: talk.send(data), lambda talk: talk.pause(0.03))
