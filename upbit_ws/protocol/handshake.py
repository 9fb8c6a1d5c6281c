"""The opening handshake of RFC 6455, section 4, as bytes: what is asked, what is answered, what is refused.

The SDK upgrades connections itself. The handshake of `websocket-client` reads one byte per system call without any
bound (an error page of 50 MB costs 49 s), keeps a cookie jar for the whole process, follows redirects with the
`Authorization` header attached, sends an `Origin` header (which Upbit answers with a limit of one request in ten
seconds: Upbit: rate-limits page) and prints the token when tracing is on.

Rules:

1. A request holds the headers named in `build_upgrade_request` and those that the caller gives, and no others. `Origin`
   is refused. A name or value that could end a header line is refused.
2. A response is held to limits while it arrives: bytes a line, number of headers, bytes of an error's body.
3. Only status 101 with the right `Upgrade`, `Connection` and `Sec-WebSocket-Accept` is a connection. No redirect is
   followed, no cookie is kept.
4. What a server says in an error is shown in one escaped, bounded line in which tokens are masked.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable

from upbit_ws.exceptions import HandshakeError, InvalidArgumentError
from upbit_ws.protocol.deflate import DeflateParameters, negotiate
from upbit_ws.protocol.http import HttpResponse, parse_error_body, parse_retry_after
from upbit_ws.protocol.redaction import escape_text, mask_secrets

__all__ = [
    "accept_for",
    "build_connect_request",
    "build_upgrade_request",
    "check_upgrade",
    "format_authority",
    "make_key",
    "refusal",
]

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+\Z")
_HEADER_VALUE = re.compile(r"[\t\x20-\x7e]*\Z")
_HOST = re.compile(r"[0-9A-Za-z.\-_]+\Z|\[?[0-9A-Fa-f:.%]+\]?\Z")
_TARGET = re.compile(r"/[\x21-\x7e]*\Z")
#: Written by `build_upgrade_request` itself, or refused on principle.
_RESERVED_HEADERS = frozenset(
    {
        "host",
        "upgrade",
        "connection",
        "origin",
        "cookie",
        "user-agent",
        "content-length",
        "transfer-encoding",
        "sec-websocket-key",
        "sec-websocket-version",
        "sec-websocket-extensions",
        "sec-websocket-protocol",
    }
)


def make_key(entropy: bytes) -> str:
    """`Sec-WebSocket-Key` from 16 random bytes."""
    if len(entropy) != 16:
        raise InvalidArgumentError("entropy", f"must be 16 random bytes, got {len(entropy)}", "os.urandom(16)")
    return base64.b64encode(entropy).decode("ascii")


def accept_for(key: str) -> str:
    """The `Sec-WebSocket-Accept` that proves a server read `key` (RFC 6455, 4.2.2)."""
    # The RFC prescribes SHA-1; nothing secret rests on it.
    digest = hashlib.sha1(key.encode("ascii") + _GUID, usedforsecurity=False).digest()
    return base64.b64encode(digest).decode("ascii")


def format_authority(host: str, port: int | None) -> str:
    """`host:port` as it stands in `Host` and in CONNECT; brackets around an IPv6 address, no port where it is None."""
    if not _HOST.match(host):
        raise InvalidArgumentError(
            "host", f"is not a host name: '{escape_text(host, 80)}'", "it in ASCII, 'api.upbit.com'"
        )
    name = f"[{host.strip('[]')}]" if ":" in host else host
    return name if port is None else f"{name}:{port}"


def build_upgrade_request(
    *,
    host: str,
    port: int,
    is_secure: bool,
    path: str,
    key: str,
    extensions: str | None = None,
    user_agent: str | None = None,
    headers: Iterable[tuple[str, str]] = (),
) -> bytes:
    """The whole upgrade request.

    Args:
        host: ASCII name or address; the port is written only where it is not the scheme's own.
        key: from `make_key`, new for each request.
        extensions: value of `Sec-WebSocket-Extensions`, or None to offer none.
        headers: further headers, such as `Authorization`, in this order.

    Raises:
        InvalidArgumentError: a name or value cannot stand in a header, or the header is not the caller's to give.
    """
    if not _TARGET.match(path):
        raise InvalidArgumentError("path", f"is not a request path: '{escape_text(path, 80)}'", "'/websocket/v1'")
    lines = [
        f"GET {path} HTTP/1.1",
        f"Host: {format_authority(host, None if port == (443 if is_secure else 80) else port)}",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Key: {_checked_value('Sec-WebSocket-Key', key)}",
        "Sec-WebSocket-Version: 13",
    ]
    if extensions is not None:
        lines.append(f"Sec-WebSocket-Extensions: {_checked_value('Sec-WebSocket-Extensions', extensions)}")
    if user_agent is not None:
        lines.append(f"User-Agent: {_checked_value('User-Agent', user_agent)}")
    for name, value in headers:
        lines.append(f"{_checked_name(name)}: {_checked_value(name, value)}")
    return _as_request(lines)


def build_connect_request(*, host: str, port: int, authorization: str | None = None) -> bytes:
    """The request that makes an HTTP proxy open a tunnel to `host:port` (RFC 9110, 9.3.6)."""
    authority = format_authority(host, port)
    lines = [f"CONNECT {authority} HTTP/1.1", f"Host: {authority}"]
    if authorization is not None:
        lines.append(f"Proxy-Authorization: {_checked_value('Proxy-Authorization', authorization)}")
    return _as_request(lines)


def _as_request(lines: list[str]) -> bytes:
    return ("\r\n".join(lines) + "\r\n\r\n").encode("ascii")


def _checked_name(name: str) -> str:
    if not _TOKEN.match(name):
        raise InvalidArgumentError("headers", f"has a name that no header can have: '{escape_text(name, 80)}'")
    if name.lower() in _RESERVED_HEADERS:
        raise InvalidArgumentError("headers", f"has {name!r}, which is not the caller's to send")
    return name


def _checked_value(name: str, value: str) -> str:
    # The value may be a token, so the message never shows it.
    if not _HEADER_VALUE.match(value) or value != value.strip():
        raise InvalidArgumentError("headers", f"has a value for {name!r} with characters that cannot stand in a header")
    return value


def check_upgrade(response: HttpResponse, *, key: str, has_offered_deflate: bool) -> DeflateParameters | None:
    """Make sure that a 101 is the answer to our request; return the compression that was agreed.

    Raises:
        HandshakeError: it is not (RFC 6455, 4.1, step 5 of what the client must check).
    """
    headers = response.headers
    if response.version != "HTTP/1.1":
        raise HandshakeError("the server upgrades with HTTP/1.0, which has no upgrade")
    if headers.get("upgrade", "").lower() != "websocket":
        raise HandshakeError("the response has no 'Upgrade: websocket'")
    if "upgrade" not in (token.strip().lower() for token in headers.get("connection", "").split(",")):
        raise HandshakeError("the response has no 'Connection: Upgrade'")
    if headers.get("sec-websocket-accept") != accept_for(key):
        raise HandshakeError("Sec-WebSocket-Accept is missing or does not answer our key")
    if "sec-websocket-protocol" in headers:
        raise HandshakeError("the server chose a subprotocol that was not offered")
    extensions = headers.get("sec-websocket-extensions")
    if extensions and not has_offered_deflate:
        raise HandshakeError("the server agreed to an extension that was not offered")
    return negotiate(extensions) if has_offered_deflate else None


def refusal(response: HttpResponse, *, now: float, host: str = "", secrets: Iterable[str] = ()) -> HandshakeError:
    """The error for any status but 101.

    Args:
        now: wall-clock seconds since the epoch, for a `Retry-After` that is a date.
        secrets: strings that must not show, should the server repeat them.
    """
    name, message = parse_error_body(response.body)
    said = ": ".join(part for part in (name, message) if part)
    if not said:
        said = response.body.decode("utf-8", "replace").strip() or response.reason
    said = escape_text(mask_secrets(said, secrets))
    if 300 <= response.status < 400:
        said = "a redirect, which is never followed: the token would go along"
    return HandshakeError(
        said,
        status=response.status,
        retry_after=parse_retry_after(response.headers.get("retry-after"), now),
        host=host,
        name=escape_text(mask_secrets(name, secrets), 80),
    )
