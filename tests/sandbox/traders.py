"""What a trader needs against the embedded exchange: tokens made by PyJWT, and signed REST calls."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

import jwt
import requests

from tests.sandbox.clients import Client
from upbit_ws.sandbox import SANDBOX_ACCESS_KEY, SANDBOX_SECRET_KEY, Sandbox

ACCESS, SECRET = SANDBOX_ACCESS_KEY, SANDBOX_SECRET_KEY


def bearer(
    query: str | None = None, *, access: str = ACCESS, secret: str = SECRET, algorithm: str = "HS256", **claims: Any
) -> str:
    """The value of an `Authorization` header; `claims` on top of, or instead of, the usual ones."""
    usual: dict[str, Any] = {"access_key": access, "nonce": str(uuid4())}
    if query:
        usual |= {"query_hash": hashlib.sha512(query.encode()).hexdigest(), "query_hash_alg": "SHA512"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # real keys are shorter than PyJWT would like them for HS512
        return "Bearer " + jwt.encode({**usual, **claims}, secret, algorithm=algorithm)


class Trader:
    """Signed REST calls of one key."""

    def __init__(self, sandbox: Sandbox, access: str = ACCESS, secret: str = SECRET) -> None:
        self._url = sandbox.url
        self._keys = {"access": access, "secret": secret}

    def get(self, path: str, *pairs: tuple[str, str], method: str = "GET") -> requests.Response:
        """Ask, with these parameters in this order."""
        query = "&".join(f"{name}={value}" for name, value in pairs)
        headers = {"Authorization": bearer(query, **self._keys)}
        url = f"{self._url}{path}" + (f"?{urlencode(pairs)}" if pairs else "")
        return requests.request(method, url, headers=headers, timeout=5)

    def place(self, **params: Any) -> requests.Response:
        """Place an order."""
        query = "&".join(f"{name}={value}" for name, value in params.items())
        headers = {"Authorization": bearer(query, **self._keys)}
        return requests.post(f"{self._url}/v1/orders", json=params, headers=headers, timeout=5)

    def cancel(self, uuid: str) -> requests.Response:
        """Cancel an order."""
        return self.get("/v1/order", ("uuid", uuid), method="DELETE")


def private(dial: Callable[..., Client], sandbox: Sandbox, path: str = "/private", **key: Any) -> Client:
    """An authorised connection to the private socket, or to another."""
    return dial(sandbox, path, additional_headers={"Authorization": bearer(**key)})


def sentence(message: dict[str, Any]) -> str:
    """A private message in a few words."""
    if message["type"] == "myAsset":
        changed = ", ".join(f"{asset['currency']} {asset['balance']}/{asset['locked']}" for asset in message["assets"])
        return f"assets {changed}"
    words = [message["state"], message["order_type"], message["ask_bid"]]
    if message["state"] == "trade":
        words.append(f"{message['volume']} at {message['price']} as {'maker' if message['is_maker'] else 'taker'}")
    return " ".join(words)
