"""How REST calls travel: the session of `requests` that is used, and reading a reply within bounds."""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from attrs import field

from upbit_ws.checks import masked_url
from upbit_ws.exceptions import RestError
from upbit_ws.records import frozen
from upbit_ws.wire.tls import default_context

if TYPE_CHECKING:
    import requests

__all__ = ["RestSettings", "new_session", "read_body"]

#: Small enough that even a compressed bomb (1,028 to 1) exceeds `max_body` by a few megabytes only.
_READ = 4096
_USER_AGENT = "upbit-ws"


@frozen(kw_only=True)
class RestSettings:
    """How calls travel.

    Attributes:
        connect_timeout: Seconds for TCP and TLS.
        read_timeout: Seconds without a byte.
        total_timeout: Seconds from the request to the last byte of the reply.
        max_body: Bytes of a reply, decompressed. All order books of Upbit are 2.3 MB (measured on the wire).
        ssl_context: None uses the system's trusted authorities, as the WebSocket connections do.
        proxy_url, trust_env: As in `ConnectionConfig`.
    """

    connect_timeout: float = 3.0
    read_timeout: float = 5.0
    total_timeout: float = 15.0
    max_body: int = 16 << 20
    ssl_context: ssl.SSLContext | None = field(default=None, repr=False)
    proxy_url: str | None = field(default=None, repr=lambda value: repr(masked_url(value)))
    trust_env: bool = False


def new_session(settings: RestSettings) -> requests.Session:
    """A session that keeps no cookies and trusts whom the WebSocket connections trust."""
    # Costs a tenth of a second to import, and a session of public data may never call.
    from http.cookiejar import DefaultCookiePolicy

    import requests
    from requests.adapters import HTTPAdapter

    class Adapter(HTTPAdapter):
        """Verifies with our context. `requests` would add its own bundle of authorities to it."""

        def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
            super().init_poolmanager(*args, **kwargs, ssl_context=settings.ssl_context or default_context())

        def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
            return super().proxy_manager_for(proxy, **kwargs, ssl_context=settings.ssl_context or default_context())

        def cert_verify(self, conn: Any, url: Any, verify: Any, cert: Any) -> None:
            """Nothing is left to load: the context has its authorities."""

    session = requests.Session()
    session.mount("https://", Adapter())
    session.trust_env = settings.trust_env
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    session.headers["User-Agent"] = _USER_AGENT
    if settings.proxy_url is not None:
        session.proxies = {"http": settings.proxy_url, "https": settings.proxy_url}
    return session


def read_body(
    response: requests.Response, settings: RestSettings, started: float, clock: Callable[[], float] = time.monotonic
) -> bytes:
    """The whole body, decompressed.

    Raises:
        RestError: it is larger than `max_body`, or not all of it came within `total_timeout` of `started`.
    """
    # `read1` gives what is there; `read` insists on the full size and so lets a slow sender outlive the deadline.
    read = getattr(response.raw, "read1", response.raw.read)
    parts: list[bytes] = []
    size = 0
    while data := read(_READ, decode_content=True):
        parts.append(data)
        size += len(data)
        if size > settings.max_body:
            raise RestError(response.status_code, "", f"the reply is larger than {settings.max_body} bytes")
        if clock() - started > settings.total_timeout:
            raise RestError(0, "", f"the reply took longer than {settings.total_timeout:g} s")
    return b"".join(parts)
