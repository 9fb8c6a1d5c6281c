"""Two machines on one wire, inside this one: network namespaces with a veth pair, for packets that really get lost.

A thread moves into a namespace with `Machine.here`; sockets made there and threads started there stay there. The
addresses are of the range reserved for documentation and exist in the two namespaces only, which have no other link.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import subprocess
import threading
from collections.abc import Iterator
from shutil import which

from attrs import frozen

__all__ = ["Machine", "Wire", "why_not"]

_CLONE_NEWNET = 0x40000000


def why_not() -> str | None:
    """Why namespaces cannot be had here; None where they can."""
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        return "needs root"
    if which("ip") is None:
        return "needs the command ip (package iproute2)"
    probe = f"upbitws-probe-{os.getpid()}"
    if subprocess.run(["ip", "netns", "add", probe], capture_output=True).returncode:
        return "this system makes no network namespaces"
    _run("ip", "netns", "del", probe)
    return None


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)


def _enter(path: str) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.setns(descriptor, _CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "setns")
    finally:
        os.close(descriptor)


@frozen
class Machine:
    """One end of the wire."""

    name: str
    address: str
    device: str = "wire"

    def ip(self, *arguments: str) -> None:
        """The command `ip`, in this namespace."""
        _run("ip", "-n", self.name, *arguments)

    @contextlib.contextmanager
    def here(self) -> Iterator[None]:
        """The present thread is on this machine."""
        back = f"/proc/self/task/{threading.get_native_id()}/ns/net"
        home = os.open(back, os.O_RDONLY | os.O_CLOEXEC)
        try:
            _enter(f"/run/netns/{self.name}")
            try:
                yield
            finally:
                _enter(f"/proc/self/fd/{home}")
        finally:
            os.close(home)

    def lose_towards(self, address: str) -> None:
        """Throw away what this machine sends there."""
        self.ip("route", "add", "blackhole", f"{address}/32")

    def find_again(self, address: str) -> None:
        """Send there again."""
        self.ip("route", "del", "blackhole", f"{address}/32")


class Wire:
    """The exchange and the user, and the wire between them."""

    def __init__(self) -> None:
        number = os.getpid()
        self.exchange = Machine(f"upbitws-x-{number}", "192.0.2.1")
        self.user = Machine(f"upbitws-u-{number}", "192.0.2.2")
        self._machines = (self.exchange, self.user)

    def __enter__(self) -> Wire:
        for machine in self._machines:
            _run("ip", "netns", "add", machine.name)
        here, there = self._machines
        _run(
            *("ip", "-n", here.name, "link", "add", here.device, "type", "veth"),
            *("peer", "name", there.device, "netns", there.name),
        )
        for machine in self._machines:
            machine.ip("address", "add", f"{machine.address}/24", "dev", machine.device)
            machine.ip("link", "set", "lo", "up")
            machine.ip("link", "set", machine.device, "up")
        return self

    def __exit__(self, *_: object) -> None:
        for machine in self._machines:
            subprocess.run(["ip", "netns", "del", machine.name], capture_output=True)

    def cut(self) -> None:
        """Nothing passes any more, in either direction, and nobody is told."""
        self.exchange.lose_towards(self.user.address)
        self.user.lose_towards(self.exchange.address)

    def mend(self) -> None:
        """As before."""
        self.exchange.find_again(self.user.address)
        self.user.find_again(self.exchange.address)
