"""Tokens: what they hold, that each is used once, and what is said about bad ones. PyJWT itself is the oracle."""

from __future__ import annotations

import hashlib
import itertools
import warnings

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from upbit_ws.config import AuthConfig, Credentials
from upbit_ws.exceptions import AuthenticationError, InvalidArgumentError
from upbit_ws.protocol.jwt_manager import JWTManager, Token, query_hash
from upbit_ws.protocol.upbit_authenticator import UpbitAuthenticator
from upbit_ws.secret import Secret

ACCESS, SECRET = "access" * 7, "secret" * 7


class Keys:
    """Credentials that may change."""

    def __init__(self) -> None:
        self.pair = (ACCESS, SECRET)

    def __call__(self) -> Credentials:
        return Credentials(Secret(self.pair[0]), Secret(self.pair[1]))


def manager_of(keys: Keys | None = None, **options: object) -> JWTManager:
    numbers = itertools.count(1)
    return JWTManager(keys or Keys(), lambda: f"nonce-{next(numbers)}", **options)  # type: ignore[arg-type]


def decoded(token: Token, algorithm: str = "HS256", secret: str = SECRET) -> dict[str, object]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return dict(jwt.decode(token.text.reveal(), secret, algorithms=[algorithm]))


@pytest.mark.parametrize("algorithm", ["HS256", "HS512"])
def test_a_token_for_a_connect_holds_the_access_key_and_a_nonce_and_nothing_else(algorithm: str) -> None:
    token = manager_of(algorithm=algorithm).take(0.0)

    assert decoded(token, algorithm) == {"access_key": ACCESS, "nonce": "nonce-1"}
    assert jwt.get_unverified_header(token.text.reveal()) == {"alg": algorithm, "typ": "JWT"}
    assert token.header() == f"Bearer {token.text.reveal()}"


def test_no_two_tokens_share_a_nonce() -> None:
    manager = manager_of()
    manager.prepare(0.0)
    tokens = [manager.take(0.0), manager.take(0.0), manager.for_query("", 0.0), manager.take(0.0)]

    assert len({str(decoded(token)["nonce"]) for token in tokens}) == 4


def test_a_short_key_warns_nobody_and_no_state_of_the_process_is_touched() -> None:
    manager = manager_of(algorithm="HS512")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        before = list(warnings.filters)
        manager.take(0.0)
        assert warnings.filters == before
    with pytest.warns(jwt.warnings.InsecureKeyLengthWarning):
        jwt.encode({}, SECRET, algorithm="HS512")


# -- queries ----------------------------------------------------------------------------------------------------------


def test_a_token_for_a_call_names_the_hash_of_its_query_as_sent() -> None:
    query = "market=KRW-BTC&states[]=done&states[]=cancel&start_time=2026-11-23T00:00:00+09:00"
    claims = decoded(manager_of().for_query(query, 0.0))

    assert claims["query_hash"] == hashlib.sha512(query.encode()).hexdigest()
    assert claims["query_hash_alg"] == "SHA512"
    assert claims.keys() == {"access_key", "nonce", "query_hash", "query_hash_alg"}


def test_a_call_without_a_query_has_no_hash() -> None:
    assert decoded(manager_of().for_query("", 0.0)).keys() == {"access_key", "nonce"}


@given(st.text(max_size=50), st.text(max_size=50))
def test_the_order_of_a_query_counts(first: str, second: str) -> None:
    one, other = f"a={first}&b={second}", f"b={second}&a={first}"

    assert (query_hash(one) == query_hash(other)) is (one == other)


# -- prepared tokens --------------------------------------------------------------------------------------------------


def test_a_prepared_token_is_handed_out_once() -> None:
    manager = manager_of()
    manager.prepare(0.0)

    assert [decoded(manager.take(1.0))["nonce"], decoded(manager.take(1.0))["nonce"]] == ["nonce-1", "nonce-2"]


def test_a_prepared_token_that_is_too_old_is_replaced() -> None:
    manager = manager_of(refresh_threshold=30.0)
    manager.prepare(0.0)
    assert decoded(manager.take(30.0))["nonce"] == "nonce-1"

    manager.prepare(0.0)
    token = manager.take(30.1)
    assert decoded(token)["nonce"] == "nonce-3"
    assert token.made_at == 30.1


@pytest.mark.parametrize("pair", [("other" * 7, SECRET), (ACCESS, "other" * 7)])
def test_a_prepared_token_of_former_keys_is_replaced(pair: tuple[str, str]) -> None:
    keys = Keys()
    manager = manager_of(keys)
    manager.prepare(0.0)
    keys.pair = pair

    assert decoded(manager.take(1.0), secret=pair[1])["access_key"] == pair[0]


# -- validation -------------------------------------------------------------------------------------------------------


def test_a_good_token_has_no_problems() -> None:
    manager = manager_of()

    assert manager.validate(manager.take(0.0), 1.0) == ()


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "three parts"),
        ("a.b", "three parts"),
        ("a.b.c.d", "three parts"),
        ("a b.c.d", "three parts"),
        ("a.b.c", "header names no known algorithm"),
        (jwt.encode({"access_key": ACCESS, "nonce": "1"}, SECRET, headers={"typ": "JOSE"}), "header names"),
        (jwt.encode({"access_key": ACCESS}, SECRET), "must hold access_key and nonce"),
        (jwt.encode({"access_key": ACCESS, "nonce": "1", "exp": 1}, SECRET), "must hold access_key and nonce"),
        (jwt.encode({"access_key": "x", "nonce": "1"}, SECRET), "of another access key"),
        (jwt.encode({"access_key": ACCESS, "nonce": "1"}, SECRET[::-1]), "another secret key"),
    ],
)
def test_a_bad_token_is_told_why(text: str, problem: str) -> None:
    problems = manager_of().validate(Token(Secret(text), 0.0), 1.0)

    assert any(problem in one for one in problems), problems


def test_age_counts_both_ways() -> None:
    manager = manager_of(refresh_threshold=10.0)
    token = manager.take(100.0)

    assert manager.validate(token, 110.0) == ()
    assert "10.5 s old" in manager.validate(token, 110.5)[0]
    assert manager.validate(token, 99.0), "made in the future: of another clock"


def test_other_algorithms_are_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="HS256 or HS512"):
        manager_of(algorithm="none")


# -- who we are -------------------------------------------------------------------------------------------------------


def authenticator_of(auth: AuthConfig) -> UpbitAuthenticator:
    return UpbitAuthenticator(auth, clock=lambda: 5.0, nonce=lambda: "n")


def test_the_authenticator_makes_headers_of_the_configured_keys() -> None:
    authenticator = authenticator_of(AuthConfig(access_key=ACCESS, secret_key=SECRET))
    authenticator.check()

    assert authenticator.websocket_authorization().startswith("Bearer eyJ")
    assert "query_hash" in jwt.decode(authenticator.rest_authorization("a=1")[7:], SECRET, algorithms=["HS256"])


def test_without_keys_it_says_where_to_put_them() -> None:
    with pytest.raises(AuthenticationError, match="UPBIT_ACCESS_KEY and UPBIT_SECRET_KEY") as caught:
        authenticator_of(AuthConfig()).check()

    assert caught.value.name == "missing_keys"


@pytest.mark.parametrize("answer", [("one",), ("a", ""), ("a b\n", "c"), (1, 2), "ab"])
def test_a_provider_that_gives_no_keys_is_told_apart_from_none(answer: object) -> None:
    with pytest.raises(AuthenticationError) as caught:
        authenticator_of(AuthConfig(key_provider=lambda: answer)).check()  # type: ignore[arg-type,return-value]

    assert caught.value.name == "invalid_keys"


def test_what_a_provider_raises_is_named_and_not_shown() -> None:
    def fail() -> tuple[str, str]:
        raise OSError(f"cannot open the vault with {SECRET}")

    with pytest.raises(AuthenticationError, match="key_provider raised OSError") as caught:
        authenticator_of(AuthConfig(key_provider=fail)).check()

    assert SECRET not in str(caught.value)
