"""
Just enough HTTP/1.1 for a REST server on the port of the WebSocket server. Pure: bytes in, requests out, replies to
bytes.
"""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from http import HTTPStatus
from urllib.parse import parse_qsl, urlsplit

from attrs import field, frozen

__all__ = ["HttpError", "HttpReply", "HttpRequest", "cut_request"]

_LONGEST_HEAD = 64 << 10
_LONGEST_BODY = 1 << 20
_WORTH_COMPRESSING = 1_024


class HttpError(Exception):
    """A request that cannot be understood; the connection is of no further use."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


@frozen
class HttpRequest:
    """
    One request.

    Attributes:
        method, target: as in the request line.
        headers: names in lower case; of a repeated one the last.
        body: empty without `Content-Length`.
        raw: the bytes that the request line and the headers came in.
    """

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes = b""
    raw: bytes = field(default=b"", repr=False)

    @property
    def path(self) -> str:
        """The target without its query."""
        return urlsplit(self.target).path

    @property
    def query(self) -> dict[str, str]:
        """The query, of a repeated name the last value."""
        return dict(parse_qsl(urlsplit(self.target).query, keep_blank_values=True))

    @property
    def is_upgrade(self) -> bool:
        """Whether it asks for a WebSocket."""
        return self.headers.get("upgrade", "").lower() == "websocket"

    @property
    def wants_close(self) -> bool:
        """Whether the connection shall end after the reply."""
        return "close" in self.headers.get("connection", "").lower()


@frozen
class HttpReply:
    """One reply. `body` is JSON."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(factory=dict)

    def serialize(self, request: HttpRequest | None = None) -> bytes:
        """The bytes of it, compressed if `request` allows and it is worth while."""
        body, headers = self.body, {"Content-Type": "application/json;charset=UTF-8", **self.headers}
        accepts = request.headers.get("accept-encoding", "") if request else ""
        if "gzip" in accepts and len(body) > _WORTH_COMPRESSING:
            body = gzip.compress(body, compresslevel=1, mtime=0)
            headers["Content-Encoding"] = "gzip"
        headers["Content-Length"] = str(len(body))
        headers["Connection"] = "close" if request is None or request.wants_close else "keep-alive"
        head = f"HTTP/1.1 {self.status} {_phrase(self.status)}\r\n"
        head += "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        return head.encode("latin-1") + b"\r\n" + (b"" if request and request.method == "HEAD" else body)


def _phrase(status: int) -> str:
    return HTTPStatus(status).phrase if status in set(HTTPStatus) else ""


def cut_request(buffer: bytearray) -> HttpRequest | None:
    """
    Take the first complete request off the front of `buffer`; None while it is incomplete.

    Raises:
        HttpError: it is malformed or too large.
    """
    end = buffer.find(b"\r\n\r\n")
    if end < 0:
        if len(buffer) > _LONGEST_HEAD:
            raise HttpError(431)
        return None
    head = bytes(buffer[: end + 4])
    line, *fields = head[:end].decode("latin-1").split("\r\n")
    words = line.split(" ")
    if len(words) != 3 or not words[2].startswith("HTTP/1."):
        raise HttpError(400)
    headers = {}
    for text in fields:
        name, colon, value = text.partition(":")
        if not colon:
            raise HttpError(400)
        headers[name.strip().lower()] = value.strip()
    length = _body_length(headers)
    if len(buffer) < len(head) + length:
        return None
    body = bytes(buffer[len(head) : len(head) + length])
    del buffer[: len(head) + length]
    return HttpRequest(words[0], words[1], headers, body, head)


def _body_length(headers: Mapping[str, str]) -> int:
    if "transfer-encoding" in headers:
        raise HttpError(501)
    text = headers.get("content-length", "0")
    if not (text.isascii() and text.isdigit()):
        raise HttpError(400)
    if int(text) > _LONGEST_BODY:
        raise HttpError(413)
    return int(text)
