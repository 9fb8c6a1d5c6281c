"""What is measured. Each module has `measure(bench, names)`, `tables(data)` and `targets(data)`.

`data` is what `measure` returned: JSON, so that a report can be made again from the file of a run.
"""

from __future__ import annotations

from types import ModuleType

from benchmarks.measures import (
    callbacks,
    cpu,
    decoding,
    delay,
    growth,
    imports,
    memory,
    pulls,
    system_calls,
    throughput,
)

MEASURES: dict[str, ModuleType] = {
    "throughput": throughput,
    "cpu": cpu,
    "syscalls": system_calls,
    "delay": delay,
    "pulls": pulls,
    "callbacks": callbacks,
    "decoding": decoding,
    "memory": memory,
    "imports": imports,
    "growth": growth,
}
"""By the name that `--only` takes, in the order of the report."""
