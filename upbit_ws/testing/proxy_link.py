"""One proxied connection of a `FaultProxy`: two directions, each a queue of pieces with a time to go out."""

from __future__ import annotations

import contextlib
import random
import selectors
import socket
import time
from collections import deque

from upbit_ws.records import frozen

__all__ = ["Faults", "Link"]

_READ = 65536
#: Bytes held in one direction before its source is left unread.
_HELD = 1 << 20
#: A narrow line lets through a little all the time: at most so many seconds' worth comes at once.
_AT_ONCE = 0.02


@frozen
class Faults:
    """The bad network of the moment. Seconds and bytes; None and 0 are a good one."""

    latency: float = 0.0
    jitter: float = 0.0
    bytes_per_second: float | None = None
    slice_size: int | None = None
    slice_delay: float = 0.0
    is_blackhole: bool = False
    corruption: float = 0.0
    limit: int | None = None


class _Direction:
    """Bytes from `source` to `sink`."""

    def __init__(self, source: socket.socket, sink: socket.socket) -> None:
        self.source = source
        self.sink = sink
        #: Pieces and when they go out; the times never fall, so order is kept under jitter.
        self._pieces: deque[tuple[float, bytes]] = deque()
        self._held = 0
        self._last_due = 0.0
        self._is_read_up = False
        self.is_closed = False
        self.passed = 0
        self.limited = 0

    @property
    def wants_read(self) -> bool:
        return not self._is_read_up and not self.is_closed and self._held < _HELD

    def is_due(self, now: float) -> bool:
        return bool(self._pieces) and self._pieces[0][0] <= now

    def next_due(self) -> float | None:
        return self._pieces[0][0] if self._pieces else None

    def read(self, now: float, faults: Faults, chance: random.Random) -> None:
        """Take what the source has and schedule it."""
        if not self.wants_read:
            return
        try:
            data = self.source.recv(_READ)
        except BlockingIOError:
            return
        if not data:
            self._is_read_up = True
            return
        if faults.corruption and chance.random() < faults.corruption:
            spoiled = bytearray(data)
            spoiled[chance.randrange(len(spoiled))] ^= 1 << chance.randrange(8)
            data = bytes(spoiled)
        delay = max(0.0, faults.latency + chance.uniform(-faults.jitter, faults.jitter))
        due = max(now + delay, self._last_due)
        size = faults.slice_size or len(data)
        if faults.bytes_per_second:
            size = min(size, max(1, int(faults.bytes_per_second * _AT_ONCE)))
        for start in range(0, len(data), size):
            piece = data[start : start + size]
            if faults.bytes_per_second:
                # A piece has arrived when its last byte has.
                due += len(piece) / faults.bytes_per_second
            self._pieces.append((due, piece))
            self._held += len(piece)
            if faults.slice_size:
                due += faults.slice_delay
        self._last_due = due if faults.slice_size or faults.bytes_per_second else max(self._last_due, now + delay)

    def write(self, now: float, limit: int | None) -> None:
        """Send what is due. The source's end is passed on behind its last byte."""
        while self.is_due(now) and not self.is_closed:
            due, piece = self._pieces[0]
            allowed = piece if limit is None else piece[: max(0, limit - self.limited)]
            try:
                count = self.sink.send(allowed) if allowed else 0
            except BlockingIOError:
                return
            self.passed += count
            self.limited += count
            self._held -= count
            self._pieces.popleft()
            if count < len(piece):
                self._pieces.appendleft((due, piece[count:]))
            if limit is not None and self.limited >= limit:
                self.end()
            elif count < len(piece):
                return
        if self._is_read_up and not self._pieces:
            self.end()

    def hasten(self, now: float) -> None:
        """What waits for a fault that is lifted goes out now, in its order."""
        self._pieces = deque((now, piece) for _, piece in self._pieces)
        self._last_due = now

    def end(self) -> None:
        """Send FIN to the sink."""
        if not self.is_closed:
            self.is_closed = True
            with contextlib.suppress(OSError):
                self.sink.shutdown(socket.SHUT_WR)


class Link:
    """A client, its upstream, and what is on the way between them. Used by the proxy's thread."""

    def __init__(self, client: socket.socket, server: socket.socket, selector: selectors.BaseSelector) -> None:
        self.sockets = (client, server)
        self._selector = selector
        self._masks = {client: 0, server: 0}
        for sock in self.sockets:
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.up = _Direction(client, server)
        self.down = _Direction(server, client)
        self.is_over = False

    def next_event(self, now: float, faults: Faults) -> float | None:
        """Register what to wait for, and say when something is to be done whatever the sockets do."""
        masks = dict.fromkeys(self.sockets, 0)
        soonest: float | None = None
        if not faults.is_blackhole:
            for direction in (self.up, self.down):
                if direction.wants_read:
                    masks[direction.source] |= selectors.EVENT_READ
                if direction.is_closed:
                    continue
                if direction.is_due(now):
                    masks[direction.sink] |= selectors.EVENT_WRITE
                due = direction.next_due()
                if due is not None and due > now and (soonest is None or due < soonest):
                    soonest = due
        for sock, mask in masks.items():
            self._register(sock, mask)
        return soonest

    def _register(self, sock: socket.socket, mask: int) -> None:
        before = self._masks[sock]
        if mask == before:
            return
        if not mask:
            self._selector.unregister(sock)
        elif not before:
            self._selector.register(sock, mask)
        else:
            self._selector.modify(sock, mask)
        self._masks[sock] = mask

    def pump(self, now: float, faults: Faults, chance: random.Random) -> None:
        """Move what can be moved now."""
        if faults.is_blackhole:
            return
        try:
            for direction, limit in ((self.up, None), (self.down, faults.limit)):
                direction.read(now, faults, chance)
                direction.write(now, limit)
        except OSError:
            # One side broke the connection; the other learns it.
            self.is_over = True
        self.is_over = self.is_over or (self.up.is_closed and self.down.is_closed)
        if self.down.is_closed and faults.limit is not None:
            self.is_over = True

    def half_close(self) -> None:
        """Send FIN to the client."""
        self.down.end()

    def hasten(self) -> None:
        """Let go of what waits in both directions."""
        now = time.monotonic()
        self.up.hasten(now)
        self.down.hasten(now)

    def restart_limit(self) -> None:
        """Count the bytes of the limit from here."""
        self.down.limited = 0

    def close(self) -> None:
        """Close both sides."""
        for sock in self.sockets:
            self._register(sock, 0)
            sock.close()
