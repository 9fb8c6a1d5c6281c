"""
Notices on demand. Pure: ids count up, the time is an argument.

Source: Upbit's websocket-announcement page (fields, categories, a body that is null when large).
"""

from __future__ import annotations

from typing import Any

from attrs import evolve, frozen

from upbit_ws.exceptions import InvalidArgumentError
from upbit_ws.sandbox.encoding import kst_text
from upbit_ws.sandbox.private_requests import CATEGORIES
from upbit_ws.types import DataType

__all__ = ["AnnouncementRecord", "NoticeBoard"]

_FIRST_ID = 562_593_104
_LARGEST_BODY = 16_384
"""Characters of a body beyond which it is told as null. Where Upbit draws the line is not published."""


@frozen
class AnnouncementRecord:
    """A notice as it was told. Times in ms since the epoch."""

    event_type: str
    uuid: str
    title: str
    category: str
    body: str
    first_listed_at: int
    listed_at: int

    def values(self, *, with_body: bool) -> dict[str, Any]:
        """The fields of the message."""
        values = {
            "type": DataType.ANNOUNCEMENT.wire_name,
            "event_type": self.event_type,
            "uuid": self.uuid,
            "title": self.title,
            "category": self.category,
            "url": f"https://www.upbit.com/service_center/notice?id={self.uuid}&view=share",
            "first_listed_at": f"{kst_text(self.first_listed_at)}+09:00",
            "listed_at": f"{kst_text(self.listed_at)}+09:00",
            "timestamp": self.listed_at,
            "stream_type": "REALTIME",
        }
        if with_body:
            values["body"] = self.body if len(self.body) <= _LARGEST_BODY else None
        return values


class NoticeBoard:
    """All notices so far."""

    def __init__(self) -> None:
        self._notices: dict[str, AnnouncementRecord] = {}

    def announce(self, title: str, category: str, body: str, now: int) -> AnnouncementRecord:
        """A new notice."""
        if category not in CATEGORIES:
            problem = f"must be one of {', '.join(CATEGORIES)}, got {category!r}"
            raise InvalidArgumentError("category", problem, 'category="maintenance"')
        uuid = str(_FIRST_ID + len(self._notices))
        made = AnnouncementRecord("CREATED", uuid, title, category, body, now, now)
        self._notices[uuid] = made
        return made

    def update(self, uuid: str, title: str | None, body: str | None, now: int) -> AnnouncementRecord:
        """Change a notice that was told before."""
        before = self._notices.get(uuid)
        if before is None:
            raise InvalidArgumentError("update_of", f"is no notice: {uuid!r}", "the uuid that announce() returned")
        after = evolve(
            before,
            event_type="UPDATED",
            title=before.title if title is None else title,
            body=before.body if body is None else body,
            listed_at=now,
        )
        self._notices[uuid] = after
        return after
