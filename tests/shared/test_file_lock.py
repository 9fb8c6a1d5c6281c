"""A file that processes take turns with."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from upbit_ws.shared.file_lock import locked_file


def test_one_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "turns"
    with locked_file(path) as first:
        assert first is not None
        with locked_file(path) as second:
            assert second is None
    with locked_file(path) as third:
        assert third is not None


def test_what_is_written_is_read_by_the_next(tmp_path: Path) -> None:
    path = tmp_path / "turns"
    with locked_file(path) as file:
        assert file is not None
        file.write(b"a longer one")
    with locked_file(path) as file:
        assert file is not None
        file.write(b"short")
    with locked_file(path) as file:
        assert file is not None
        assert file.read().strip() == b"short"


@pytest.mark.linux
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_child_that_was_forked_meanwhile_does_not_keep_the_turn(tmp_path: Path) -> None:
    path = tmp_path / "turns"
    reader, writer = os.pipe()
    with locked_file(path) as file:
        assert file is not None
        child = os.fork()  # as another thread may, at any moment
        if child == 0:
            os.close(writer)
            os.read(reader, 1)
            os._exit(0)
    try:
        with locked_file(path) as next_one:
            assert next_one is not None
    finally:
        os.close(writer)
        os.close(reader)
        os.waitpid(child, 0)
