"""Ports of the loopback that stay a test's own while nothing listens there."""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["reserved_port"]


@contextmanager
def reserved_port() -> Iterator[int]:
    """A port for a server that stops and starts again: no other process of this run gets it in between.

    A socket that is bound and never listens keeps it: the system does not give such a port to those who ask for any,
    refuses connections to it, and lets a server have it that asks for this very one. Only Linux is known to do so;
    elsewhere it is 0, any port.
    """
    if not sys.platform.startswith("linux"):
        yield 0
        return
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind(("127.0.0.1", 0))
        yield holder.getsockname()[1]
