"""A connection that is lost in some way behind its first ticker, and a good one after it: the usual course of a row."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable
from typing import Any

from tests.reliability.hindrance import Hindrance
from tests.reliability.payloads import ticker
from tests.reliability.rig import DEFAULTS, Rig, Subject, wait_until
from tests.reliability.scripts import Script, Stamps, attend, greet, then, until
from upbit_ws.lifecycle import Connecting, Disconnected
from upbit_ws.protocol.frames import Opcode
from upbit_ws.testing import Conversation, ReceivedFrame

__all__ = ["Loss", "Violation"]

#: The first attempt is made as soon as it is for users; the testing preset hurries.
_USUAL = {"reconnection": {"first_jitter": DEFAULTS["reconnection"]["first_jitter"]}}


class Loss:
    """Plays the loss; `end` is how the SDK announced it.

    Args:
        lose: What ends the connection.
        before: What happens on it just before, outside of the time that is measured.
        headers: Of the upgrade's response, on both connections.
    """

    def __init__(
        self,
        rig: Rig,
        lose: Script,
        *,
        before: Script | None = None,
        tls: ssl.SSLContext | None = None,
        headers: dict[str, str] | None = None,
        **sections: Any,
    ) -> None:
        self.stamps = Stamps()
        self._headers = headers
        self._seen = threading.Event()
        self._may_return = threading.Event()
        self._before = before
        self._lose = lose
        self.server = rig.serve(self._first, self._second, tls=tls)
        self.subject: Subject = rig.connect(self.server, **{**_USUAL, **sections})
        self.subject.await_price(1.0)
        self._seen.set()
        self.end = self.subject.await_event(Disconnected)

    def _first(self, talk: Conversation) -> None:
        greet(talk, ticker(1), headers=self._headers)
        until(talk, self._seen)
        if self._before is not None:
            self._before(talk)
        self.hindrance = Hindrance()
        self.stamps.mark("lost")
        self._lose(talk)

    def _second(self, talk: Conversation) -> None:
        greet(talk, headers=self._headers)
        until(talk, self._may_return)
        talk.send_frame(ticker(3))
        attend(talk, ticker(3))

    @property
    def noticed_after(self) -> float:
        """Seconds until the SDK knew."""
        return self.end.at - self.stamps["lost"]

    @property
    def tried_again_after(self) -> float:
        """Seconds until it dialled again."""
        return self.subject.await_event(Connecting, 2).at - self.stamps["lost"]

    def check_times(self, *, noticed: float | None = None, tried_again: float | None = None) -> None:
        """That both came within so many seconds, not counting what the machine kept the threads waiting."""
        took, waited = self.tried_again_after, self.hindrance.seconds()
        assert noticed is None or self.noticed_after - waited < noticed, f"of which {waited:.3f} s without a processor"
        assert tried_again is None or took - waited <= tried_again, f"of which {waited:.3f} s without a processor"

    def check_return(self, *, patience: float = 5.0) -> None:
        """The old value stands and is not taken for live, and a new one comes."""
        subject = self.subject
        wait_until(lambda: subject.status.epoch == 2, "a second connection", patience=patience)
        reading = subject.client.snapshot("ticker", "KRW-BTC")
        assert (reading.event.trade_price, reading.is_live, reading.epoch) == (1.0, False, 1)
        assert reading.vouched_at is not None
        assert reading.vouched_at <= self.end.at
        self._may_return.set()
        subject.await_price(3.0)
        assert subject.client.snapshot("ticker", "KRW-BTC").is_live
        assert subject.manager.pool.counters().undecodable == 0, "half a frame is no message"


class Violation:
    """The exchange breaks the protocol behind its first ticker; the client closes with the right code and comes back."""

    def __init__(self, rig: Rig, data: bytes, *, lead: bytes = b"", **options: Any) -> None:
        """`lead` is harmless and goes out before `data`, the breach. The client closes at once, and a RST overtakes its
        Close where bytes are left unread: so the breach has to be short enough for one read.
        """
        self.answers: list[ReceivedFrame] = []
        send = then(lambda talk: talk.send(lead), lambda talk: talk.send(data))
        self.loss = Loss(rig, then(send, self._read_answer), **options)
        self.loss.check_return()

    def _read_answer(self, talk: Conversation) -> None:
        while True:
            frame = talk.read_frame()
            self.answers.append(frame)
            if frame.opcode == Opcode.CLOSE:
                return

    def check(self, row: str, record: Callable[..., None], code: int, *, bound: float = 0.1) -> None:
        close = self.answers[-1]
        assert (close.opcode, int.from_bytes(close.payload[:2], "big")) == (Opcode.CLOSE, code)
        assert self.loss.end.code == code
        self.loss.check_times(noticed=bound)
        record(row, figure=f"closed with {code} after {self.loss.noticed_after * 1e3:.1f} ms", bound=f"{bound:g} s")
