"""Section I: how processes end, fork and copy. Each fault happens in a Python of its own and is seen from outside."""

from __future__ import annotations

import copy
import gc
import multiprocessing
import pickle
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from multiprocessing import resource_tracker

import pytest

from tests.imports import modules
from tests.process import ROOT, PythonRunner
from tests.reliability.invariants import canary_auth
from tests.reliability.rig import Rig, wait_until
from tests.samples import messages
from upbit_ws import (
    ClientClosedError,
    DataTimeoutError,
    DataType,
    GlobalWebSocketManager,
    SimpleWebSocketClient,
    StaleDataError,
    StreamKey,
    WebSocketClientProxy,
    WebSocketConfig,
)
from upbit_ws.models import convert_dict_to_event
from upbit_ws.runtime import threads
from upbit_ws.sandbox import Sandbox

pytestmark = [pytest.mark.linux, pytest.mark.filterwarnings("ignore::DeprecationWarning")]

Record = Callable[..., None]

#: A program as users write it; "up" is said when the first price is there.
PROGRAM = """
import os, signal, sys, threading, time
from upbit_ws import DataType, SimpleWebSocketClient, WebSocketClientProxy, WebSocketConfig
client = SimpleWebSocketClient("program", config=WebSocketConfig.testing())
client.register_interest([DataType.TICKER], ["KRW-BTC"])
client.get_price("KRW-BTC")
print("up", flush=True)
"""
GOODBYE = 1000
#: What an interpreter needs to come down on a busy machine, on top of what the SDK may take (seconds).
INTERPRETER = 1.0


class Ending:
    """A program that was brought to its end."""

    def __init__(
        self, sandbox: Sandbox, process: subprocess.Popen[str], end: Callable[[], object], patience: float = 20.0
    ) -> None:
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n", process.communicate()
        begun = time.monotonic()
        end()
        self.stdout, self.stderr = process.communicate(timeout=patience)
        self.took = time.monotonic() - begun
        self.status = process.returncode
        wait_until(lambda: sandbox.connection_logs[0].closed_at is not None, "the end of the connection")
        self.close_code = sandbox.connection_logs[0].close_code


def ending(
    rig: Rig, run_python: PythonRunner, last_words: str, end: Callable[[subprocess.Popen[str]], object] | None = None
) -> Ending:
    sandbox = rig.sandbox()
    process = run_python.start(["-c", PROGRAM + last_words], UPBIT_BASE_URL=sandbox.url)
    return Ending(sandbox, process, lambda: end(process) if end is not None else None)


def interrupt(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGINT)


@pytest.mark.parametrize(
    ("last_words", "end", "status", "last_line"),
    [
        ("", None, 0, ""),
        ("sys.exit(3)", None, 3, ""),
        ("raise ValueError('mine')", None, 1, "ValueError: mine"),
        ("time.sleep(30)", interrupt, -signal.SIGINT, "KeyboardInterrupt"),
        (
            "client.wait_for_update('ticker', 'KRW-BTC', timeout=30)\nwhile True: time.sleep(1)",
            interrupt,
            None,
            "KeyboardInterrupt",
        ),
    ],
    ids=["end", "sys.exit", "exception", "ctrl-c", "ctrl-c in the SDK"],
)
def test_I1_an_exit_without_close_says_goodbye(
    rig: Rig, run_python: PythonRunner, record: Record, last_words: str, end: object, status: int, last_line: str
) -> None:
    over = ending(rig, run_python, last_words, end)  # type: ignore[arg-type]
    assert status is None or over.status == status
    assert over.stderr.rstrip().rpartition("\n")[2] == last_line
    assert over.close_code == GOODBYE
    assert over.took < 1.0 + INTERPRETER
    record("I1", figure=f"goodbye said, process gone after {over.took:.2f} s", bound="1 s of the SDK")


@pytest.mark.parametrize("stuck_in", ["threading.Event().wait()", "[0 for _ in iter(int, 1)]"], ids=["lock", "loop"])
def test_I2_a_callback_that_never_returns_does_not_keep_the_process(
    rig: Rig, run_python: PythonRunner, record: Record, stuck_in: str
) -> None:
    script = f"""
proxy = WebSocketClientProxy("stuck")
entered = threading.Event()
def stuck(event):
    entered.set()
    {stuck_in}
proxy.subscribe_ticker(["KRW-BTC"], stuck)
assert entered.wait(10)
"""
    over = ending(rig, run_python, script)
    assert (over.status, over.stderr) == (0, "")
    assert over.close_code == GOODBYE
    assert over.took < 2.0 + INTERPRETER
    record("I2", figure=f"process gone after {over.took:.2f} s, goodbye said", bound="exits")


def test_I3_no_thread_of_the_sdk_outlives_the_main_thread(rig: Rig) -> None:
    sandbox = rig.sandbox()
    before = set(threading.enumerate())
    subject = rig.connect(sandbox, ["ticker", "trade"])
    proxy = WebSocketClientProxy("callbacks", manager=subject.manager)
    proxy.subscribe_ticker(["KRW-*"], lambda event: None)
    subject.client.get_price("KRW-BTC")
    sandbox.drop_all()
    subject.await_event(type(subject.manager.published[0]), 2)
    mine = [thread for thread in threading.enumerate() if thread not in before]
    assert len(mine) >= 6
    assert [thread.name for thread in mine if not thread.daemon] == []
    own = [module for module in modules() if module.folder not in ("sandbox", "testing")]
    makers = [module.path.stem for module in own if "threading.Thread(" in module.source]
    assert makers == ["threads"]


def test_I4_sigterm_ends_the_process_as_python_does(rig: Rig, run_python: PythonRunner) -> None:
    over = ending(rig, run_python, "time.sleep(30)", lambda process: process.terminate())
    assert (over.status, over.stderr, over.close_code) == (-signal.SIGTERM, "", None)


def test_I4_with_the_documented_handler_sigterm_says_goodbye(
    rig: Rig, run_python: PythonRunner, record: Record
) -> None:
    recipe = (ROOT / "docs" / "processes.md").read_text("utf-8").split("```python\n")[1].split("```")[0]
    sandbox = rig.sandbox()
    script = recipe + PROGRAM + "time.sleep(30)"
    process = run_python.start(["-c", script], UPBIT_BASE_URL=sandbox.url)
    over = Ending(sandbox, process, process.terminate)
    assert (over.status, over.stderr, over.close_code) == (128 + signal.SIGTERM, "", GOODBYE)
    record(
        "I4", figure=f"as Python does; with the recipe goodbye said, gone after {over.took:.2f} s", bound="documented"
    )


def test_I4_the_sdk_installs_no_signal_handler(rig: Rig) -> None:
    before = {number: signal.getsignal(number) for number in signal.valid_signals()}
    rig.connect(rig.sandbox()).client.get_price("KRW-BTC")
    assert {number: signal.getsignal(number) for number in signal.valid_signals()} == before


@pytest.mark.parametrize(
    ("last_words", "end", "status"),
    [("os._exit(7)", None, 7), ("time.sleep(30)", lambda process: process.kill(), -signal.SIGKILL)],
    ids=["os._exit", "SIGKILL"],
)
def test_I5_a_sudden_death_leaves_nothing_on_disk(
    rig: Rig, run_python: PythonRunner, record: Record, tmp_path: object, last_words: str, end: object, status: int
) -> None:
    sandbox = rig.sandbox()
    folders = {"HOME": str(tmp_path), "TMPDIR": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path)}
    process = run_python.start(["-c", PROGRAM + last_words], cwd=tmp_path, UPBIT_BASE_URL=sandbox.url, **folders)  # type: ignore[arg-type]
    over = Ending(sandbox, process, lambda: end(process) if end is not None else None)  # type: ignore[operator]
    assert over.status == status
    left = sorted(path.name for path in tmp_path.rglob("*"))  # type: ignore[attr-defined]
    assert left == []
    record("I5", figure="no file of the SDK on disk", bound="nothing corrupt")


def test_I6_closing_starts_no_thread(rig: Rig, run_python: PythonRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    sandbox = rig.sandbox()
    subject = rig.connect(sandbox, ["ticker", "trade"])
    proxy = WebSocketClientProxy("callbacks", manager=subject.manager)
    proxy.subscribe_trade(["KRW-BTC"], lambda event: None)
    subject.client.get_price("KRW-BTC")
    started: list[str] = []
    closer = threading.Thread(target=subject.manager.close)
    start = threading.Thread.start

    def watched(thread: threading.Thread) -> None:
        if thread is not closer:
            started.append(thread.name)
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", watched)
    proxy.close()
    closer.start()
    closer.join(5.0)
    assert started == []
    over = ending(rig, run_python, "import atexit\natexit.register(lambda: client.close())")
    assert (over.status, over.stderr, over.close_code) == (0, "", GOODBYE)


FORK = """
from upbit_ws import ForkedProcessError
reader, writer = os.pipe()
pid = os.fork()
if pid == 0:
    said = []
    for use in (
        lambda: client.get_price("KRW-BTC"),
        lambda: client.register_interest(["trade"], ["KRW-ETH"]),
        lambda: client.snapshot("ticker", "KRW-BTC"),
        lambda: SimpleWebSocketClient("new", manager=client._manager),
        lambda: WebSocketClientProxy("new", manager=client._manager).subscribe_ticker(["KRW-BTC"], print),
    ):
        try:
            use()
            said.append("nothing")
        except ForkedProcessError as error:
            said.append(str(error.owner_pid == os.getppid()))
    client.close()
    client._manager.close()
    os.write(writer, " ".join(said).encode())
    %s
os.waitpid(pid, 0)
print(os.read(reader, 100).decode())
client.wait_for_update("ticker", "KRW-BTC", timeout=10)
status = client.status().connections[0]
print(status.epoch, status.reconnects, status.state.value)
"""


@pytest.mark.parametrize("leave", ["os._exit(0)", "sys.exit(0)", "raise ValueError"], ids=["_exit", "exit", "error"])
def test_I7_a_forked_child_is_told_so_and_does_no_harm(
    rig: Rig, run_python: PythonRunner, record: Record, leave: str
) -> None:
    sandbox = rig.sandbox()
    proxy = rig.proxy(sandbox)
    process = run_python.start(
        ["-W", "ignore", "-c", PROGRAM + FORK % leave], UPBIT_BASE_URL=f"http://127.0.0.1:{proxy.port}"
    )
    over = Ending(sandbox, process, lambda: None)
    child, parent = over.stdout.splitlines()
    assert child == "True True True True True"
    assert parent == "1 0 connected"
    assert over.status == 0
    assert (over.stderr == "") is (leave != "raise ValueError")
    # One connection, one request, and at the end the goodbye of the parent: not a byte from the child.
    assert (len(sandbox.connection_logs), len(sandbox.requests), over.close_code) == (1, 1, GOODBYE)
    assert proxy.counters.connections == 1
    record("I7", figure="5 of 5 calls refused; the parent's connection untouched", bound="no byte from the child")


def test_I8_a_fork_while_locks_are_held_leaves_a_child_that_works(
    rig: Rig, run_python: PythonRunner, record: Record
) -> None:
    sandbox = rig.sandbox(rate=200.0)
    script = """
import faulthandler
from upbit_ws.client import shared_manager as module
busy = [SimpleWebSocketClient(f"busy{n}") for n in range(4)]
is_over = False
def churn(own):
    while not is_over:
        own.register_interest(["trade"], ["KRW-ETH"])
        own.unregister_interest(["trade"])
churners = [threading.Thread(target=churn, args=(own,), daemon=True) for own in busy]
for churner in churners: churner.start()
done = 0
for number in range(%d):
    held = [client._manager._lock, client._manager.pool._lock, module._global_lock][number %% 3]
    held.acquire()
    pid = os.fork()
    if pid == 0:
        faulthandler.dump_traceback_later(25, exit=True)
        import upbit_ws.testing
        with SimpleWebSocketClient("child", config=WebSocketConfig.testing()) as mine:
            mine.register_interest([DataType.TICKER], ["KRW-ETH"])
            os._exit(0 if mine.get_price("KRW-ETH", timeout=20) > 0 else 1)
    held.release()
    done += os.waitpid(pid, 0)[1] == 0
is_over = True
for churner in churners: churner.join(10)
print(done)
"""
    forks = 12  # each child dials and waits for a price, which takes its time on a busy machine
    process = run_python.start(["-W", "ignore", "-c", PROGRAM + script % forks], UPBIT_BASE_URL=sandbox.url)
    over = Ending(sandbox, process, lambda: None, patience=50.0)
    assert (over.stdout, over.stderr) == (f"{forks}\n", "")
    record("I8", figure=f"{forks} of {forks} children connect anew", bound="no deadlock")


def _events() -> list[object]:
    """One event of each published message."""
    return [
        convert_dict_to_event(found[0])
        for name, found in messages().items()
        if name.endswith(".DEFAULT") and "type" in found[0]
    ]


def _echo(given: object) -> object:
    """In another process: what came there, sent back."""
    return given


@pytest.fixture(scope="module")
def helper_process() -> None:
    """What `multiprocessing` starts with its first pool and keeps to the end: there before anything is counted."""
    resource_tracker.ensure_running()


@pytest.mark.usefixtures("helper_process")
def test_I9_what_crosses_to_another_process(rig: Rig, record: Record) -> None:
    subject = rig.connect(rig.sandbox(), ["ticker"])
    reading = subject.client.snapshot("ticker", "KRW-BTC")
    proxy = WebSocketClientProxy("proxy", manager=subject.manager)
    config = WebSocketConfig.testing()
    key = StreamKey(DataType.TICKER, "KRW-BTC")
    travellers = [
        reading.event, config, DataTimeoutError((key,), timeout=1.0), ClientClosedError("client"),
        StaleDataError(9.0, 5.0, (key,)), DataType.CANDLE_1M, *_events(),
    ]  # fmt: skip
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        returned = pool.map(_echo, travellers)
    for there, back in zip(travellers, returned, strict=True):
        assert type(back) is type(there)
        assert str(back) == str(there)
        assert isinstance(there, Exception) or back == there
    for staying in (subject.client, subject.manager, proxy):
        with pytest.raises(TypeError, match="make a new one"):
            pickle.dumps(staying)
    secretive = WebSocketConfig.testing(auth=canary_auth())
    with pytest.raises(TypeError, match="never pickled"):
        pickle.dumps(secretive)
    record(
        "I9", figure=f"{len(travellers)} values return equal; clients and keys refuse", bound="no secret, no surprise"
    )


@pytest.mark.parametrize("copier", [copy.copy, copy.deepcopy])
def test_I10_what_is_alive_is_not_copied(rig: Rig, copier: Callable[[object], object]) -> None:
    subject = rig.connect(rig.sandbox())
    for living in (subject.client, subject.manager, WebSocketClientProxy("proxy", manager=subject.manager)):
        with pytest.raises(TypeError, match="cannot be copied"):
            copier(living)


def test_I11_a_second_import_brings_no_second_hook_and_no_thread(run_python: PythonRunner) -> None:
    script = """
import atexit, importlib, os, sys, threading
hooks = []
register, at_fork = atexit.register, os.register_at_fork
atexit.register = lambda hook, *rest: (hooks.append(hook), register(hook, *rest))[1]
os.register_at_fork = lambda **named: (hooks.append(named), at_fork(**named))[1]
import upbit_ws, upbit_ws.client.simple_websocket_client as module
mine = lambda: sum("upbit_ws" in repr(hook) or "_abandon_all" in repr(hook) or "_close_all" in repr(hook) for hook in hooks)
first = mine()
importlib.import_module("upbit_ws")
importlib.reload(upbit_ws)
importlib.reload(module)
del sys.modules["upbit_ws"]
import upbit_ws
print(first, mine(), threading.active_count())
"""
    done = run_python(["-c", script])
    assert (done.stdout, done.stderr) == ("2 2 1\n", "")


def test_I12_sub_interpreters_are_documented_as_unsupported() -> None:
    text = (ROOT / "docs" / "processes.md").read_text("utf-8")
    assert "sub-interpreters" in text.lower()


#: Threads with stacks so large, and an address space so small, that the system has `%d` left: a real EAGAIN.
NO_THREADS = """
import resource, sys, threading
from upbit_ws import SimpleWebSocketClient, WebSocketClientProxy, GlobalWebSocketManager, WebSocketConfig
import upbit_ws.wire.dial, upbit_ws.runtime.session
stack, left = 1 << 30, %d
threading.stack_size(stack)
def allow(count):
    size = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmSize")) << 10
    resource.setrlimit(resource.RLIMIT_AS, (size + count * stack + (stack >> 1), resource.RLIM_INFINITY))
manager = GlobalWebSocketManager(WebSocketConfig.testing())
allow(left)
%s
try:
    use()
    print("served")
except RuntimeError as error:
    print(error)
names = sorted(thread.name for thread in threading.enumerate()[1:])
allow(99)
"""
PULL = NO_THREADS.replace(
    "%s",
    """
client = SimpleWebSocketClient("client", manager=manager)
use = lambda: client.register_interest(["ticker"], ["KRW-BTC"])
""",
)
PUSH = NO_THREADS.replace(
    "%s",
    """
client = WebSocketClientProxy("proxy", manager=manager)
arrived = threading.Event()
use = lambda: client.subscribe_ticker(["KRW-BTC"], lambda event: arrived.set())
""",
)


@pytest.mark.parametrize("left", range(4))
def test_I13_without_threads_a_registration_fails_whole(
    rig: Rig, run_python: PythonRunner, record: Record, left: int
) -> None:
    script = """
from upbit_ws.types import Endpoint
print(client.status().interests, manager.subscriptions.wanted(Endpoint.PUBLIC))
print(manager.state.value)
use()
print(client.get_price("KRW-BTC") > 0)
manager.close()
print(threading.active_count())
"""
    done = run_python(["-c", PULL % left + script], UPBIT_BASE_URL=rig.sandbox().url)
    said = done.stdout.splitlines()
    assert done.stderr == ""
    assert said[0] == "can't start new thread"
    assert said[1] == "0 None"
    assert said[2] == ("idle" if left < 3 else "active")
    assert said[3:] == ["True", "1"]
    record(
        "I13",
        figure="with 0 to 3 threads left: refused whole, and served when there are more",
        bound="nothing half done",
    )


@pytest.mark.parametrize("left", range(7))
def test_I13_without_threads_a_subscription_fails_whole(rig: Rig, run_python: PythonRunner, left: int) -> None:
    script = """
print(len(client.statistics()))
use()
print(arrived.wait(10))
manager.close()
print(threading.active_count())
"""
    done = run_python(["-c", PUSH % left + script], UPBIT_BASE_URL=rig.sandbox().url)
    assert done.stderr == ""
    assert done.stdout.splitlines() == ["can't start new thread", "0", "True", "1"]


def test_what_was_forgotten_is_not_kept_for_the_exit() -> None:
    manager = GlobalWebSocketManager(WebSocketConfig.testing())
    SimpleWebSocketClient("client", manager=manager)
    gc.collect()
    assert manager not in threads._open
    assert sys.is_finalizing() is False
