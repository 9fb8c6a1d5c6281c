"""Notices of the exchange as they are published, maintenance above all: it ends connections without another word.

Needs keys, of any permission, in UPBIT_ACCESS_KEY and UPBIT_SECRET_KEY.
"""

import sys
import threading

from upbit_ws import AnnouncementEvent, AuthenticationError, WebSocketClientProxy

SECONDS = float(sys.argv[1]) if len(sys.argv) > 1 else 3600.0


def on_announcement(notice: AnnouncementEvent) -> None:
    sign = "!!" if notice.category == "maintenance" else "--"
    print(f"{sign} {notice.listed_at} {notice.title} ({notice.url})")
    print(f"   {notice.body or 'no text'}")


with WebSocketClientProxy("announcements") as proxy:
    try:
        proxy.subscribe_announcement(on_announcement, categories=["maintenance", "trade"], include_body=True)
    except AuthenticationError as error:
        raise SystemExit(f"{error}") from error
    print("listening")
    threading.Event().wait(SECONDS)
