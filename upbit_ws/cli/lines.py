"""The output of a pipe: one JSON object a line, and notes on stderr where something is not as asked."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable
from typing import Any

import click
import orjson

from upbit_ws.cli.feed import Feed

__all__ = ["PATIENCE", "print_lines", "write_line"]

PATIENCE = 10.0
"""Seconds to wait for the first data before giving up. Once there was some, an outage is waited out."""


def write_line(record: Any) -> None:
    """Print one JSON object at once, so that the next program in the pipe sees it when it happens."""
    sys.stdout.buffer.write(orjson.dumps(record) + b"\n")
    sys.stdout.buffer.flush()


def print_lines(feed: Feed, seconds: float | None) -> None:
    """Print every event until `seconds` are over.

    Raises:
        ClickException: nothing came at all.
    """
    begun = time.monotonic()
    patience = PATIENCE if seconds is None else min(seconds, PATIENCE)
    seen: set[str] = set()
    warned = False
    while seconds is None or time.monotonic() - begun < seconds:
        event = feed.wait_for_event()
        if event is not None:
            seen.add(event.symbol)
            write_line(feed.row(event))
        waited = time.monotonic() - begun
        if not seen and waited >= patience:
            break
        if seen and not warned and waited > PATIENCE / 2:
            warned = True
            _note_silence(symbol for symbol in feed.silent() if symbol not in seen)
    if not seen:
        raise click.ClickException(feed.why_nothing_came())


def _note_silence(symbols: Iterable[str]) -> None:
    silent = ", ".join(symbols)
    if silent:
        print(f"upbit-ws: nothing came for {silent}; is the market code right?", file=sys.stderr)
