"""Notices: on demand, by category, with or without their bodies."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.samples import messages
from tests.sandbox.clients import Client
from tests.sandbox.traders import private
from upbit_ws.exceptions import InvalidArgumentError
from upbit_ws.models import validate
from upbit_ws.sandbox import Sandbox
from upbit_ws.sandbox.announcements import NoticeBoard

Dial = Callable[..., Client]
NOW = 1_790_134_742_123
SAMPLES = messages()


def test_a_notice_has_the_fields_of_the_published_one() -> None:
    values = NoticeBoard().announce("title", "trade", "text", NOW).values(with_body=True)

    assert list(values) == list(SAMPLES["announcement.DEFAULT"][0])
    assert validate(values) == []
    assert values["listed_at"] == values["first_listed_at"] == "2026-09-23T12:39:02+09:00"


def test_an_update_keeps_what_it_does_not_change() -> None:
    board = NoticeBoard()
    first = board.announce("title", "trade", "text", NOW)
    second = board.update(first.uuid, "new title", None, NOW + 60_000)

    assert (second.event_type, second.uuid, second.title, second.body) == ("UPDATED", first.uuid, "new title", "text")
    assert (second.first_listed_at, second.listed_at) == (NOW, NOW + 60_000)
    assert board.announce("another", "event", "", NOW).uuid != first.uuid


def test_a_large_body_is_told_as_null() -> None:
    values = NoticeBoard().announce("title", "trade", "x" * 100_000, NOW).values(with_body=True)
    assert values["body"] is None


def test_an_unknown_category_and_an_unknown_notice_are_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="category"):
        NoticeBoard().announce("title", "gossip", "", NOW)
    with pytest.raises(InvalidArgumentError, match="update_of"):
        NoticeBoard().update("1", "title", None, NOW)


def hears(dial: Dial, sandbox: Sandbox, **options: Any) -> Client:
    client = private(dial, sandbox)
    client.subscribe({"type": "announcement", **options})
    assert client.so_far() == []
    return client


def test_everybody_hears_what_they_asked_for(exchange: Sandbox, dial: Dial) -> None:
    everything = hears(dial, exchange)
    maintenance = hears(dial, exchange, categories=["maintenance", "event"], include_body=True)
    exchange.exchange.announce("hello")
    uuid = exchange.exchange.announce("down", category="maintenance", body="for an hour")
    exchange.exchange.announce("down longer", update_of=uuid)

    assert [message["title"] for message in everything.so_far()] == ["hello", "down", "down longer"]
    created, updated = maintenance.so_far()
    assert (created["event_type"], created["body"]) == ("CREATED", "for an hour")
    assert (updated["event_type"], updated["uuid"], updated["body"]) == ("UPDATED", uuid, "for an hour")


def test_without_asking_there_is_no_body_at_all(exchange: Sandbox, dial: Dial) -> None:
    client = hears(dial, exchange, categories=[])
    exchange.exchange.announce("hello", body="text")
    (message,) = client.so_far()
    assert "body" not in message


def test_simple_names_are_those_of_the_published_message(exchange: Sandbox, dial: Dial) -> None:
    client = private(dial, exchange)
    client.subscribe({"type": "announcement", "include_body": True}, format="SIMPLE")
    client.so_far()
    exchange.exchange.announce("hello", body="text")
    (message,) = client.so_far()
    assert list(message) == list(SAMPLES["announcement.SIMPLE"][0])
