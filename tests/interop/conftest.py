"""The same echo server twice, by `websockets` and by npm's `ws`."""

from __future__ import annotations

import json
import shutil
import ssl
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from websockets.extensions.permessage_deflate import ServerPerMessageDeflateFactory
from websockets.sync.server import ServerConnection

from tests.independent import serving
from upbit_ws.testing import CertificateAuthority
from upbit_ws.wire.dial import DialTarget, dial
from upbit_ws.wire.transport import Transport
from upbit_ws.wire.wakeup import Wakeup

#: What the servers agree to, in the words of RFC 7692.
COMPRESSIONS: dict[str, dict[str, Any] | None] = {
    "none": None,
    "default": {},
    "no context": {"server_no_context_takeover": True, "client_no_context_takeover": True},
    "server forgets": {"server_no_context_takeover": True},
    "small windows": {"server_max_window_bits": 10, "client_max_window_bits": 9},
}
"""By name; None is without compression."""


class Server:
    """Where an echo server is, and whom to trust."""

    def __init__(self, port: int, context: ssl.SSLContext | None) -> None:
        self.url = f"{'wss' if context else 'ws'}://127.0.0.1:{port}"
        self.context = context


MakeServer = Callable[..., Server]


@pytest.fixture(scope="session")
def npm_modules(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with npm's `ws`, installed once and kept in pytest's cache."""
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        pytest.skip("node and npm are not installed")
    cache: pytest.Cache | None = getattr(request.config, "cache", None)
    kept = cache.mkdir("npm-ws") if cache is not None else tmp_path_factory.mktemp("npm-ws")
    modules = kept / "node_modules"
    if not (modules / "ws").is_dir():
        # Moved into its place in one step: another process of this run may be about the same.
        folder = Path(tempfile.mkdtemp(dir=kept))
        command = [npm, "install", "--prefix", str(folder), "--no-audit", "--no-fund", "--silent", "ws@8"]
        try:
            done = subprocess.run(command, capture_output=True, encoding="utf-8", timeout=40, check=False)
        except subprocess.TimeoutExpired:
            pytest.skip("npm did not install ws in time")
        if done.returncode:
            pytest.skip(f"npm cannot install ws here: {done.stderr.strip()[-200:]}")
        with suppress(OSError):  # it is there by now
            (folder / "node_modules").rename(modules)
        shutil.rmtree(folder)
    return modules


@contextmanager
def python_server(compression: dict[str, Any] | None, authority: CertificateAuthority | None) -> Iterator[Server]:
    """The echo server by `websockets`."""

    def echo(connection: ServerConnection) -> None:
        for message in connection:
            if message == "bye":
                connection.close(4000, "as you wish")
            elif message == "fragments":
                connection.send(iter(["one ", "two ", "three"]))
                assert connection.ping("between").wait(5.0)
                connection.send("pong between")
            else:
                connection.send(message)

    settings: dict[str, Any] = {"compression": None, "max_size": 1 << 24}
    if compression is not None:
        settings["extensions"] = [ServerPerMessageDeflateFactory(**compression)]
    tls = authority.server_context() if authority else None
    with serving(echo, tls, **settings) as port:
        yield Server(port, authority.client_context() if authority else None)


@contextmanager
def npm_server(
    modules: Path, folder: Path, compression: dict[str, Any] | None, authority: CertificateAuthority | None
) -> Iterator[Server]:
    """The echo server by npm's `ws`."""
    settings: dict[str, Any] = {"modules": str(modules), "compression": _in_npms_words(compression)}
    if authority is not None:
        pem = folder / "server.pem"
        pem.write_bytes(authority.server_pem())
        settings["pem"] = str(pem)
    script = Path(__file__).with_name("echo.js")
    with subprocess.Popen(
        ["node", str(script), json.dumps(settings)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8"
    ) as process:
        assert process.stdout is not None
        try:
            yield Server(int(process.stdout.readline()), authority.client_context() if authority else None)
        finally:
            process.kill()


def _in_npms_words(compression: dict[str, Any] | None) -> dict[str, Any] | bool:
    if compression is None:
        return False
    words = {
        "server_no_context_takeover": "serverNoContextTakeover",
        "client_no_context_takeover": "clientNoContextTakeover",
        "server_max_window_bits": "serverMaxWindowBits",
        "client_max_window_bits": "clientMaxWindowBits",
    }
    return {"threshold": 0, **{words[name]: value for name, value in compression.items()}}


@pytest.fixture(params=["websockets", "ws"])
def make_server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[MakeServer]:
    """`make_server(compression, authority)`, of both kinds."""
    modules = request.getfixturevalue("npm_modules") if request.param == "ws" else None
    with ExitStack() as stack:

        def make(compression: dict[str, Any] | None, authority: CertificateAuthority | None) -> Server:
            if modules is not None:
                return stack.enter_context(npm_server(modules, tmp_path, compression, authority))
            return stack.enter_context(python_server(compression, authority))

        yield make


@pytest.fixture
def open_transport() -> Iterator[Callable[[Server, bool], Transport]]:
    """`open_transport(server, offers_deflate)`; closed after the test."""
    wakeup = Wakeup()
    with ExitStack() as stack:
        stack.callback(wakeup.close)

        def opener(server: Server, offers_deflate: bool) -> Transport:
            transport = dial(
                DialTarget.from_url(server.url + "/", ssl_context=server.context, offers_deflate=offers_deflate),
                deadline=time.monotonic() + 10.0,
                clock=time.monotonic,
                wakeup=wakeup,
                should_stop=lambda: False,
            )
            stack.callback(transport.abort)
            return transport

        yield opener
