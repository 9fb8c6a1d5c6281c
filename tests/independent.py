"""A server that is not ours: `websockets`' own, on a free port of the loopback and in a thread of its own."""

from __future__ import annotations

import os
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from websockets.sync.server import ServerConnection, serve

__all__ = ["serving"]


@contextmanager
def serving(
    handler: Callable[[ServerConnection], None], tls: ssl.SSLContext | None = None, **settings: Any
) -> Iterator[int]:
    """Serve every connection with `handler`; its port. The settings are those of `websockets.sync.server.serve`."""
    with serve(handler, "127.0.0.1", 0, ssl=tls, **settings) as server:
        thread = threading.Thread(target=server.serve_forever, name="websockets-server")
        thread.start()
        try:
            yield server.socket.getsockname()[1]
        finally:
            server.shutdown()
            thread.join()
    for end in (server.shutdown_watcher, server.shutdown_notifier):
        if isinstance(end, int):  # releases before 17, which still run on Python 3.10, leave this pipe open
            os.close(end)
