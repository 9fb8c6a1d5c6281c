"""One limiter for all managers of a process that talk to one exchange; if wanted, for all processes of the user."""

from __future__ import annotations

import os
import re
import weakref
from pathlib import Path
from urllib.parse import urlsplit

from upbit_ws.config import RateLimitConfig
from upbit_ws.shared.locks import make_lock
from upbit_ws.shared.upbit_rate_limiter import UpbitRateLimiter, limits_for

__all__ = ["limiter_for", "shared_state_path"]

_APPLICATION = "upbit-ws"

#: Guards the registry.
_lock = make_lock("limiter-registry", 2)
_limiters: weakref.WeakValueDictionary[tuple[str, RateLimitConfig], UpbitRateLimiter] = weakref.WeakValueDictionary()


def limiter_for(config: RateLimitConfig, base_url: str) -> UpbitRateLimiter:
    """The limiter of everybody in this process who talks to this exchange with these limits."""
    host = urlsplit(base_url).netloc.lower()
    with _lock:
        limiter = _limiters.get((host, config))
        if limiter is None:
            limiter = _limiters[host, config] = _make(config, host)
    return limiter


def _make(config: RateLimitConfig, host: str) -> UpbitRateLimiter:
    if not config.shared_across_processes:
        return UpbitRateLimiter(config)
    from upbit_ws.shared.file_rate_backend import FileBackend

    return UpbitRateLimiter(config, backend=FileBackend(shared_state_path(host), limits_for(config)))


def shared_state_path(host: str) -> Path:
    """The file that processes share for one exchange, in the user's cache folder."""
    from platformdirs import user_cache_path  # only for those who share

    return user_cache_path(_APPLICATION, appauthor=False) / f"rate-{re.sub(r'[^a-z0-9.-]', '_', host)}.json"


def _forget_after_fork() -> None:
    """The parent may have held any of these locks at the fork; a child begins with limiters of its own."""
    global _lock, _limiters
    _lock = make_lock("limiter-registry", 2)
    _limiters = weakref.WeakValueDictionary()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_after_fork)
