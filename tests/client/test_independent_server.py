"""The pull client against servers that are not the SDK's own: published samples replayed by `websockets`, also TLS."""

from __future__ import annotations

import json
import ssl
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.server import ServerConnection

from tests.client.conftest import MakeManager, wait_until
from tests.independent import serving
from tests.samples import event_messages, raw, samples
from upbit_ws import DataType, SimpleWebSocketClient, WireFormat
from upbit_ws.models import convert_dict_to_event
from upbit_ws.testing import CertificateAuthority

#: What is sent of each data type, by the format that was asked for.
REPLAYED = {
    "DEFAULT": ["ticker.DEFAULT", "trade.DEFAULT", "orderbook.DEFAULT.captured", "candle.1m.DEFAULT"],
    "SIMPLE": ["ticker.SIMPLE", "trade.SIMPLE", "orderbook.SIMPLE.captured", "candle.1s.SIMPLE"],
}


class Replay:
    """Answers each subscription with the samples, as they were published or captured."""

    def __init__(self) -> None:
        self.requests: list[list[dict[str, object]]] = []
        self.pings = 0

    def __call__(self, connection: ServerConnection) -> None:
        try:
            for text in connection:
                request = json.loads(text)
                self.requests.append(request)
                name = next((part["format"] for part in request if "format" in part), "DEFAULT")
                for sample in REPLAYED[name]:
                    connection.send(raw(sample))
        except ConnectionClosed:
            pass


@contextmanager
def replaying(replay: Replay, tls: ssl.SSLContext | None = None, **settings: object) -> Iterator[str]:
    with serving(replay, tls, **settings) as port:
        yield f"{'https' if tls else 'http'}://127.0.0.1:{port}"


def pull_all(client: SimpleWebSocketClient, unit: str) -> list[object]:
    return [
        client.get_ticker_data()["KRW-BTC"],
        client.get_trade_data()["KRW-BTC"],
        client.get_orderbook_data()["KRW-BTC"],
        client.get_candle_data(unit=unit)["KRW-BTC"],
    ]


@pytest.mark.parametrize("is_compressed", [False, True])
@pytest.mark.parametrize("is_tls", [False, True])
@pytest.mark.parametrize(("wire_format", "unit"), [(WireFormat.DEFAULT, "1m"), (WireFormat.SIMPLE, "1s")])
def test_published_samples_are_pulled_as_they_are(
    make_manager: MakeManager, wire_format: WireFormat, unit: str, is_tls: bool, is_compressed: bool
) -> None:
    replay, authority = Replay(), CertificateAuthority()
    names = REPLAYED[wire_format.value]
    with replaying(replay, authority.server_context() if is_tls else None) as url:
        manager = make_manager(
            url,
            connection={
                "wire_format": wire_format,
                "compression": is_compressed,
                "ssl_context": authority.client_context() if is_tls else None,
            },
        )
        with SimpleWebSocketClient("replay", manager=manager) as client:
            types = [DataType.TICKER, DataType.TRADE, DataType.ORDERBOOK, DataType.candle(unit)]
            client.register_interest(types, ["KRW-BTC"])
            pulled = pull_all(client, unit)
            (metrics,) = manager.get_connection_metrics()

        assert metrics.state.value == "connected"
        manager.close()

    assert pulled == [convert_dict_to_event(json.loads(raw(name))) for name in names]
    (request,) = replay.requests
    assert "ticket" in request[0]
    assert {part["type"] for part in request if "type" in part} == {data_type.value for data_type in types}
    assert manager.rejected_payloads() == ()


def test_every_public_sample_is_filed_or_unwanted_and_none_is_rejected(make_manager: MakeManager) -> None:
    public = [
        name
        for name in event_messages()
        if name.split(".")[0] in ("ticker", "trade", "orderbook", "candle") and "payload" in samples()[name]
    ]

    def send_all(connection: ServerConnection) -> None:
        connection.recv()
        for name in public:
            connection.send(raw(name))
        for _ in connection:
            pass

    with serving(send_all) as port:
        manager = make_manager(f"http://127.0.0.1:{port}")
        with SimpleWebSocketClient("samples", manager=manager) as client:
            client.register_interest([DataType.TICKER], ["KRW-BTC"])
            wait_until(lambda: manager.pool.counters().messages == len(public), "all samples")
        manager.close()

    assert manager.rejected_payloads() == ()
    assert manager.pool.counters().undecodable == 0


def test_a_certificate_of_nobody_known_is_refused_with_the_reason(make_manager: MakeManager) -> None:
    with replaying(Replay(), CertificateAuthority().server_context()) as url:
        manager = make_manager(url, connection={"ssl_context": CertificateAuthority().client_context()})
        with SimpleWebSocketClient("stranger", manager=manager) as client:
            client.register_interest([DataType.TICKER], ["KRW-BTC"])
            wait_until(lambda: client.status().connections[0].last_error is not None, "the refusal")
            error = client.status().connections[0].last_error

        manager.close()
    assert error is not None
    assert "certificate" in error
