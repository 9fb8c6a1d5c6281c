"""Requests before the upgrade: REST calls are answered, WebSocket handshakes are granted or refused."""

from __future__ import annotations

import logging

from websockets.extensions.permessage_deflate import ServerPerMessageDeflateFactory
from websockets.frames import Opcode
from websockets.http11 import Request
from websockets.server import ServerProtocol

from upbit_ws.sandbox.auth import AuthError, Holder
from upbit_ws.sandbox.config import SandboxConfig
from upbit_ws.sandbox.connection import Connection, Stage, WebSocketState
from upbit_ws.sandbox.exchange import Exchange
from upbit_ws.sandbox.http import HttpError, HttpReply, HttpRequest, cut_request
from upbit_ws.sandbox.hub import Reader
from upbit_ws.sandbox.limits import Gate, Limit, Verdict
from upbit_ws.sandbox.log import ConnectionLog, Handshake, RestCall, ServerLog
from upbit_ws.sandbox.order_api import OrderApi, auth_refusal
from upbit_ws.sandbox.rest import RestApi, RestLimits, refusal
from upbit_ws.types import Endpoint

__all__ = ["HttpService"]

_ENDPOINTS = {endpoint.path: endpoint for endpoint in Endpoint}
_LARGEST_MESSAGE = 1 << 20
_ORIGIN_LIMIT = Limit(1, 10.0)
# The server's own lines are of no interest to who runs an exchange inside a program.
_LOGGER = logging.getLogger("upbit_ws.sandbox")


class HttpService:
    """
    Args:
        config: see `SandboxConfig`.
        exchange: what REST tells about.
        log: where requests are written down.
    """

    def __init__(self, config: SandboxConfig, exchange: Exchange, log: ServerLog) -> None:
        self._config = config
        self._exchange = exchange
        self._log = log
        origin = self._gate(_ORIGIN_LIMIT) if config.origin_limit else None
        self._origin = origin
        self._connects = None if config.connect_limit is None else self._gate(Limit(config.connect_limit))
        self._rest = RestApi(
            exchange.market, self._limits(config.rest_limit, origin), retry_after=config.retry_after_header
        )
        limits = {"default": self._limits(config.default_limit), "order": self._limits(config.order_limit)}
        self._orders = OrderApi(exchange.desk, exchange.keys, limits, retry_after=config.retry_after_header)

    def _limits(self, per_second: int | None, origin: Gate | None = None) -> RestLimits:
        return RestLimits(per_second, origin, patience=self._config.limit_patience, block=self._config.block_seconds)

    def _gate(self, limit: Limit) -> Gate:
        return Gate((limit,), patience=self._config.limit_patience, block=self._config.block_seconds)

    def receive(self, connection: Connection, now: float) -> bytes | None:
        """
        Serve the requests that have come in completely.

        Returns the bytes that followed an upgrade, which belong to the WebSocket already; None while there was none.
        """
        while True:
            try:
                request = cut_request(connection.incoming)
            except HttpError as error:
                connection.outgoing += HttpReply(error.status, b"").serialize()
                connection.ends_when_flushed = True
                return None
            if request is None:
                return None
            if request.is_upgrade and request.path in _ENDPOINTS:
                self._upgrade(connection, request, now)
                if connection.stage is not Stage.WEBSOCKET:
                    return None
                rest, connection.incoming = bytes(connection.incoming), bytearray()
                return rest
            self._answer(connection, request, now)
            if connection.ends_when_flushed:
                return None

    def _answer(self, connection: Connection, request: HttpRequest, now: float) -> None:
        api = self._orders if self._orders.knows(request) else self._rest
        with self._exchange.lock:
            reply = api.answer(request, connection.address, now)
        self._log.rest_calls.append(RestCall(now, request.method, request.target, reply.status))
        connection.outgoing += reply.serialize(request)
        connection.ends_when_flushed = request.wants_close

    # Upgrading

    def _upgrade(self, connection: Connection, request: HttpRequest, now: float) -> None:
        holder = self._holder(connection, request)
        caller = connection.address if isinstance(holder, AuthError) else f"account {holder.account}"
        verdict, blocked_for, told = self._admit(request, caller, now)
        status = verdict.value
        if verdict is not Verdict.PASS:
            reply = refusal(verdict, blocked_for, retry_after=self._config.retry_after_header)
        elif isinstance(holder, AuthError) and self._is_refused(request):
            reply, status = auth_refusal(holder), holder.status
        else:
            status = self._shake_hands(connection, request, told, now)
            if connection.web is not None and not isinstance(holder, AuthError):
                connection.web.account, connection.web.scopes = holder.account, holder.scopes
            reply = None
        if reply is not None:
            connection.outgoing += reply.serialize()
            connection.ends_when_flushed = True
        self._log.handshakes.append(Handshake(now, request.path, status, request.headers, request.raw))

    def _holder(self, connection: Connection, request: HttpRequest) -> Holder | AuthError:
        """Whom the token of an upgrade request speaks for, or what is wrong with it. A socket has no query to hash."""
        try:
            with self._exchange.lock:
                return self._exchange.keys.verify(request.headers.get("authorization"), connection.address)
        except AuthError as error:
            return error

    def _is_refused(self, request: HttpRequest) -> bool:
        """Whether a bad token is refused here already."""
        return _ENDPOINTS[request.path].needs_auth and self._config.auth_failure == "http"

    def _admit(self, request: HttpRequest, caller: str, now: float) -> tuple[Verdict, float, dict[str, str]]:
        """Whether this caller (an address; with a key its account) may connect now, and what the reply tells."""
        gate, group = self._connects, "websocket"
        if self._origin is not None and "origin" in request.headers:
            gate, group = self._origin, "origin"
        verdict, blocked_for, left = Verdict.PASS, 0.0, 4
        if gate is not None:
            verdict = gate.ask(caller, now)
            blocked_for, left = gate.blocked_for(caller, now), gate.left(caller, now)
        told = {"remaining-req": f"group={group}; min=300; sec={left}", "limit-by-ip": "Yes"}
        return verdict, blocked_for, told if self._config.upgrade_headers else {}

    def _shake_hands(self, connection: Connection, request: HttpRequest, told: dict[str, str], now: float) -> int:
        """Let the protocol check the handshake and answer it; the status of the answer."""
        extensions = [ServerPerMessageDeflateFactory(compress_settings={"memLevel": 5, "level": 1})]
        protocol = ServerProtocol(
            extensions=extensions if self._config.compression else None, max_size=_LARGEST_MESSAGE, logger=_LOGGER
        )
        protocol.receive_data(request.raw)
        upgrade = next(iter(protocol.events_received()), None)
        if not isinstance(upgrade, Request):
            connection.ends_when_flushed = True
            return 400
        response = protocol.accept(upgrade)
        for name, value in told.items():
            response.headers[name] = value
        protocol.send_response(response)
        for piece in protocol.data_to_send():
            connection.outgoing += piece
        if response.status_code != 101:
            connection.ends_when_flushed = True
            return response.status_code
        opcode = Opcode.TEXT if self._config.text_frames else Opcode.BINARY
        log = ConnectionLog(request.path, now)
        reader = Reader(int(opcode), self._config.backlog, log.sent)
        connection.web = WebSocketState(protocol, _ENDPOINTS[request.path], reader, log)
        connection.stage = Stage.WEBSOCKET
        self._log.connections.append(log)
        return 101
