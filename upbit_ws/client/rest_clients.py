"""REST clients as the configuration wants them."""

from __future__ import annotations

from collections.abc import Callable

from upbit_ws.config import WebSocketConfig
from upbit_ws.runtime.rest_budget import RestBudget
from upbit_ws.wire.rest import RestClient, RestSettings

__all__ = ["make_rest_client"]


def make_rest_client(
    config: WebSocketConfig, budget: RestBudget, authorization: Callable[[str], str] | None = None
) -> RestClient:
    """A client for the calls of one thread; with `authorization`, for signed ones as well."""
    connection = config.connection
    return RestClient(
        connection.rest_url,
        limiter=budget,
        authorization=authorization,
        settings=RestSettings(
            read_timeout=config.recovery.request_timeout,
            ssl_context=connection.ssl_context,
            proxy_url=connection.proxy_url,
            trust_env=connection.trust_env,
        ),
    )
