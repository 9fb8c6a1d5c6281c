"""A trader at the embedded exchange: random orders over REST with tokens of its own making, and a network that breaks.

Nothing of the SDK is used to place orders, so that a fault in its tokens or its books cannot hide itself.
"""

from __future__ import annotations

import hashlib
import random
import threading
import time
import uuid
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import jwt
import requests

from tests.canaries import planted
from upbit_ws import AuthConfig, ConnectionConfig, RecoveryConfig, WebSocketConfig
from upbit_ws.sandbox import Sandbox
from upbit_ws.sandbox.auth import SANDBOX_ACCESS_KEY, SANDBOX_SECRET_KEY
from upbit_ws.testing import FaultProxy

__all__ = ["Storm", "Trader", "account_config", "wait_until"]

MARKETS = ("KRW-BTC", "KRW-ETH")


def account_config(
    url: str, *, access_key: str = SANDBOX_ACCESS_KEY, secret_key: str = SANDBOX_SECRET_KEY, **sections: Any
) -> WebSocketConfig:
    """The testing preset with the sandbox's keys."""
    import attrs

    planted.update((access_key, secret_key))
    auth = sections.pop("auth", None) or AuthConfig(access_key=access_key, secret_key=secret_key)
    connection = sections.pop("connection", None) or ConnectionConfig(
        base_url=url, connect_timeout=2.0, ping_interval=0.3, pong_timeout=0.3
    )
    sections.setdefault("recovery", RecoveryConfig(hold=10.0, request_timeout=1.0))
    return attrs.evolve(WebSocketConfig.testing(auth=auth, connection=connection), **sections)


def wait_until(is_true: Callable[[], bool], what: str, patience: float = 10.0) -> None:
    """Look until something is so; fail with `what` when it does not come about."""
    deadline = time.monotonic() + patience
    while not is_true():
        assert time.monotonic() < deadline, f"{what} did not happen within {patience:g} s"
        time.sleep(0.005)


class Trader:
    """Places and cancels orders by REST."""

    def __init__(self, sandbox: Sandbox, seed: int) -> None:
        self._sandbox = sandbox
        self._chance = random.Random(seed)
        self._session = requests.Session()
        self._session.trust_env = False
        self.placed: list[str] = []

    def close(self) -> None:
        self._session.close()

    def _call(self, method: str, path: str, params: dict[str, str]) -> dict[str, Any]:
        query = "&".join(f"{name}={value}" for name, value in params.items())
        claims = {
            "access_key": SANDBOX_ACCESS_KEY,
            "nonce": str(uuid.uuid4()),
            "query_hash": hashlib.sha512(query.encode()).hexdigest(),
            "query_hash_alg": "SHA512",
        }
        headers = {"Authorization": f"Bearer {jwt.encode(claims, SANDBOX_SECRET_KEY, algorithm='HS256')}"}
        url = self._sandbox.url + path
        if method == "POST":
            reply = self._session.post(url, json=params, headers=headers, timeout=5)
        else:
            reply = self._session.request(method, f"{url}?{urlencode(params)}", headers=headers, timeout=5)
        body: dict[str, Any] = reply.json()
        return body if reply.ok else {"refused": body["error"]["name"]}

    def act(self) -> None:
        """One random order, and now and then a cancel."""
        order = self._call("POST", "/v1/orders", self._order())
        if "uuid" in order:
            self.placed.append(order["uuid"])
        if self.placed and self._chance.random() < 0.25:
            self._call("DELETE", "/v1/order", {"uuid": self._chance.choice(self.placed)})

    def _order(self) -> dict[str, str]:
        chance = self._chance
        market = chance.choice(MARKETS)
        side = chance.choice(("bid", "ask"))
        last = self._sandbox.exchange.price(market)
        tick = 1000
        price = str(int(last * (1 + chance.uniform(-0.002, 0.002))) // tick * tick)
        volume = f"{chance.randint(6_000, 400_000) / last:.8f}"
        kind = chance.choice(("limit",) * 6 + ("post_only", "ioc", "fok", "market", "best"))
        terms = {"market": market, "side": side}
        if kind == "market":
            if side == "bid":
                return {**terms, "ord_type": "price", "price": str(chance.randint(6_000, 400_000))}
            return {**terms, "ord_type": "market", "volume": volume}
        if kind == "best":
            amount = {"price": str(chance.randint(6_000, 400_000))} if side == "bid" else {"volume": volume}
            return {**terms, "ord_type": "best", "time_in_force": chance.choice(("ioc", "fok")), **amount}
        terms |= {"ord_type": "limit", "price": price, "volume": volume}
        if kind != "limit":
            terms["time_in_force"] = kind
        elif chance.random() < 0.2:
            terms["smp_type"] = chance.choice(("reduce", "cancel_maker", "cancel_taker"))
        return terms


class Storm:
    """Breaks the way to the exchange at random moments until told to stop: resets, half-open links, restarts."""

    def __init__(self, sandbox: Sandbox, proxy: FaultProxy, seed: int) -> None:
        self._sandbox = sandbox
        self._proxy = proxy
        self._chance = random.Random(seed)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._rage, name="storm")
        self.blows: list[str] = []

    def pause(self, longest: float) -> None:
        """Let the storm rage for a while."""
        self._over.wait(self._chance.uniform(0.0, longest))

    def __enter__(self) -> Storm:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        self._proxy.heal()
        self._sandbox.start()

    def _rage(self) -> None:
        while not self._over.wait(self._chance.uniform(0.1, 0.6)):
            blow = self._chance.choice(("reset", "reset", "half-open", "fin", "restart"))
            self.blows.append(blow)
            if blow == "reset":
                self._proxy.reset()
            elif blow == "fin":
                self._sandbox.drop_all("fin")
            elif blow == "half-open":
                self._proxy.blackhole()
                self._over.wait(self._chance.uniform(0.2, 1.2))
                self._proxy.reset()
                self._proxy.heal()
            else:
                self._sandbox.stop()
                self._over.wait(self._chance.uniform(0.0, 0.3))
                self._sandbox.start()
