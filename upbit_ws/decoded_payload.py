"""A payload that has been decoded already, and whose event says more than its bytes do.

Private events are decoded when they are filed: the order book needs them, and adds what the wire leaves out
(`MyOrderEvent.order_price`). Events recovered over REST never were on the wire and have no bytes at all. Both travel
the same way as every payload: `decode_event` of one answers with its event.
"""

from __future__ import annotations

from upbit_ws.events import Event

__all__ = ["DecodedPayload"]


class DecodedPayload(bytes):
    """Bytes as they arrived (empty where they did not), with the event that they mean."""

    event: Event

    @classmethod
    def of(cls, event: Event, raw: bytes = b"") -> DecodedPayload:
        """The payload of an event."""
        payload = cls(raw)
        payload.event = event
        return payload
