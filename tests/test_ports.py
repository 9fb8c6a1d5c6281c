"""The port that a test keeps for a server that stops and starts again."""

from __future__ import annotations

import socket

import pytest

from tests.ports import reserved_port


@pytest.mark.linux
def test_it_refuses_while_nobody_serves_and_can_be_served_again_and_again() -> None:
    with reserved_port() as port:
        for _ in range(2):
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection(("127.0.0.1", port))
            with socket.create_server(("127.0.0.1", port)), socket.create_connection(("127.0.0.1", port)):
                pass


@pytest.mark.linux
def test_who_asks_for_another_port_does_not_get_it() -> None:
    with reserved_port() as port, socket.socket() as other, pytest.raises(OSError, match="in use"):
        other.bind(("127.0.0.1", port))
