"""
What an upgraded connection gets: data, status, errors, closes. Runs in the server's thread; takes the exchange's
lock.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, Protocol

from websockets.frames import Frame, Opcode
from websockets.protocol import OPEN

from upbit_ws.sandbox.config import SandboxConfig
from upbit_ws.sandbox.connection import Connection, WebSocketState
from upbit_ws.sandbox.exchange import Exchange
from upbit_ws.sandbox.hub import Reader, Ticket
from upbit_ws.sandbox.indicator_rules import Wish, check_combinations, read_wishes
from upbit_ws.sandbox.outgoing import Outgoing, grouped_into_arrays
from upbit_ws.sandbox.private_requests import check_private
from upbit_ws.sandbox.requests import (
    ListSubscriptions,
    RequestError,
    RequestRules,
    Selection,
    SelectionCheck,
    Subscribe,
    parse_request,
)
from upbit_ws.sandbox.spelling import plain
from upbit_ws.types import DataType, Endpoint

__all__ = ["Host", "WebSocketService"]

_UP = b'{"status":"UP"}'
_STALE_SECONDS = 0.2
"""How long messages of a replaced subscription may still be on their way."""
_CLOSE_PATIENCE = 0.5
"""Seconds for the client to answer a close frame, and to close."""


class Host(Protocol):
    """What the service needs of the server that runs it."""

    def later(self, delay: float, call: Callable[[], None]) -> None:
        """Have `call` made in `delay` seconds."""

    def drop(self, connection: Connection, *, reset: bool = False) -> None:
        """Close the socket at once."""

    def flush(self, connection: Connection) -> None:
        """Write what the socket takes."""


class WebSocketService:
    """
    Args:
        config: see `SandboxConfig`.
        exchange: the market, and the lock that everything about readers needs.
        host: the server.
    """

    def __init__(self, config: SandboxConfig, exchange: Exchange, host: Host) -> None:
        self._config = config
        self._exchange = exchange
        self._host = host
        self._rules = RequestRules(regional=config.regional, camel_case_flags=config.camel_case_flags)

    # Opening and ending

    def open(self, connection: Connection) -> None:
        """A connection has been upgraded."""
        web = self._web(connection)
        with self._exchange.lock:
            self._exchange.hub.join(web.reader)
            if web.account is not None and web.endpoint.needs_auth:
                self._exchange.feeds.join(web.reader, web.account)
        if web.account is None and web.endpoint.needs_auth and self._config.auth_failure == "on_connect":
            self.refuse(connection, RequestError.named("INVALID_AUTH", self._rules))
        if self._config.ping_interval is not None:
            self._host.later(self._config.ping_interval, lambda: self._ping(connection))

    def ended(self, connection: Connection, now: float) -> None:
        """A connection is gone."""
        web = self._web(connection)
        web.log.closed_at = now
        received = web.protocol.close_rcvd
        web.log.close_code = received.code if received else None
        with self._exchange.lock:
            self._exchange.hub.leave(web.reader)
            self._exchange.feeds.leave(web.reader)

    def close(self, connection: Connection, code: int, reason: str = "") -> None:
        """Begin the closing handshake, and drop the connection if the client takes long about it."""
        web = self._web(connection)
        if web.protocol.state is OPEN:
            web.refused = True
            web.protocol.send_close(code, reason)
            self._collect(connection)
            self._host.flush(connection)
            self._host.later(_CLOSE_PATIENCE, lambda: self._host.drop(connection))

    def _ping(self, connection: Connection) -> None:
        web = self._web(connection)
        if not connection.is_closed and web.protocol.state is OPEN and self._config.ping_interval is not None:
            web.protocol.send_ping(b"upbit")
            self._collect(connection)
            self._host.flush(connection)
            self._host.later(self._config.ping_interval, lambda: self._ping(connection))

    # Coming in

    def receive(self, connection: Connection, data: bytes, now: float) -> None:
        """Bytes of the client. Pings are answered by the protocol itself."""
        web = self._web(connection)
        web.protocol.receive_data(data)
        for event in web.protocol.events_received():
            if isinstance(event, Frame):
                self._frame(connection, web, event, now)
        self._collect(connection)
        self._host.flush(connection)

    def _frame(self, connection: Connection, web: WebSocketState, frame: Frame, now: float) -> None:
        if frame.opcode not in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT):
            return
        web.fragments += frame.data
        if frame.fin:
            text = web.fragments.decode("utf-8", "replace")
            web.fragments.clear()
            web.log.requests.append(text)
            if not web.refused:
                self._message(connection, web, text, now)

    def _message(self, connection: Connection, web: WebSocketState, text: str, now: float) -> None:
        if text == "PING":
            web.wants_status = True
            if self._config.status_at_once:
                self.send(connection, _UP)
            return
        try:
            if self._config.message_limits and not web.may_ask(now):
                self._too_many(connection)
                return
            request = parse_request(text, web.endpoint, self._rules, self._check(web))
            if isinstance(request, Subscribe):
                check_combinations(request.selections, self._rules)
        except RequestError as error:
            self.refuse(connection, error)
            return
        if isinstance(request, Subscribe):
            self._subscribe(connection, web, request)
        else:
            self._list(connection, web.reader, request)

    @staticmethod
    def _check(web: WebSocketState) -> SelectionCheck | None:
        """Further rules for the types of an endpoint: who may have them, and what they can be asked for."""
        if not web.endpoint.needs_auth:
            return None

        def check(data_type: DataType, part: Mapping[str, Any], rules: RequestRules) -> None:
            if web.account is None:
                raise RequestError.named("INVALID_AUTH", rules)
            check_private(data_type, part, web.scopes, rules)
            if data_type.endpoint is Endpoint.INFO:
                read_wishes(data_type, part, rules)

        return check

    def _too_many(self, connection: Connection) -> None:
        action = self._config.message_limit_action
        if action == "error":
            self.refuse(connection, RequestError.named("TOO_MANY_REQUEST", self._rules))
        elif action == "drop":
            self._host.drop(connection)

    def refuse(self, connection: Connection, error: RequestError) -> None:
        """Send the error frame; the close with code 1000 follows."""
        with self._exchange.lock:
            self._exchange.hub.unsubscribe(self._web(connection).reader)
            self._exchange.feeds.leave(self._web(connection).reader)
        self.send(connection, error.payload())
        self._web(connection).refused = True
        self._host.later(self._config.error_close_delay, lambda: self._close_after_error(connection))

    def _close_after_error(self, connection: Connection) -> None:
        if not connection.is_closed:
            self.close(connection, 1000)

    # Subscribing

    def _subscribe(self, connection: Connection, web: WebSocketState, request: Subscribe) -> None:
        reader = web.reader
        if web.endpoint.needs_auth:
            wishes = self._wishes(request) if web.endpoint is Endpoint.INFO else []
            with self._exchange.lock:
                self._exchange.feeds.subscribe(reader, request, wishes, self._exchange.market.now)
            return
        with self._exchange.lock:
            ticket = self._exchange.hub.subscribe(reader, request)
        # Whoever subscribed before may have messages of that on their way.
        self._host.later(_STALE_SECONDS, lambda: self._end_stale(reader, ticket))
        for number, delay in zip(range(len(ticket.bursts)), self._config.snapshot_delays, strict=False):
            deliver = partial(self._deliver, connection, reader, ticket, number)
            if delay:
                self._host.later(delay, deliver)
            else:
                deliver()

    def _wishes(self, request: Subscribe) -> list[Wish]:
        return [
            wish
            for selection in request.selections
            if selection.realtime
            for wish in read_wishes(selection.data_type, selection.options, self._rules)
        ]

    def _deliver(self, connection: Connection, reader: Reader, ticket: Ticket, burst: int) -> None:
        if not connection.is_closed:
            with self._exchange.lock:
                self._exchange.hub.deliver(reader, ticket, burst)

    def _end_stale(self, reader: Reader, ticket: Ticket) -> None:
        with self._exchange.lock:
            self._exchange.hub.end_stale(reader, ticket.generation)

    def _list(self, connection: Connection, reader: Reader, request: ListSubscriptions) -> None:
        """Tell what is subscribed; from here on the streams have the format of this request."""
        self.send_waiting(connection)
        with self._exchange.lock:
            reader.wire_format = request.wire_format
            selections = reader.selections
        simple = request.wire_format.is_simple
        keys = ("mthd", "rslt", "tckt") if simple else ("method", "result", "ticket")
        result = [_listed(selection, simple=simple, regional=self._config.regional) for selection in selections]
        values = ("LIST_SUBSCRIPTIONS", result, request.ticket)
        answer = dict(zip(keys, values, strict=True))
        self.send(connection, json.dumps(answer, ensure_ascii=False, separators=(",", ":")).encode())

    # Going out

    def tell_status(self, connections: Iterable[Connection]) -> None:
        """The server's clock struck: UP to everybody who ever asked."""
        for connection in connections:
            if connection.web is not None and connection.web.wants_status and not connection.web.refused:
                self.send(connection, _UP)

    def send(self, connection: Connection, payload: bytes) -> None:
        """Send one message that is no data, after the data that waits already."""
        self.send_waiting(connection)
        self._put(connection, self._web(connection), [Outgoing(payload)])
        self._host.flush(connection)

    def send_waiting(self, connection: Connection) -> None:
        """Send what the hub queued."""
        web = self._web(connection)
        with self._exchange.lock:
            waiting = web.reader.drain()
        if not web.refused:
            if self._config.list_group > 1:
                waiting = list(grouped_into_arrays(waiting, self._config.list_group))
            self._put(connection, web, waiting)
        self._host.flush(connection)

    def _put(self, connection: Connection, web: WebSocketState, messages: Iterable[Outgoing]) -> None:
        if web.protocol.state is not OPEN:
            return
        opcode = web.reader.opcode
        if not web.is_compressed:
            for message in messages:
                connection.outgoing += message.frame(opcode)
            return
        send = web.protocol.send_text if opcode == Opcode.TEXT else web.protocol.send_binary
        for message in messages:
            send(message.payload)
        self._collect(connection)

    def _collect(self, connection: Connection) -> None:
        """Take what the protocol has to say. An empty piece means: nothing follows, close when it is out."""
        web = self._web(connection)
        for piece in web.protocol.data_to_send():
            if piece:
                connection.outgoing += piece
            else:
                connection.ends_when_flushed = True

    @staticmethod
    def _web(connection: Connection) -> WebSocketState:
        assert connection.web is not None
        return connection.web


def _listed(selection: Selection, *, simple: bool, regional: bool) -> dict[str, Any]:
    """One selection as LIST_SUBSCRIPTIONS tells it."""
    told: dict[str, Any] = {"ty" if simple else "type": selection.data_type.wire_name}
    if selection.codes is not None:
        told["cds" if simple else "codes"] = list(selection.codes)
    if selection.data_type is DataType.ORDERBOOK and not regional:
        told["lv" if simple else "level"] = json.loads(plain(selection.group))
    for name in ("timeframe", "indicators"):
        if name in selection.options:
            told[name] = selection.options[name]
    return told
