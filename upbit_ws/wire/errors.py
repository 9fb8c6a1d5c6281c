"""The one place where errors of the operating system become errors of the SDK."""

from __future__ import annotations

import errno

from upbit_ws.exceptions import ConnectionLostError

__all__ = ["describe", "lost_by"]

_REASONS = {
    errno.ECONNRESET: "reset",
    errno.ECONNABORTED: "reset",
    errno.EPIPE: "reset",
    errno.ETIMEDOUT: "timed out",
    errno.ENETUNREACH: "unreachable",
    errno.EHOSTUNREACH: "unreachable",
    errno.ENETDOWN: "unreachable",
    errno.ENETRESET: "unreachable",
    errno.EBADF: "closed",
}


def describe(error: OSError) -> str:
    """A few words, without the number that differs between platforms."""
    return error.strerror or str(error) or type(error).__name__


def lost_by(error: OSError, host: str = "") -> ConnectionLostError:
    """What a failed read or write says of the connection. ETIMEDOUT is its death here, never "no data yet"."""
    return ConnectionLostError(_REASONS.get(error.errno or 0) or describe(error), host=host)
