"""Who we are to the exchange: keys from the configuration, a callable or the environment, and headers made of them."""

from __future__ import annotations

from collections.abc import Callable

from upbit_ws.config import AuthConfig, Credentials
from upbit_ws.exceptions import AuthenticationError, InvalidArgumentError
from upbit_ws.protocol.jwt_manager import JWTManager

__all__ = ["UpbitAuthenticator"]


class UpbitAuthenticator:
    """Gives `authorization` values for connects and REST calls, a fresh token in each.

    Args:
        auth: The keys or where they come from.
        clock: Monotonic seconds, for the age of a prepared token.
        nonce: Makes a text that was never used before.
    """

    def __init__(self, auth: AuthConfig, *, clock: Callable[[], float], nonce: Callable[[], str]) -> None:
        self._auth = auth
        self._clock = clock
        self._tokens = JWTManager(
            self._credentials, nonce, algorithm=auth.algorithm, refresh_threshold=auth.refresh_threshold
        )

    def __repr__(self) -> str:
        return f"<UpbitAuthenticator {self._auth.algorithm}>"

    @property
    def tokens(self) -> JWTManager:
        """What makes the tokens."""
        return self._tokens

    def check(self) -> None:
        """Make sure that there are keys and that they sign; the token made by that serves the next connect.

        Raises:
            AuthenticationError: there are none, or they cannot be keys of Upbit.
        """
        self._tokens.prepare(self._clock())

    def websocket_authorization(self) -> str:
        """The value of `Authorization` for one upgrade request.

        Raises:
            AuthenticationError: as `check`.
        """
        return self._tokens.take(self._clock()).header()

    def rest_authorization(self, query: str) -> str:
        """The value of `Authorization` for one REST call; `query` not encoded, in the sent order.

        Raises:
            AuthenticationError: as `check`.
        """
        return self._tokens.for_query(query, self._clock()).header()

    def _credentials(self) -> Credentials:
        problem = ""
        try:
            found = self._auth.credentials()
        except InvalidArgumentError as error:
            found, problem = None, f"{error.argument} {error.problem}"
        except Exception as error:  # the user's own function: its text and frames may hold a key
            found, problem = None, f"key_provider raised {type(error).__name__}"
        if found is None:
            raise AuthenticationError("invalid_keys" if problem else "missing_keys", problem)
        return found
