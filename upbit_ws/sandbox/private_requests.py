"""
Further rules for the types of the private and info sockets. Pure.

Source: Upbit's pages of the types. That a key without the scope gets `out_of_scope` as the name of an error frame is
taken over from REST.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from upbit_ws.fields import ANNOUNCEMENT_FIELDS
from upbit_ws.sandbox.auth import AuthError
from upbit_ws.sandbox.requests import RequestError, RequestRules
from upbit_ws.types import DataType

__all__ = ["CATEGORIES", "check_private", "unsupported"]

_SCOPES = {DataType.MY_ORDER: "view_orders", DataType.MY_ASSET: "view_assets"}
CATEGORIES: tuple[str, ...] = next(field.enum for field in ANNOUNCEMENT_FIELDS if field.name == "category")


def unsupported(name: str, value: Any, rules: RequestRules) -> RequestError:
    """INVALID_PARAM for a value that is well formed and not to be had."""
    message = f"{name} {value} is not supported." if rules.regional else f"{value} 은 지원하지 않는 {name} 입니다."
    return RequestError("INVALID_PARAM", message)


def check_private(data_type: DataType, part: Mapping[str, Any], scopes: frozenset[str], rules: RequestRules) -> None:
    """
    Check a type object of a key with these scopes.

    Raises:
        RequestError: what the error frame has to say.
    """
    scope = _SCOPES.get(data_type)
    if scope is not None and scope not in scopes:
        error = AuthError("out_of_scope")
        raise RequestError(error.name, error.message)
    if data_type is DataType.ANNOUNCEMENT:
        _check_announcement(part, rules)


def _check_announcement(part: Mapping[str, Any], rules: RequestRules) -> None:
    categories = part.get("categories", [])
    if not isinstance(categories, list) or not all(isinstance(category, str) for category in categories):
        raise RequestError.named("WRONG_FORMAT", rules)
    if not isinstance(part.get("include_body", False), bool):
        raise RequestError.named("WRONG_FORMAT", rules)
    for category in categories:
        if category not in CATEGORIES:
            raise unsupported("category", category, rules)
