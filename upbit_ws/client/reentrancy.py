"""Was this call made in the middle of another call of the SDK, by the same thread?

That happens in signal handlers and in `__del__` methods: they run between any two instructions, also while the thread
they interrupt holds one of the SDK's locks, and a lock that its own thread waits for is never released. Such a call
may set flags and append to deques; the rest is left to the clean-up thread.
"""

from __future__ import annotations

import sys
from types import FrameType
from typing import Final

__all__ = ["interrupts_the_sdk"]

_CORE: Final = ("upbit_ws.client.", "upbit_ws.runtime.", "upbit_ws.shared.", "upbit_ws.protocol.", "upbit_ws.wire.")
#: They call user code, and hold no lock while they do.
_CALLS_OUT: Final = ("upbit_ws.runtime.callback_workers", "upbit_ws.runtime.threads", "upbit_ws.runtime.monitors")


def _is_core(frame: FrameType) -> bool:
    name = frame.f_globals.get("__name__", "")
    return name.startswith(_CORE) and name not in _CALLS_OUT


def interrupts_the_sdk() -> bool:
    """Whether below the caller, and the code that called it, there is a call of the SDK that has not returned."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and _is_core(frame):
        frame = frame.f_back
    while frame is not None and not _is_core(frame):
        frame = frame.f_back
    return frame is not None
