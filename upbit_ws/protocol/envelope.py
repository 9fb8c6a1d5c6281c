"""Finding out what a payload is without parsing it.

The exchange writes its keys in a fixed order (field tables, `models.py`), so the bytes from the start of a payload to
the colon behind its third key name the type, the market and the spelling at once:
`{"type":"trade","code":"KRW-BTC","timestamp":`. Those bytes are the *head*. A payload whose head is not one that the
table predicts is parsed instead; nothing is guessed.
"""

from __future__ import annotations

import json
from typing import Any, Final

import orjson

from upbit_ws.fields import family_fields
from upbit_ws.types import DataType

__all__ = ["HEAD_SCAN_FROM", "START_LENGTH", "parse_elements", "predicted_head", "split_list", "tells_apart"]

#: Where to look for the colon behind the third key: past the second key of the longest type name (`candle.240m`),
#: before the third key of the shortest payload (`trade`, SIMPLE, a five-letter code).
HEAD_SCAN_FROM: Final = 29

#: So many bytes of a DEFAULT head hold type and code of nearly every market, and nothing behind the third key of any.
START_LENGTH: Final = 43


def tells_apart(head: bytes, symbol: str) -> bool:
    """Whether the first `START_LENGTH` bytes of a payload with this head are part of the head and hold the whole
    code.
    """
    end_of_code = head.find(f'"{symbol}"'.encode()) + len(symbol) + 2
    return end_of_code <= START_LENGTH <= len(head)


def predicted_head(data_type: DataType, symbol: str, *, simple: bool) -> bytes:
    """The head that the field table predicts for payloads of this key (in an object; a list puts `[` before it)."""
    fields = family_fields(data_type.family)
    names = [(field.simple if simple else field.name) for field in fields[:3]]
    return f'{{"{names[0]}":"{data_type.value}","{names[1]}":"{symbol}","{names[2]}":'.encode()


def split_list(payload: bytes) -> list[bytes]:
    """The objects of a JSON array, each as the bytes it was sent in, so that no digit is lost on the way.

    Raises:
        ValueError: not a JSON array of objects.
    """
    text = payload.decode("utf-8")
    decoder = json.JSONDecoder()
    elements: list[bytes] = []
    position = _skip_space(text, 0)
    if text[position : position + 1] != "[":
        raise ValueError("not a JSON array")
    position = _skip_space(text, position + 1)
    while text[position : position + 1] == "{":
        _, stop = decoder.raw_decode(text, position)
        elements.append(text[position:stop].encode())
        position = _skip_space(text, stop)
        if text[position : position + 1] == ",":
            position = _skip_space(text, position + 1)
        else:
            break
    if text[position:].strip() != "]":
        raise ValueError("not a JSON array of objects")
    return elements


def _skip_space(text: str, position: int) -> int:
    while text[position : position + 1] in (" ", "\t", "\n", "\r"):
        position += 1
    return position


def parse_elements(payload: bytes) -> list[tuple[bytes, dict[str, Any]]]:
    """The objects of a payload, parsed, each beside its own bytes; one for an object, any number for an array.

    Raises:
        ValueError: not JSON, or neither an object nor an array of objects.
    """
    parsed = orjson.loads(payload)
    if isinstance(parsed, dict):
        return [(payload, parsed)]
    if isinstance(parsed, list) and all(isinstance(element, dict) for element in parsed):
        return list(zip(split_list(payload), parsed, strict=True))
    raise ValueError("neither a JSON object nor an array of objects")
