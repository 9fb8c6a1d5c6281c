"""The inner loops in C, where they were built.

Everything works without them, only slower (`protocol/speedups/module.c` says what they do). With
``UPBIT_WS_NO_EXTENSIONS=1`` in the environment they are left aside, to find out whether they are at fault.
"""

from __future__ import annotations

import os
from typing import Any, Final

__all__ = ["speedups"]

_VERSION: Final = 5


def _load() -> Any:
    if os.environ.get("UPBIT_WS_NO_EXTENSIONS", "") not in ("", "0"):
        return None
    try:
        import _upbit_ws_speedups
    except ImportError:
        return None
    # Sources may run beside an older installation.
    return _upbit_ws_speedups if getattr(_upbit_ws_speedups, "VERSION", None) == _VERSION else None


#: The extension module, or None.
speedups: Final[Any] = _load()
