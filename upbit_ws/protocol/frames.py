"""RFC 6455 from bytes to messages: what a client may receive, and what it must refuse.

`FrameReader` takes the bytes of one read, however they were cut, and gives back the complete data messages. The common
frame of the exchange (final, unfragmented, 126 to 65,535 bytes, RFC 6455 section 5.2) is split by a short loop;
everything else goes through `_read_frame`, which knows the whole of RFC 6455 and, when agreed, RFC 7692. Both give the
same result for the same bytes. The short loop is `_split_common`, or the same in C (`speedups/frames.h`).

Rules:

1. Nothing is buffered that a limit forbids: a length is judged when its header is read.
2. Messages that came before a violation are returned; the violation then stands in `error`, and nothing is read after.
3. After a Close frame nothing is read (RFC 6455, 5.5.1).
4. What must be answered (pings) is handed over, never answered here: this module touches no socket.
"""

from __future__ import annotations

import codecs
from struct import Struct
from typing import TYPE_CHECKING, Final

from upbit_ws._extension import speedups
from upbit_ws.exceptions import WebSocketProtocolError
from upbit_ws.protocol.deflate import DeflateParameters, InflateError, InflateLimitError, Inflater
from upbit_ws.records import frozen

__all__ = ["CloseCode", "CloseFrame", "FrameLimits", "FrameReader", "Opcode"]


class Opcode:
    """Opcodes of RFC 6455, section 5.2."""

    CONTINUATION: Final = 0x0
    TEXT: Final = 0x1
    BINARY: Final = 0x2
    CLOSE: Final = 0x8
    PING: Final = 0x9
    PONG: Final = 0xA


class CloseCode:
    """Close codes of RFC 6455, section 7.4.1, and the IANA registry, as far as this SDK sends or explains them."""

    NORMAL: Final = 1000
    GOING_AWAY: Final = 1001
    PROTOCOL_ERROR: Final = 1002
    UNSUPPORTED_DATA: Final = 1003
    NO_STATUS: Final = 1005
    ABNORMAL: Final = 1006
    INVALID_PAYLOAD: Final = 1007
    POLICY_VIOLATION: Final = 1008
    MESSAGE_TOO_BIG: Final = 1009
    MANDATORY_EXTENSION: Final = 1010
    INTERNAL_ERROR: Final = 1011
    SERVICE_RESTART: Final = 1012
    TRY_AGAIN_LATER: Final = 1013
    BAD_GATEWAY: Final = 1014


#: Codes that may stand in a Close frame: 1004, 1005, 1006 and 1015 are reserved for local use.
_SENDABLE_CODES: Final = frozenset(range(1000, 1015)) - {1004, 1005, 1006}

_HEAD: Final = Struct(">HH").unpack_from
_BINARY_126: Final = 0x827E
_MEDIUM: Final = 126
_LARGE: Final = 127
_MAX_CONTROL_PAYLOAD: Final = 125


@frozen
class CloseFrame:
    """A Close frame as received. `code` is 1005 where the frame had no body (RFC 6455, 7.1.5)."""

    code: int
    reason: str


@frozen
class FrameLimits:
    """What a peer may make us hold, in bytes (and in frames for `max_fragments`)."""

    max_frame_size: int = 1 << 20
    max_message_size: int = 4 << 20
    max_fragments: int = 1024


class _Violation(Exception):
    """Carries the close code from the place of the fault to `feed`."""

    def __init__(self, message: str, close_code: int = CloseCode.PROTOCOL_ERROR) -> None:
        super().__init__(message)
        self.close_code = close_code


class FrameReader:
    """Splits a server's byte stream into messages. One per connection, used by one thread.

    After each `feed`, the caller looks at `pings`, `pongs` (and clears them), `close`, `error` and `text_indexes`.
    """

    def __init__(self, limits: FrameLimits | None = None, deflate: DeflateParameters | None = None) -> None:
        self._limits = limits or FrameLimits()
        self._inflater = Inflater(deflate) if deflate is not None else None
        self._largest_frame = min(self._limits.max_frame_size, self._limits.max_message_size)
        self._splits_fast = self._largest_frame > 0xFFFF
        #: Bytes of an unfinished frame, as they arrived, and how many are needed before looking again makes sense.
        self._pending: list[bytes] = []
        self._pending_size = 0
        self._needed = 0
        #: The unfinished fragmented message: its opcode (None: there is none), its parts and their size.
        self._opcode: int | None = None
        self._is_compressed = False
        self._parts: list[bytes] = []
        self._parts_size = 0
        self._utf8: codecs.IncrementalDecoder | None = None
        #: Payloads of pings to be answered, and of pongs received, oldest first.
        self.pings: list[bytes] = []
        self.pongs: list[bytes] = []
        #: The Close frame, once received.
        self.close: CloseFrame | None = None
        #: The violation that ended reading, with the code to close with.
        self.error: WebSocketProtocolError | None = None
        #: Positions, in the list last returned, of messages that came as text.
        self.text_indexes: list[int] = []

    @property
    def is_inside_frame(self) -> bool:
        """Whether the stream stopped inside a frame or a fragmented message: an end here is a truncation."""
        return self._pending_size > 0 or self._opcode is not None

    @property
    def is_between_frames(self) -> bool:
        """Whether the next byte begins a frame that may be split off by the short loop."""
        return (
            self._splits_fast
            and not self._pending
            and self._opcode is None
            and self.close is None
            and self.error is None
        )

    def feed(self, data: bytes) -> list[bytes]:
        """Take the next bytes of the stream; return the messages they complete, in order."""
        messages: list[bytes] = []
        if self.text_indexes:
            self.text_indexes = []
        if self.close is not None or self.error is not None:
            return messages
        if self._pending:
            self._pending.append(data)
            self._pending_size += len(data)
            if self._pending_size < self._needed:
                return messages
            data = b"".join(self._pending)
            self._pending.clear()
            self._pending_size = 0
        position = 0
        if self._splits_fast and self._opcode is None:
            position = _split(data, 0, messages)
            if position == len(data):
                self._needed = 2
                return messages
        try:
            position = self._read_rest(data, position, messages)
        except _Violation as violation:
            self.error = WebSocketProtocolError(str(violation), close_code=violation.close_code)
            return messages
        if position < len(data) and self.close is None:
            rest = data[position:]
            self._pending.append(rest)
            self._pending_size = len(rest)
        return messages

    def _read_rest(self, data: bytes, position: int, messages: list[bytes]) -> int:
        """Read all whole frames from one on that is not common; return where the first unfinished one begins."""
        while True:
            following = self._read_frame(data, position, messages)
            if following == position or self.close is not None:
                return following
            position = following
            if self._splits_fast and self._opcode is None:
                position = _split(data, position, messages)

    def _read_frame(self, data: bytes, position: int, messages: list[bytes]) -> int:
        """Read the one frame at `position` by all the rules; return where the next begins, or `position` if it is
        cut.
        """
        available = len(data) - position
        if available < 2:
            self._needed = 2
            return position
        first = data[position]
        second = data[position + 1]
        opcode = first & 0x0F
        self._check_head(first, second, opcode)
        length = second & 0x7F
        start = position + 2
        if length in (_MEDIUM, _LARGE):
            extended = 2 if length == _MEDIUM else 8
            start += extended
            if available < start - position:
                self._needed = start - position
                return position
            smallest = _MEDIUM if length == _MEDIUM else 0x10000
            length = int.from_bytes(data[start - extended : start], "big")
            if length >= 1 << 63:
                raise _Violation("a frame's length has its most significant bit set")
            if length < smallest:
                raise _Violation("a frame's length is not in its shortest form")
        self._check_length(length, opcode)
        stop = start + length
        if stop > len(data):
            self._needed = stop - position
            return position
        payload = data[start:stop]
        if opcode >= Opcode.CLOSE:
            self._take_control(opcode, payload)
        else:
            self._take_data(opcode, payload, bool(first & 0x80), bool(first & 0x40), messages)
        return stop

    def _check_head(self, first: int, second: int, opcode: int) -> None:
        if first & 0x30:
            raise _Violation("a reserved bit (RSV2 or RSV3) is set")
        if second & 0x80:
            raise _Violation("a server's frame is masked")
        if opcode >= Opcode.CLOSE:
            if opcode > Opcode.PONG:
                raise _Violation(f"reserved opcode {opcode:#x}")
            if not first & 0x80:
                raise _Violation("a control frame is fragmented")
            if first & 0x40:
                raise _Violation("a control frame has RSV1 set")
            if second > _MAX_CONTROL_PAYLOAD:
                raise _Violation("a control frame is longer than 125 bytes")
            return
        if opcode > Opcode.BINARY:
            raise _Violation(f"reserved opcode {opcode:#x}")
        if first & 0x40 and (self._inflater is None or opcode == Opcode.CONTINUATION):
            raise _Violation("RSV1 is set where no compressed message may begin")
        if (opcode == Opcode.CONTINUATION) == (self._opcode is None):
            raise _Violation(
                "a continuation frame without a beginning"
                if self._opcode is None
                else "a new message began inside a fragmented one"
            )

    def _check_length(self, length: int, opcode: int) -> None:
        if length > self._limits.max_frame_size:
            raise _Violation(
                f"a frame of {length} bytes is larger than {self._limits.max_frame_size}", CloseCode.MESSAGE_TOO_BIG
            )
        if opcode < Opcode.CLOSE and self._parts_size + length > self._limits.max_message_size:
            raise _Violation(
                f"a message is larger than {self._limits.max_message_size} bytes", CloseCode.MESSAGE_TOO_BIG
            )

    def _take_control(self, opcode: int, payload: bytes) -> None:
        if opcode == Opcode.PING:
            self.pings.append(payload)
        elif opcode == Opcode.PONG:
            self.pongs.append(payload)
        else:
            self.close = _parse_close(payload)

    def _take_data(self, opcode: int, payload: bytes, final: bool, compressed: bool, messages: list[bytes]) -> None:
        if opcode != Opcode.CONTINUATION:
            if final:
                self._finish(opcode, payload, compressed, messages)
                return
            self._opcode = opcode
            self._is_compressed = compressed
            if opcode == Opcode.TEXT and not compressed:
                self._utf8 = codecs.getincrementaldecoder("utf-8")()
        self._parts.append(payload)
        self._parts_size += len(payload)
        if len(self._parts) > self._limits.max_fragments:
            raise _Violation(
                f"a message of more than {self._limits.max_fragments} fragments", CloseCode.MESSAGE_TOO_BIG
            )
        if self._utf8 is not None:
            # Fail at the fragment that is wrong, not at the end of a message that may never come.
            _decode(self._utf8, payload, final)
        if final:
            message = b"".join(self._parts)
            opcode, compressed = self._opcode or Opcode.BINARY, self._is_compressed
            was_checked = self._utf8 is not None
            self._opcode, self._utf8, self._parts_size = None, None, 0
            self._parts = []
            self._finish(opcode, message, compressed, messages, was_checked=was_checked)

    def _finish(
        self, opcode: int, message: bytes, compressed: bool, messages: list[bytes], *, was_checked: bool = False
    ) -> None:
        if compressed and self._inflater is not None:
            try:
                message = self._inflater.inflate(message, self._limits.max_message_size)
            except InflateError as error:
                raise _Violation(f"a compressed message does not inflate: {error}", CloseCode.INVALID_PAYLOAD) from None
            except InflateLimitError as error:
                raise _Violation(str(error), CloseCode.MESSAGE_TOO_BIG) from None
        if opcode == Opcode.TEXT:
            if not was_checked and not message.isascii():
                _decode(codecs.getincrementaldecoder("utf-8")(), message, True)
            self.text_indexes.append(len(messages))
        messages.append(message)


def _split_common(data: bytes, position: int, messages: list[bytes]) -> int:
    """Append the payloads of the common frames that stand whole from `position` on; stop in front of anything else."""
    last_head = len(data) - 4
    append = messages.append
    head_at = _HEAD
    while position <= last_head:
        head, length = head_at(data, position)
        if head != _BINARY_126 or length < _MEDIUM:
            break
        stop = position + 4 + length
        if stop > len(data):
            break
        append(data[position + 4 : stop])
        position = stop
    return position


if TYPE_CHECKING:
    _split = _split_common
else:
    _split = _split_common if speedups is None else speedups.split


def _decode(decoder: codecs.IncrementalDecoder, payload: bytes, final: bool) -> None:
    try:
        decoder.decode(payload, final)
    except UnicodeDecodeError as error:
        raise _Violation(f"text is not UTF-8: {error.reason}", CloseCode.INVALID_PAYLOAD) from None


def _parse_close(payload: bytes) -> CloseFrame:
    if not payload:
        return CloseFrame(CloseCode.NO_STATUS, "")
    if len(payload) == 1:
        raise _Violation("a Close frame with a body of one byte")
    code = int.from_bytes(payload[:2], "big")
    if code not in _SENDABLE_CODES and not 3000 <= code <= 4999:
        raise _Violation(f"a Close frame with the code {code}, which may not be sent")
    try:
        return CloseFrame(code, payload[2:].decode("utf-8"))
    except UnicodeDecodeError:
        raise _Violation("a Close frame's reason is not UTF-8", CloseCode.INVALID_PAYLOAD) from None
