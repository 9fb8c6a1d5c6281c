"""HTTP/1.x responses, read from bytes under limits: for the upgrade, for a proxy's CONNECT, and Upbit's error bodies.

A hostile or broken server may send a header line without end, ten thousand headers or an error page of 50 MB; nothing
of it is held beyond `HandshakeLimits`.
"""

from __future__ import annotations

import re
from collections.abc import Container
from datetime import timezone

import orjson

from upbit_ws.exceptions import HandshakeError
from upbit_ws.protocol.redaction import escape_text, mask_secrets
from upbit_ws.records import frozen

__all__ = ["HandshakeLimits", "HttpResponse", "ResponseParser", "parse_error_body", "parse_retry_after"]

_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+\Z")
_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*\Z")
_STATUS_LINE = re.compile(r"(HTTP/1\.[01]) ([1-5][0-9]{2})(?: ([\t\x20-\x7e\x80-\xff]*))?\Z")
_RETRY_AFTER_FLOOR = 1.0
_RETRY_AFTER_CEILING = 600.0


@frozen
class HandshakeLimits:
    """What a server may make us read, in bytes (`headers`: a count)."""

    line: int = 8192
    headers: int = 128
    body: int = 4096


@frozen
class HttpResponse:
    """The head of a response, what was read of its body, and the bytes that came after it.

    `headers` maps lower-case names to values; a repeated header's values are joined by ", " (RFC 9110, 5.3).
    """

    version: str
    status: int
    reason: str
    headers: dict[str, str]
    body: bytes = b""
    leftover: bytes = b""


class ResponseParser:
    """Reads one HTTP/1.x response from bytes that arrive in any pieces, and never holds more than the limits.

    Args:
        without_body: statuses after which the stream belongs to somebody else (101 for an upgrade, 200 for CONNECT).
    """

    def __init__(self, limits: HandshakeLimits | None = None, *, without_body: Container[int] = (101,)) -> None:
        self._limits = limits or HandshakeLimits()
        self._without_body = without_body
        self._buffer = b""
        self._lines_seen = 0
        self._start: tuple[str, int, str] | None = None
        self._headers: dict[str, str] = {}
        #: Set when the head is complete; its `body` is empty. An error may be reported from it alone.
        self.head: HttpResponse | None = None
        self._body = b""
        self._expected_body = self._limits.body

    def feed(self, data: bytes) -> HttpResponse | None:
        """Take the next bytes; return the response once it is complete, or its body as long as is read of it.

        Raises:
            HandshakeError: not HTTP, malformed, or over a limit.
        """
        if self.head is None:
            self._buffer += data
            head = self._read_head()
            if head is None:
                return None
            data, self._buffer = self._buffer, b""
            if head.status in self._without_body:
                return self._response(b"", data)
        self._body += data[: self._expected_body - len(self._body)]
        return self._response(self._body, b"") if len(self._body) >= self._expected_body else None

    def end(self) -> HttpResponse:
        """The stream is over (or nobody waits for more of the body): the response as far as it came.

        Raises:
            HandshakeError: it ended inside the head.
        """
        if self.head is None:
            raise HandshakeError("the connection ended inside the response to the upgrade request")
        return self._response(self._body, b"")

    def _response(self, body: bytes, leftover: bytes) -> HttpResponse:
        head = self.head
        assert head is not None
        if "chunked" in head.headers.get("transfer-encoding", "").lower():
            body = _join_chunks(body)
        return HttpResponse(head.version, head.status, head.reason, head.headers, body, leftover)

    def _read_head(self) -> HttpResponse | None:
        position = 0
        while self.head is None:
            stop = self._buffer.find(b"\n", position)
            if (stop if stop >= 0 else len(self._buffer)) - position > self._limits.line:
                raise HandshakeError(f"a line of the response is longer than {self._limits.line} bytes")
            if stop < 0:
                break
            # A lone LF ends a line too (RFC 9112, 2.2).
            line = self._buffer[position:stop].removesuffix(b"\r").decode("latin-1")
            position = stop + 1
            self._read_line(line)
        self._buffer = self._buffer[position:]
        return self.head

    def _read_line(self, line: str) -> None:
        if self._start is None:
            match = _STATUS_LINE.match(line)
            if match is None:
                raise HandshakeError(f"the server does not speak HTTP: '{escape_text(mask_secrets(line), 80)}'")
            self._start = (match[1], int(match[2]), match[3] or "")
        elif line:
            self._read_header(line)
        else:
            self._finish_head(*self._start)

    def _read_header(self, line: str) -> None:
        self._lines_seen += 1
        if self._lines_seen > self._limits.headers:
            raise HandshakeError(f"the response has more than {self._limits.headers} headers")
        name, colon, value = line.partition(":")
        value = value.strip(" \t")
        # A folded line begins with a space and so has no valid name: folding is obsolete (RFC 9112, 5.2) and refused.
        if not colon or not _TOKEN.match(name) or not _VALUE.match(value):
            raise HandshakeError(f"a malformed header in the response: '{escape_text(mask_secrets(line), 80)}'")
        name = name.lower()
        known = self._headers.get(name)
        self._headers[name] = value if known is None else f"{known}, {value}"

    def _finish_head(self, version: str, status: int, reason: str) -> None:
        if 100 <= status < 200 and status != 101:
            # An interim response (RFC 9110, 15.2); its headers keep counting towards the limit.
            self._lines_seen += 1
            self._start, self._headers = None, {}
            if self._lines_seen > self._limits.headers:
                raise HandshakeError("the server sends interim responses without end")
            return
        self.head = HttpResponse(version, status, reason, self._headers)
        length = self._headers.get("content-length", "")
        if status in (204, 304):
            self._expected_body = 0
        elif length.isascii() and length.isdigit() and "transfer-encoding" not in self._headers:
            # Twenty digits are beyond any length, and int() refuses thousands of them.
            self._expected_body = min(int(length[:20]), self._limits.body)


def _join_chunks(body: bytes) -> bytes:
    """The payload of a chunked body, as far as it is whole enough to read."""
    parts: list[bytes] = []
    while body:
        head, line_end, rest = body.partition(b"\n")
        size_text = head.split(b";")[0].strip()
        if not line_end or not re.fullmatch(rb"[0-9A-Fa-f]{1,8}", size_text):
            break
        size = int(size_text, 16)
        if size == 0:
            break
        parts.append(rest[:size])
        body = rest[size:].removeprefix(b"\r").removeprefix(b"\n")
    return b"".join(parts)


def parse_error_body(body: bytes) -> tuple[str, str]:
    """Name and message of Upbit's `{"error": {"name": ..., "message": ...}}`; empty strings where it is something else.

    Quotation errors carry an integer name (Upbit: rest-api-guide page).
    """
    try:
        decoded = orjson.loads(body)
    except orjson.JSONDecodeError:
        return "", ""
    error = decoded.get("error") if isinstance(decoded, dict) else None
    if not isinstance(error, dict):
        return "", ""
    name, message = error.get("name"), error.get("message")
    return (
        str(name) if isinstance(name, (str, int)) else "",
        message if isinstance(message, str) else "",
    )


def parse_retry_after(value: str | None, now: float) -> float | None:
    """Seconds to wait, between 1 and 600; None where the header is missing or says nothing readable.

    Args:
        value: `Retry-After`, seconds or a date (RFC 9110, 10.2.3).
        now: wall-clock seconds since the epoch.
    """
    if value is None:
        return None
    text = value.strip()
    try:
        if re.fullmatch(r"[+-]?[0-9]{1,300}(?:\.[0-9]*)?", text):
            seconds = float(text)
        else:
            from email.utils import parsedate_to_datetime  # only for a date, which is rare: it is slow to load

            moment = parsedate_to_datetime(text)
            seconds = (moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)).timestamp() - now
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return min(max(seconds, _RETRY_AFTER_FLOOR), _RETRY_AFTER_CEILING)
