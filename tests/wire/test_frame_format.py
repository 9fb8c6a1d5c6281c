"""What is sent: final frames, masked anew each time, and Close bodies that may be sent."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from upbit_ws.protocol.frames import Opcode
from upbit_ws.wire.frame_format import client_frame, close_payload


def test_a_frame_is_final_and_masked_with_a_new_mask_each_time() -> None:
    frames = {client_frame(Opcode.TEXT, b"x" * 10) for _ in range(50)}

    assert len(frames) == 50
    for frame in frames:
        assert frame[:2] == b"\x81\x8a"
        mask, payload = frame[2:6], frame[6:]
        assert bytes(byte ^ mask[index & 3] for index, byte in enumerate(payload)) == b"x" * 10
    assert client_frame(Opcode.TEXT, b"", is_compressed=True)[0] == 0xC1


def test_the_library_is_imported_with_the_first_frame_only() -> None:
    code = (
        "import sys, upbit_ws.wire.frame_format as f; assert 'websocket' not in sys.modules; "
        "f.client_frame(1, b''); assert 'websocket' in sys.modules"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("code", [1004, 1005, 1006, 1015])
def test_codes_that_may_not_be_sent_have_no_body(code: int) -> None:
    assert close_payload(code, "why") == b""


def test_a_close_has_its_code_and_reason() -> None:
    assert close_payload(1000) == b"\x03\xe8"
    assert close_payload(4001, "업비트") == b"\x0f\xa1" + "업비트".encode()


@given(st.text(max_size=200))
@example("업" * 100)
@example("x" + "업" * 100)
def test_a_reason_always_fits_a_control_frame_and_is_text(reason: str) -> None:
    body = close_payload(1000, reason)

    assert len(body) <= 125
    assert body[2:].decode() in reason.encode("utf-8", "replace").decode()
