"""Tokens: who signed what, how often, from where."""

from __future__ import annotations

import base64
import json
from typing import Any
from uuid import uuid4

import pytest

from tests.sandbox.traders import ACCESS, SECRET, bearer
from upbit_ws.exceptions import InvalidArgumentError
from upbit_ws.sandbox.auth import AuthError, KeyRing, SandboxKey

HERE = "127.0.0.1"


def ring(**key: Any) -> KeyRing:
    return KeyRing({ACCESS: SandboxKey(SECRET, **key)})


def refusal(keys: KeyRing, token: str | None, query: str | None = None) -> str:
    with pytest.raises(AuthError) as caught:
        keys.verify(token, HERE, query)
    assert caught.value.status in (401, 403)
    assert caught.value.message
    return caught.value.name


@pytest.mark.parametrize("algorithm", ["HS256", "HS512"])
def test_both_algorithms_are_accepted(algorithm: str) -> None:
    holder = ring(account="pocket").verify(bearer(algorithm=algorithm), HERE)
    assert holder.account == "pocket"
    assert holder.scopes == {"view_assets", "view_orders", "make_orders"}


def test_a_nonce_can_be_used_once_and_counts_per_key() -> None:
    keys = KeyRing({ACCESS: SandboxKey(SECRET), "b": SandboxKey(SECRET)})
    token = bearer(nonce="once")
    keys.verify(token, HERE)
    assert refusal(keys, token) == "nonce_used"
    assert refusal(keys, bearer(nonce="once")) == "nonce_used"
    keys.verify(bearer(nonce="once", access="b"), HERE)


def test_a_refused_token_does_not_use_its_nonce_up() -> None:
    keys = ring()
    assert refusal(keys, bearer("a=1", nonce="once"), "a=2") == "invalid_query_payload"
    keys.verify(bearer("a=2", nonce="once"), HERE, "a=2")


def test_nonces_are_remembered_up_to_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("upbit_ws.sandbox.auth._KEPT_NONCES", 2)
    keys = ring()
    for nonce in "abc":
        keys.verify(bearer(nonce=nonce), HERE)
    assert refusal(keys, bearer(nonce="c")) == "nonce_used"
    keys.verify(bearer(nonce="a"), HERE)


@pytest.mark.parametrize("token", [None, "", "Bearer", "Bearer ", "Basic abc"])
def test_without_a_token_there_is_none(token: str | None) -> None:
    assert refusal(ring(), token) == "no_authorization_token"


def _unsigned() -> str:
    parts = [{"alg": "none"}, {"access_key": ACCESS, "nonce": str(uuid4())}]
    return "Bearer " + ".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).decode() for part in parts) + "."


@pytest.mark.parametrize(
    "token",
    [
        "Bearer a.b.c",
        "Bearer a.b",
        "Bearer ....",
        "Bearer W10.W10.W10",
        _unsigned(),
        bearer(secret="another-secret-that-is-long-enough-for-all"),
        bearer(algorithm="HS384"),
        bearer(nonce=None),
        bearer(nonce=5),
        bearer()[:-3],
    ],
)
def test_what_is_not_signed_properly_is_refused(token: str) -> None:
    assert refusal(ring(), token) == "jwt_verification"


def test_a_key_that_nobody_knows_is_refused() -> None:
    assert refusal(ring(), bearer(access="unknown")) == "invalid_access_key"
    assert refusal(ring(), bearer(access_key=None)) == "invalid_access_key"
    keys = ring()
    keys.remove(ACCESS)
    assert refusal(keys, bearer()) == "invalid_access_key"


def test_an_expired_key_and_a_foreign_address_are_refused() -> None:
    assert refusal(ring(expired=True), bearer()) == "expired_access_key"
    assert refusal(ring(ips=["203.0.113.1"]), bearer()) == "no_authorization_ip"
    assert ring(ips=[HERE]).verify(bearer(), HERE).account == "main"


def test_a_query_has_to_be_signed_as_it_is_sent() -> None:
    query = "market=KRW-BTC&states[]=wait&states[]=watch"
    ring().verify(bearer(query), HERE, query)
    assert refusal(ring(), bearer(), query) == "invalid_query_payload"
    assert refusal(ring(), bearer("states[]=wait"), query) == "invalid_query_payload"
    assert refusal(ring(), bearer(query, query_hash_alg="SHA256"), query) == "invalid_query_payload"


def test_a_socket_asks_for_no_query_hash_and_minds_none() -> None:
    ring().verify(bearer("a=1"), HERE)


def test_a_scope_that_a_key_lacks_is_refused() -> None:
    holder = ring(scopes=["view_orders"]).verify(bearer(), HERE)
    holder.require("view_orders")
    holder.require(None)
    with pytest.raises(AuthError) as caught:
        holder.require("make_orders")
    assert (caught.value.name, caught.value.status) == ("out_of_scope", 403)


def test_an_unknown_scope_cannot_be_configured() -> None:
    with pytest.raises(InvalidArgumentError, match="scopes"):
        SandboxKey(SECRET, scopes=["withdraw"])


def test_no_secret_shows() -> None:
    keys = ring()
    texts = [repr(keys), repr(SandboxKey(SECRET)), repr(keys.verify(bearer(), HERE))]
    assert not any(SECRET in text or ACCESS in text for text in texts)
