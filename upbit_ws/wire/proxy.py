"""Which HTTP proxy, if any, stands between us and the exchange.

None unless the user says so: a trading key does not silently go through a proxy that some variable of the environment
names. `trust_env` asks for those variables.
"""

from __future__ import annotations

import base64
from urllib.parse import unquote, urlsplit

from attrs import field

from upbit_ws.checks import masked_url
from upbit_ws.exceptions import InvalidArgumentError
from upbit_ws.records import frozen

__all__ = ["Proxy", "choose_proxy", "parse_proxy"]

_DEFAULT_PORT = 80


@frozen
class Proxy:
    """An HTTP proxy that opens tunnels with CONNECT. `authorization` is its own user and password, never ours."""

    host: str
    port: int
    authorization: str | None = field(default=None, repr=lambda value: "None" if value is None else "'***'")


def parse_proxy(url: str) -> Proxy:
    """The proxy of `http://[user:password@]host[:port]`; environments also write `host:port` alone.

    Raises:
        InvalidArgumentError: another scheme, or no host.
    """
    try:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        port = parts.port or _DEFAULT_PORT
    except ValueError:
        parts, port = urlsplit(""), 0
    if parts.scheme != "http" or not parts.hostname:
        problem = f"must be an http:// URL of a proxy, got {masked_url(url)!r}"
        raise InvalidArgumentError("proxy_url", problem, "'http://proxy.example:3128'")
    authorization = None
    if parts.username is not None:
        user = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        authorization = "Basic " + base64.b64encode(user.encode()).decode("ascii")
    return Proxy(parts.hostname, port, authorization)


def choose_proxy(proxy_url: str | None, *, trust_env: bool, host: str, port: int, is_secure: bool) -> Proxy | None:
    """The proxy to use for `host`: the given one, else the environment's where that is trusted, else none.

    Of the environment, `HTTPS_PROXY` counts for `wss`, `HTTP_PROXY` for `ws`, then `ALL_PROXY`, and `NO_PROXY` exempts.
    """
    if proxy_url is not None:
        return parse_proxy(proxy_url)
    if not trust_env:
        return None
    # Costs tens of milliseconds to import, and few ask for it.
    from urllib.request import getproxies_environment, proxy_bypass_environment  # type: ignore[attr-defined]

    proxies = getproxies_environment()
    if proxy_bypass_environment(f"{host}:{port}", proxies):
        return None
    found = proxies.get("https" if is_secure else "http") or proxies.get("all")
    return parse_proxy(found) if found else None
