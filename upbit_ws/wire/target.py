"""Where to dial and how: checked when made, so that a mistake shows in the caller's thread and not in ours."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from urllib.parse import urlsplit

from attrs import field

from upbit_ws.checks import masked_url
from upbit_ws.exceptions import InvalidArgumentError
from upbit_ws.records import frozen
from upbit_ws.wire.proxy import Proxy, choose_proxy
from upbit_ws.wire.tls import check_context, is_loopback
from upbit_ws.wire.transport import TransportSettings

__all__ = ["DialTarget"]

_PORTS = {"ws": 80, "wss": 443}
_USER_AGENT = "upbit-ws"


def _hidden(value: object) -> str:
    return "***" if value else repr(value)


@frozen(kw_only=True)
class DialTarget:
    """An endpoint and how to reach it.

    Attributes:
        authorization: Called once for each dial, when TLS stands, for the value of `Authorization`: a token of Upbit is
            good for one use, and none is kept here.
        headers: Further headers of the upgrade request, in this order.
        ssl_context: None uses the system's trusted authorities with TLS 1.2 or newer.
        offers_deflate: Offer permessage-deflate.

    Raises:
        InvalidArgumentError: the context does not verify, or credentials would travel in clear.
    """

    host: str
    port: int
    path: str
    is_secure: bool
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=_hidden)
    authorization: Callable[[], str] | None = field(default=None, repr=_hidden)
    ssl_context: ssl.SSLContext | None = field(default=None, repr=False)
    proxy: Proxy | None = None
    offers_deflate: bool = False
    user_agent: str | None = _USER_AGENT
    settings: TransportSettings = field(factory=TransportSettings)

    def __attrs_post_init__(self) -> None:
        if self.ssl_context is not None and self.is_secure:
            check_context(self.ssl_context, self.host)
        has_credentials = self.authorization is not None or any(
            name.lower() == "authorization" for name, _ in self.headers
        )
        if has_credentials and not self.is_secure and not (is_loopback(self.host) and self.proxy is None):
            problem = f"would send keys to {self.host} in clear"
            raise InvalidArgumentError("base_url", problem, f"'https://{self.host}'")

    @classmethod
    def from_url(
        cls,
        url: str,
        *,
        authorization: Callable[[], str] | None = None,
        ssl_context: ssl.SSLContext | None = None,
        proxy_url: str | None = None,
        trust_env: bool = False,
        offers_deflate: bool = False,
        settings: TransportSettings | None = None,
    ) -> DialTarget:
        """The target of a `ws://` or `wss://` URL.

        Raises:
            InvalidArgumentError: not such a URL, or one with user, password or fragment.
        """
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            parts, port = urlsplit(""), None
        if parts.scheme not in _PORTS or not parts.hostname or parts.username is not None or parts.fragment:
            problem = f"must be a ws:// or wss:// URL without user and fragment, got {masked_url(url)!r}"
            raise InvalidArgumentError("url", problem, "'wss://api.upbit.com/websocket/v1'")
        is_secure = parts.scheme == "wss"
        port = port or _PORTS[parts.scheme]
        return cls(
            host=parts.hostname,
            port=port,
            path=(parts.path or "/") + (f"?{parts.query}" if parts.query else ""),
            is_secure=is_secure,
            authorization=authorization,
            ssl_context=ssl_context,
            proxy=choose_proxy(proxy_url, trust_env=trust_env, host=parts.hostname, port=port, is_secure=is_secure),
            offers_deflate=offers_deflate,
            settings=settings or TransportSettings(),
        )
