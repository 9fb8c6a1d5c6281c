"""The Python side of what also exists in C: `frames`, `id_window`, `slots` and `lanes` loaded once more, with the extension left aside."""

from __future__ import annotations

import importlib.util
from types import ModuleType
from typing import Any
from unittest import mock

from upbit_ws import _extension
from upbit_ws.protocol import frames, id_window, lanes, slots

SYMBOLS = ["KRW-BTC", "KRW-ETH", "USDT-XRP", "KRW-1000SATS"]


def without_extension(module: ModuleType) -> Any:
    """A second copy of a module, as it is where the extension was not built."""
    spec = importlib.util.spec_from_file_location(f"twin_of_{module.__name__.rpartition('.')[2]}", module.__file__)
    assert spec is not None
    assert spec.loader is not None
    copy = importlib.util.module_from_spec(spec)
    with mock.patch.object(_extension, "speedups", None):
        spec.loader.exec_module(copy)
    return copy


python_frames = without_extension(frames)
python_lanes = without_extension(lanes)
python_ids = without_extension(id_window)
with mock.patch.object(id_window, "IdWindow", python_ids.IdWindow):
    python_slots = without_extension(slots)


def state_of(slot: Any) -> dict[str, Any]:
    """All that the rules of a slot read and write."""
    names = (
        "current revision timestamp epoch is_attended older duplicates reopened pending "
        "run_of_older run_against is_disordered history_limit"
    )
    state = {name: getattr(slot, name) for name in names.split()}
    return state | {"history": list(slot.history), "entries": slot.entries(), "stand_ins": slot.stand_ins()}
