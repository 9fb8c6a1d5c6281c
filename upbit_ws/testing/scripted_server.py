"""A loopback server that does exactly what a script says, byte by byte: for everything that a good server never does.

::

    def script(talk):
        talk.upgrade(followed_by=server_frame(b'{"type":"ticker"}'))
        talk.reset()

    with ScriptedServer(script) as server:
        ...  # dial server.url
        assert server.errors == []
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable
from types import TracebackType

from upbit_ws.exceptions import InvalidArgumentError
from upbit_ws.testing.conversation import Conversation

__all__ = ["ScriptedServer"]

Script = Callable[[Conversation], None]

_JOIN = 5.0


class ScriptedServer:
    """Runs one script a connection, each in its own thread; the last script serves all further connections.

    Args:
        scripts: Called with the `Conversation`; when one returns, its connection is closed.
        tls: Context of the server's side (see `CertificateAuthority.server_context`); None speaks plain TCP.
        timeout: Seconds that one read or write of a script may take.
    """

    def __init__(
        self,
        *scripts: Script,
        tls: ssl.SSLContext | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        timeout: float = 10.0,
    ) -> None:
        if not scripts:
            raise InvalidArgumentError("scripts", "is empty", "ScriptedServer(lambda talk: talk.upgrade())")
        self._scripts = scripts
        self._tls = tls
        self._timeout = timeout
        self._host = host
        self._stopping = threading.Event()
        #: Guards the lists below, and tells waiters that they grew.
        self._changed = threading.Condition(threading.Lock())
        #: Connections so far, oldest first.
        self.conversations: list[Conversation] = []
        #: What scripts raised, apart from the client's going away and the server's own stop.
        self.errors: list[BaseException] = []
        #: TLS handshakes that failed, as the server saw them.
        self.tls_errors: list[OSError] = []
        self._listener = socket.create_server((host, port), backlog=128)
        self.port: int = self._listener.getsockname()[1]
        self._threads = [threading.Thread(target=self._accept, name=f"upbit-ws-test-scripted-{self.port}", daemon=True)]
        self._threads[0].start()

    @property
    def url(self) -> str:
        """`ws://` or `wss://`, host and port, without a path."""
        return f"{'wss' if self._tls else 'ws'}://{self._host}:{self.port}"

    @property
    def connections(self) -> int:
        """How many connections were accepted."""
        with self._changed:
            return len(self.conversations)

    def conversation(self, index: int = 0, *, timeout: float = 5.0) -> Conversation:
        """The connection of that number, as soon as it is there.

        Raises:
            TimeoutError: it did not come.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: len(self.conversations) > index, timeout):
                raise TimeoutError(f"connection {index} did not come within {timeout:g} s")
            return self.conversations[index]

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                # No descriptor is free: the connection waits in the listener's queue until one is.
                if self._stopping.wait(0.01):
                    return
                continue
            if self._stopping.is_set():
                sock.close()
                return
            with self._changed:
                number = len(self.conversations)
                talk = Conversation(sock, self._stopping, timeout=self._timeout)
                self.conversations.append(talk)
                self._changed.notify_all()
            thread = threading.Thread(
                target=self._serve, args=(talk, sock, number), name=f"upbit-ws-test-script-{number}", daemon=True
            )
            self._threads.append(thread)
            thread.start()

    def _serve(self, talk: Conversation, sock: socket.socket, number: int) -> None:
        try:
            if self._tls is not None:
                try:
                    talk.start_tls(self._tls)
                except OSError as error:
                    with self._changed:
                        self.tls_errors.append(error)
                    return
            self._scripts[min(number, len(self._scripts) - 1)](talk)
        except (EOFError, ConnectionError):
            # The client went away, or the server stops: a script's ordinary end.
            pass
        except BaseException as error:
            if not self._stopping.is_set():
                with self._changed:
                    self.errors.append(error)
        finally:
            talk.end()
            sock.close()
            talk.is_over.set()

    def close(self) -> None:
        """Stop listening, end all scripts and their connections, and join the threads. Idempotent."""
        self._stopping.set()
        # Closing a listener does not wake a thread in `accept`; a connection does, on every platform.
        with contextlib.suppress(OSError), socket.create_connection((self._host, self.port), timeout=1.0):
            pass
        self._threads[0].join(_JOIN)
        self._listener.close()
        for talk in self.conversations:
            talk.interrupt()
        for thread in self._threads:
            thread.join(_JOIN)

    def __enter__(self) -> ScriptedServer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<ScriptedServer {self.url}, {self.connections} connections, {len(self.errors)} errors>"
