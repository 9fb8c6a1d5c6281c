"""The manager that all clients of a process share unless they are told otherwise."""

from __future__ import annotations

from upbit_ws.client.global_websocket_manager import GlobalWebSocketManager
from upbit_ws.config import WebSocketConfig
from upbit_ws.exceptions import InvalidArgumentError
from upbit_ws.runtime.threads import call_after_fork
from upbit_ws.shared.locks import make_lock

__all__ = ["checked_manager", "get_global_websocket_manager"]

#: Guards the making of the one that is shared.
_global_lock = make_lock("global-manager", 1)
_global: GlobalWebSocketManager | None = None


def _begin_anew_after_fork() -> None:
    """In a forked child: another thread of the parent may have held the lock, and nobody here would ever release it."""
    global _global, _global_lock
    _global, _global_lock = None, make_lock("global-manager", 1)


call_after_fork(_begin_anew_after_fork)


def checked_manager(manager: object) -> GlobalWebSocketManager:
    """What a client was given as its manager.

    Raises:
        InvalidArgumentError: it is none.
    """
    if not isinstance(manager, GlobalWebSocketManager):
        problem = f"must be a GlobalWebSocketManager or None, got {manager!r}"
        raise InvalidArgumentError("manager", problem, "manager=get_global_websocket_manager()")
    return manager


def get_global_websocket_manager(config: WebSocketConfig | None = None) -> GlobalWebSocketManager:
    """The manager of this process, made at the first call.

    Args:
        config: Its configuration, if this is the call that makes it. A later, different one is refused.

    Raises:
        InvalidArgumentError: it exists already with another configuration.
    """
    global _global
    with _global_lock:
        manager = _global
        if manager is None or manager.is_over:
            manager = _global = GlobalWebSocketManager(config)
            return manager
    if config is not None and config != manager.config:
        raise InvalidArgumentError(
            "config", "differs from the one that this process's manager was made with",
            "manager=GlobalWebSocketManager(config) for a second connection of its own",
        )  # fmt: skip
    return manager
