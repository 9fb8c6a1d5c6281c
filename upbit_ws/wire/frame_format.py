"""Frames that a client sends: formatted and masked by `websocket-client`.

The library is imported with the first frame, not with this module: it costs tens of milliseconds and brings proxies,
cookies and an application class that nothing here uses.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

__all__ = ["client_frame", "close_payload"]

#: Codes that describe an end and never stand in a frame (RFC 6455, 7.4.1).
_UNSENDABLE = frozenset({1004, 1005, 1006, 1015})
_MAX_REASON = 123


@functools.cache
def _frame_class() -> Callable[..., Any]:
    from websocket import ABNF

    frame_class: Callable[..., Any] = ABNF
    return frame_class


def client_frame(opcode: int, payload: bytes, *, is_compressed: bool = False) -> bytes:
    """One final, masked frame. `is_compressed` sets RSV1 (RFC 7692, 6)."""
    frame: bytes = _frame_class()(1, int(is_compressed), 0, 0, opcode, 1, payload).format()
    return frame


def close_payload(code: int, reason: str = "") -> bytes:
    """The body of a Close frame; empty where `code` may not be sent. A long reason is cut between characters."""
    if code in _UNSENDABLE:
        return b""
    return code.to_bytes(2, "big") + reason.encode("utf-8", "replace")[:_MAX_REASON].decode("utf-8", "ignore").encode()
