"""What counts as the machine's doing, and what does not."""

from __future__ import annotations

import os
import sys
import threading
import time

import pytest

from tests.process import PythonRunner
from tests.reliability.hindrance import Hindrance

pytestmark = pytest.mark.linux


def test_what_a_program_does_itself_is_no_hindrance() -> None:
    hindrance, gate = Hindrance(), threading.Lock()
    gate.acquire()
    begun = time.monotonic()
    computed = time.thread_time() + 0.1
    while time.thread_time() < computed:
        pass
    gate.acquire(timeout=0.1)
    took = time.monotonic() - begun

    assert took - hindrance.seconds() > 0.19


def test_other_programs_on_the_same_processor_are(run_python: PythonRunner) -> None:
    home = os.sched_getaffinity(0)
    one = {min(home)}
    os.sched_setaffinity(0, one)
    try:
        others = [run_python.start(["-c", "print('on', flush=True)\nwhile True: pass"]) for _ in range(2)]
        for other in others:
            assert other.stdout is not None
            assert other.stdout.readline() == "on\n"
        hindrance, begun = Hindrance(), time.monotonic()
        computed = time.thread_time() + 0.1
        while time.thread_time() < computed:
            pass
        took = time.monotonic() - begun
    finally:
        os.sched_setaffinity(0, home)
    if not hindrance.seconds():
        pytest.skip(f"this kernel does not count ({sys.platform})")

    assert took > 0.15
    assert took - hindrance.seconds() < 0.15
