"""The account side of a manager: keys, orders and balances, and what may be asked of private and info streams, or was
missed of them.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Hashable, Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Final

from attrs import evolve

from upbit_ws.client.rest_clients import make_rest_client
from upbit_ws.config import WebSocketConfig
from upbit_ws.exceptions import AuthenticationError, InvalidArgumentError, RequestRejectedError, UpbitWebSocketError
from upbit_ws.lifecycle import ConnectionEvent
from upbit_ws.protocol.key_refusal import rejection_as_told
from upbit_ws.protocol.subscription_plan import INDICATOR_LIMIT
from upbit_ws.protocol.upbit_authenticator import UpbitAuthenticator
from upbit_ws.runtime.account_reconciler import AccountReconciler
from upbit_ws.runtime.recovery import RecoveryParts
from upbit_ws.runtime.unrepeated_streams import UnrepeatedStreams
from upbit_ws.types import DataType, Endpoint, StreamKey, Want

if TYPE_CHECKING:
    from upbit_ws.runtime.connections import Connections
    from upbit_ws.shared.subscription_state_manager import SubscriptionStateManager

__all__ = ["AccountSide"]

_ACCOUNT: Final = (DataType.MY_ORDER, DataType.MY_ASSET)


class AccountSide:
    """One per manager."""

    def __init__(self, config: WebSocketConfig, subscriptions: SubscriptionStateManager, parts: RecoveryParts) -> None:
        self._subscriptions = subscriptions
        self.authenticator = UpbitAuthenticator(config.auth, clock=parts.clock, nonce=lambda: str(uuid.uuid4()))
        signed = partial(make_rest_client, config, authorization=self.authenticator.rest_authorization)
        self.reconciler = AccountReconciler(evolve(parts, rest=signed), partial(subscriptions.wanted, Endpoint.PRIVATE))
        self._unrepeated = UnrepeatedStreams(parts)
        parts.pool.gate = self.reconciler

    def on_event(self, event: ConnectionEvent) -> None:
        """Something happened to a connection. Called by its I/O thread, before anything is read from a new one."""
        self.reconciler.on_event(event)
        self._unrepeated.on_event(event)

    def confirm(self, endpoint: Endpoint, epoch: int, keys: Collection[StreamKey]) -> None:
        """The exchange has confirmed exactly these streams on the connection of this epoch."""
        self.reconciler.confirm(endpoint, epoch, keys)
        self._unrepeated.confirm(endpoint, epoch, keys)

    def check(
        self, connections: Connections, owner: Hashable, wants: Iterable[Want], endpoints: Iterable[Endpoint] = ()
    ) -> None:
        """Refuse wishes that cannot be served, before they are made.

        Args:
            owner: Whose wishes these are from now on, in place of the ones it had.
            endpoints: Where wishes will come from patterns whose markets are not known yet.

        Raises:
            AuthenticationError: they need keys, and there are none.
            InvalidArgumentError: keys would travel in clear, or one request would hold too many indicators.
        """
        keys = [want.key for want in wants if want.key.data_type.needs_auth]
        connections.prepare({key.data_type.endpoint for key in keys}.union(endpoints))
        indicators = {key for key in keys if key.data_type.endpoint is Endpoint.INFO}
        if not indicators:
            return
        asked = self._subscriptions.asked(Endpoint.INFO)
        for key in asked.keys if asked is not None else ():
            if self._subscriptions.owners_of(key) - {owner}:
                indicators.add(key)
        if len(indicators) > INDICATOR_LIMIT:
            problem = (
                f"would make {len(indicators)} combinations of code and indicator in this process, and the exchange "
                f"takes {INDICATOR_LIMIT} on a connection"
            )
            raise InvalidArgumentError("indicators", problem, "fewer symbols or indicators")

    def cover(self) -> None:
        """What is wanted of the private endpoint has changed."""
        version = self._subscriptions.version(Endpoint.PRIVATE)
        self.reconciler.cover(self._subscriptions.asked(Endpoint.PRIVATE), version)

    def refusals(
        self, connections: Connections, wants: Iterable[Want], rejections: Mapping[StreamKey, RequestRejectedError]
    ) -> Mapping[StreamKey, UpbitWebSocketError]:
        """Which of these streams do not come because the exchange refuses them, or does not accept the keys."""
        refused = {key: rejection_as_told(error) for key, error in rejections.items()}
        for want in wants:
            error = self.refusal(connections, want.key.data_type)
            if error is not None:
                refused[want.key] = error
        return refused

    def refusal(self, connections: Connections, data_type: DataType) -> AuthenticationError | None:
        """Why the exchange does not accept the keys for this type, while it does not: one object for each time."""
        if not data_type.needs_auth:
            return None
        error = connections.refusal(data_type.endpoint)
        return self.reconciler.refusal if error is None and data_type in _ACCOUNT else error
