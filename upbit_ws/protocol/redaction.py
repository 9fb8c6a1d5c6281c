"""Showing what came from outside: in one printable, bounded line, and without tokens.

Close reasons, error messages, bodies of refused requests and codes from the wire pass through here before they reach a
message, a log or a terminal.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

__all__ = ["escape_text", "mask_secrets"]

#: A JWT, whole or cut off anywhere: everything that begins like the base64 of '{"'.
_JWT = re.compile(r"eyJ[\w\-]*(?:\.[\w\-]*)*")
_BEARER = re.compile(r"(?i)(bearer\s+)[\w\-.~+/=]+")
_MASK = "***"


def mask_secrets(text: str, secrets: Iterable[str] = ()) -> str:
    """`text` without tokens: the given secrets, whatever follows "Bearer", and everything that looks like a JWT."""
    for secret in secrets:
        if secret:
            text = text.replace(secret, _MASK)
    return _JWT.sub(_MASK, _BEARER.sub(rf"\1{_MASK}", text))


def escape_text(text: str, limit: int = 256) -> str:
    """`text` as one printable line of at most `limit` characters, with a sign at the end where there was more.

    Nothing in it can break a log line or a terminal; Korean stays readable.
    """
    shown: list[str] = []
    size = 0
    for character in text:
        piece = character if character.isprintable() and character != "\\" else ascii(character)[1:-1]
        if size + len(piece) > limit:
            shown.append("…")
            break
        shown.append(piece)
        size += len(piece)
    return "".join(shown)
