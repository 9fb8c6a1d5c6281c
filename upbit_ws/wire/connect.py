"""From a host name to an open TCP connection, within a deadline and always ready to be told to stop."""

from __future__ import annotations

import errno
import os
import socket
import sys
from collections.abc import Callable

from upbit_ws.exceptions import ClientClosedError, ConnectionFailedError, ConnectTimeoutError, DnsError
from upbit_ws.wire.errors import describe
from upbit_ws.wire.poller import Poller, SelectPoller, make_poller
from upbit_ws.wire.wakeup import Wakeup

__all__ = [
    "Address",
    "AddressBook",
    "DialAborted",
    "Patience",
    "Resolver",
    "connect",
    "literal_addresses",
    "resolve_blocking",
]

#: Family, type, protocol, canonical name and socket address: a row of `socket.getaddrinfo`.
Address = tuple[int, int, int, str, tuple[str, int] | tuple[str, int, int, int] | tuple[int, bytes]]
#: `resolve(host, port, deadline)`: the addresses of a host, best first. `deadline` is on the dial's clock.
Resolver = Callable[[str, int, float], "list[Address]"]

_IN_PROGRESS = {0, errno.EINPROGRESS, errno.EWOULDBLOCK, getattr(errno, "WSAEWOULDBLOCK", errno.EWOULDBLOCK)}
#: Seconds of silence before the first keep-alive probe, seconds between probes, probes before the end.
_KEEPALIVE = (("TCP_KEEPIDLE", 30), ("TCP_KEEPALIVE", 30), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 3))
#: Milliseconds that sent bytes may stay unacknowledged. Keep-alive alone does not help: one unanswered ping of ours
#: disarms it, and the kernel's own patience is a quarter of an hour. Measured: it acts up to half a second later than
#: told, and 10 s are promised.
_USER_TIMEOUT = 9_000


class DialAborted(ClientClosedError):
    """Somebody woke the dial and `should_stop` said yes. The owner's own doing, so it shows to nobody."""

    def __init__(self) -> None:
        super().__init__("connection")


class Patience:
    """How long one dial may still take, and who may end it: the deadline, the wake-up and the question why."""

    def __init__(
        self,
        *,
        clock: Callable[[], float],
        deadline: float,
        wakeup: Wakeup,
        should_stop: Callable[[], bool],
        host: str,
    ) -> None:
        self.clock = clock
        self.deadline = deadline
        self.wakeup = wakeup
        self._should_stop = should_stop
        self._host = host

    def remaining(self, phase: str, deadline: float | None = None) -> float:
        """Seconds left until `deadline`, or the dial's own.

        Raises:
            DialAborted: the owner wants to stop.
            ConnectTimeoutError: none are left; says in which `phase`.
        """
        if self._should_stop():
            raise DialAborted
        remaining = (self.deadline if deadline is None else min(deadline, self.deadline)) - self.clock()
        if remaining <= 0:
            raise ConnectTimeoutError(f"no time left for {phase}", host=self._host)
        return remaining

    def wait(
        self, poller: Poller | SelectPoller, phase: str, *, for_write: bool, deadline: float | None = None
    ) -> None:
        """Wait until the socket can be written (`for_write`) or read. Raises as `remaining` does."""
        while True:
            readable, writable, woken = poller.wait(self.remaining(phase, deadline), for_write)
            if woken:
                self.wakeup.clear()
            if writable if for_write else readable:
                return


def literal_addresses(host: str, port: int) -> list[Address]:
    """The address that `host` spells out, without asking anybody; none where it is a name."""
    try:
        return list(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST))
    except (OSError, UnicodeError):
        return []


def resolve_blocking(host: str, port: int, deadline: float) -> list[Address]:  # noqa: ARG001
    """The addresses of `host` from the system, which keeps no deadline: for tests and tools, not for an I/O thread.

    Raises:
        DnsError: it has none.
    """
    try:
        return list(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
    except (OSError, UnicodeError) as error:
        raise DnsError(describe(error) if isinstance(error, OSError) else "not a host name", host=host) from error


class AddressBook:
    """What one connection's dials remember from each other: the last good answer, and which addresses failed since.

    A resolver that is down does not keep us from an exchange that is up, and one sick address of six (accepting
    connections, completing none) goes to the end of the line. Used by one thread.
    """

    def __init__(self) -> None:
        self._answers: dict[tuple[str, int], list[Address]] = {}
        self._failed: set[Address] = set()

    def lookup(self, host: str, port: int, resolve: Resolver, deadline: float) -> list[Address]:
        """The addresses to try, in order: fresh ones, or the last known where the name does not resolve now.

        Raises:
            DnsError: it does not resolve, and never has.
        """
        known = self._answers.get((host, port))
        try:
            found = resolve(host, port, deadline)
        except (DnsError, ConnectTimeoutError):
            if known is None:
                raise
            found = known
        if not found:
            raise DnsError("it has no address", host=host)
        self._answers[host, port] = found
        self._failed.intersection_update(found)
        return sorted(found, key=self._failed.__contains__)

    def report(self, address: Address, *, is_good: bool) -> None:
        """Remember how an address did."""
        if is_good:
            self._failed.discard(address)
        else:
            self._failed.add(address)


def _set_options(sock: socket.socket) -> None:
    sock.setblocking(False)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _KEEPALIVE:
        option = getattr(socket, name, None)
        if option is not None:
            sock.setsockopt(socket.IPPROTO_TCP, option, value)
    if sys.platform == "linux":
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _USER_TIMEOUT)


def _connect_one(address: Address, patience: Patience, deadline: float) -> socket.socket:
    """A connected socket to one address. Raises OSError, ConnectTimeoutError, DialAborted, and leaves nothing open."""
    family, kind, protocol, _, place = address
    sock = socket.socket(family, kind, protocol)
    try:
        _set_options(sock)
        status = sock.connect_ex(place)
        if status not in _IN_PROGRESS:
            raise OSError(status, os.strerror(status))
        if status != 0:
            patience.wait(make_poller(sock, patience.wakeup), "TCP", for_write=True, deadline=deadline)
            status = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if status:
                raise OSError(status, os.strerror(status))
    except BaseException:
        sock.close()
        raise
    return sock


def connect(
    addresses: list[Address], patience: Patience, book: AddressBook, host: str
) -> tuple[socket.socket, Address]:
    """A connection to the first address that accepts one. Each gets an equal share of the time that is left.

    Raises:
        ConnectTimeoutError: none accepted in time.
        ConnectionFailedError: none accepted; says what each answered.
        DialAborted: the owner wants to stop.
    """
    failures: list[str] = []
    for position, address in enumerate(addresses):
        share = patience.remaining("TCP") / (len(addresses) - position)
        try:
            return _connect_one(address, patience, patience.clock() + share), address
        except ConnectTimeoutError:
            failures.append(f"{address[4][0]} timed out")
        except OSError as error:
            failures.append(f"{address[4][0]} {describe(error)}")
        book.report(address, is_good=False)
    if all(failure.endswith("timed out") for failure in failures):
        raise ConnectTimeoutError("; ".join(failures), host=host)
    raise ConnectionFailedError("; ".join(failures), host=host)
