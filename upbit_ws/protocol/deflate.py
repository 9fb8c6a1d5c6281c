"""permessage-deflate (RFC 7692): what is offered, what was agreed, and the two streams that follow from it.

Pure: bytes in, bytes out. An `Inflater` never produces more than the caller allows, so a decompression bomb costs what
the limit costs and no more.
"""

from __future__ import annotations

import re
import zlib

from upbit_ws.exceptions import HandshakeError
from upbit_ws.records import frozen

__all__ = [
    "DeflateParameters",
    "Deflater",
    "InflateError",
    "InflateLimitError",
    "Inflater",
    "negotiate",
    "offer_header",
]

_EXTENSION = "permessage-deflate"
_TAIL = b"\x00\x00\xff\xff"
_WINDOW = 32768
#: zlib's usual 8 takes 128 KiB a connection beside the window, and with a window of 512 bytes five times as long: its
#: hash table is gone through whenever the window moves on. At the fastest level 5 compresses as well, in 16 KiB.
_MEMORY_LEVEL = 5
#: zlib refuses to write a raw stream with a window of 256 bytes; such a stream cannot be produced, only read.
_SMALLEST_WRITABLE_WINDOW = 9
_WINDOW_BITS = re.compile(r"(?:8|9|1[0-5])\Z")


class InflateError(ValueError):
    """The compressed bytes are not a DEFLATE stream. The inflater is unusable afterwards."""


class InflateLimitError(ValueError):
    """The message inflates to more bytes than the caller allows."""


@frozen
class DeflateParameters:
    """What both ends agreed on. Defaults are those of RFC 7692 where a parameter is absent."""

    server_no_context_takeover: bool = False
    client_no_context_takeover: bool = False
    server_max_window_bits: int = 15
    client_max_window_bits: int = 15


def offer_header() -> str:
    """The value of `Sec-WebSocket-Extensions` that offers compression and accepts every answer the RFC allows.

    Two offers, the preferred one first: some servers demand `client_no_context_takeover` only where it was offered, and
    to offer it at once would be to promise it (RFC 7692, 7.1.1.2).
    """
    preferred = f"{_EXTENSION}; client_max_window_bits"
    return f"{preferred}, {preferred}; client_no_context_takeover"


def negotiate(header: str | None) -> DeflateParameters | None:
    """The parameters that the server's `Sec-WebSocket-Extensions` agrees to; None where it declined.

    Raises:
        HandshakeError: it names another extension, an unknown, repeated or malformed parameter (RFC 7692, 7.1: the
            client must then fail the connection).
    """
    if header is None or not header.strip():
        return None
    if "," in header:
        raise HandshakeError(f"the server agreed to several extensions at once: {header[:120]!r}")
    name, *parameters = (part.strip() for part in header.split(";"))
    if name.lower() != _EXTENSION:
        raise HandshakeError(f"the server agreed to an extension that was not offered: {name[:60]!r}")
    agreed: dict[str, bool | int] = {}
    for parameter in parameters:
        key, value = _parse_parameter(parameter)
        if key in agreed:
            raise HandshakeError(f"the server repeats the extension parameter {key!r}")
        agreed[key] = value
    return DeflateParameters(**agreed)  # type: ignore[arg-type]


def _parse_parameter(parameter: str) -> tuple[str, bool | int]:
    key, separator, text = parameter.partition("=")
    key = key.strip()
    text = text.strip().strip('"')
    if key in ("server_no_context_takeover", "client_no_context_takeover") and not separator:
        return key, True
    if key in ("server_max_window_bits", "client_max_window_bits") and _WINDOW_BITS.match(text):
        return key, int(text)
    raise HandshakeError(f"the server answered a bad extension parameter: {parameter[:60]!r}")


class Inflater:
    """Reads the server's compressed messages, one call a message."""

    def __init__(self, parameters: DeflateParameters) -> None:
        self._bits = -parameters.server_max_window_bits
        self._takes_over = not parameters.server_no_context_takeover
        self._stream = zlib.decompressobj(self._bits)

    def inflate(self, payload: bytes, limit: int) -> bytes:
        """The message's bytes.

        Raises:
            InflateError: not a DEFLATE stream.
            InflateLimitError: more than `limit` bytes would come out; nothing beyond that was inflated.
        """
        stream = self._stream
        try:
            message = stream.decompress(payload + _TAIL, limit + 1)
        except zlib.error as error:
            raise InflateError(str(error)) from None
        if len(message) > limit:
            raise InflateLimitError(f"the message inflates to more than {limit} bytes")
        if stream.eof:
            # A block marked final ends zlib's stream but not the connection's window (RFC 7692, 7.2.3.4).
            self._stream = zlib.decompressobj(self._bits, zdict=message[-_WINDOW:])
        if not self._takes_over:
            self._stream = zlib.decompressobj(self._bits)
        return message


class Deflater:
    """Writes compressed messages, one call a message."""

    def __init__(self, parameters: DeflateParameters) -> None:
        self._bits = -parameters.client_max_window_bits
        self._takes_over = not parameters.client_no_context_takeover
        self.is_usable = parameters.client_max_window_bits >= _SMALLEST_WRITABLE_WINDOW
        self._stream = self._new_stream() if self.is_usable else None

    def _new_stream(self) -> zlib._Compress:
        # A request now and then is all that is sent: the fastest level costs a third and saves nearly as much.
        return zlib.compressobj(zlib.Z_BEST_SPEED, wbits=self._bits, memLevel=_MEMORY_LEVEL)

    def deflate(self, message: bytes) -> bytes | None:
        """The compressed payload, or None where the agreed window is too small to write: send it uncompressed then."""
        stream = self._stream
        if stream is None:
            return None
        payload = stream.compress(message) + stream.flush(zlib.Z_SYNC_FLUSH)
        if not self._takes_over:
            self._stream = self._new_stream()
        return payload[: -len(_TAIL)]
