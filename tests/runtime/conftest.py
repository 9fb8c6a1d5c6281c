"""The I/O threads are tested through a manager: the same fixtures as for the clients."""

from tests.client.conftest import exchange, make_client, make_manager, manager

__all__ = ["exchange", "make_client", "make_manager", "manager"]
