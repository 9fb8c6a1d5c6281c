"""Components are known without being kept alive."""

from __future__ import annotations

import gc
import logging
import threading
import weakref

import pytest

from upbit_ws.shared.component_registry import ComponentRegistry


class Client:
    """Stands for a user's client; may be part of a cycle."""

    def __init__(self, name: str = "client") -> None:
        self.name = name
        self.itself: Client | None = None


@pytest.fixture
def registry() -> ComponentRegistry[Client]:
    return ComponentRegistry()


def test_a_live_component_is_found_by_its_name(registry: ComponentRegistry[Client]) -> None:
    client = Client()
    registration = registry.register("alpha", client)
    assert registration.previous is None
    assert registration.previous_token is None
    assert registry.get("alpha") is client
    assert registry.get("beta") is None
    assert registry.alive() == [client]
    assert registry.names() == {registration.token: "alpha"}


def test_the_registry_does_not_keep_a_component_alive(registry: ComponentRegistry[Client]) -> None:
    client = Client()
    token = registry.register("alpha", client).token
    del client
    gc.collect()
    assert registry.get("alpha") is None
    assert registry.alive() == []
    assert registry.sweep() == [token]
    assert registry.sweep() == []
    assert len(registry) == 0


def test_a_component_in_a_cycle_is_swept_after_the_collector_ran(registry: ComponentRegistry[Client]) -> None:
    client = Client()
    client.itself = client
    token = registry.register("alpha", client).token
    del client
    gc.collect()
    assert registry.sweep() == [token]


def test_a_second_component_of_the_same_name_takes_the_place_of_the_first(registry: ComponentRegistry[Client]) -> None:
    old, new = Client("old"), Client("new")
    old_token = registry.register("alpha", old).token
    registration = registry.register("alpha", new)
    assert registration.previous is old
    assert registration.previous_token == old_token
    assert registration.token != old_token
    assert registry.get("alpha") is new
    assert registry.unregister(old_token)
    assert registry.get("alpha") is new


def test_a_name_that_is_taken_again_and_again_is_said_once(
    registry: ComponentRegistry[Client], caplog: pytest.LogCaptureFixture
) -> None:
    clients = [Client() for _ in range(3)]
    for client in clients:
        registry.register("cell", client)
        registry.register("other", clients[0])

    said = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert [name for message in said for name in ("'cell'", "'other'") if name in message] == ["'cell'", "'other'"]


def test_a_dead_component_has_no_place_to_be_taken(registry: ComponentRegistry[Client]) -> None:
    client = Client()
    token = registry.register("alpha", client).token
    del client
    gc.collect()
    replacement = Client()
    registration = registry.register("alpha", replacement)
    assert (registration.previous, registration.previous_token) == (None, None)
    assert registry.sweep() == [token]
    assert registry.get("alpha") is replacement


def test_a_closed_component_is_not_reported_as_gone(registry: ComponentRegistry[Client]) -> None:
    client = Client()
    token = registry.register("alpha", client).token
    assert registry.unregister(token)
    assert not registry.unregister(token)
    assert registry.get("alpha") is None
    del client
    gc.collect()
    assert registry.sweep() == []


def test_a_component_that_died_unregistered_after_its_death_is_swept_as_nothing(
    registry: ComponentRegistry[Client],
) -> None:
    client = Client()
    token = registry.register("alpha", client).token
    del client
    gc.collect()
    assert registry.unregister(token)
    assert registry.sweep() == []


def test_a_finalizer_takes_no_lock(registry: ComponentRegistry[Client]) -> None:
    client = Client()
    token = registry.register("alpha", client).token
    done = threading.Event()

    def die_inside_the_critical_section(victims: list[Client]) -> None:
        with registry._lock:
            victims.clear()
        done.set()

    thread = threading.Thread(target=die_inside_the_critical_section, args=([client],), daemon=True)
    del client
    thread.start()
    assert done.wait(5), "the finalizer waits for the lock that its own thread holds"
    thread.join()
    assert registry.sweep() == [token]


def test_somebody_is_told_when_there_is_something_to_sweep() -> None:
    told: list[str] = []
    registry: ComponentRegistry[Client] = ComponentRegistry(on_gone=lambda: told.append("gone"))
    client = Client()
    registry.register("alpha", client)
    assert told == []
    del client
    gc.collect()
    assert told == ["gone"]


def test_components_do_not_keep_a_forgotten_registry_alive() -> None:
    registry: ComponentRegistry[Client] = ComponentRegistry()
    client = Client()
    registry.register("alpha", client)
    watch = weakref.ref(registry)
    del registry
    gc.collect()
    assert watch() is None
    assert client.name == "client"


def test_many_threads_may_register_and_drop(registry: ComponentRegistry[Client]) -> None:
    kept: list[Client] = []

    def work(number: int) -> None:
        for turn in range(100):
            client = Client(f"{number}-{turn}")
            registry.register(client.name, client)
            registry.sweep()
        kept.append(client)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    gc.collect()
    registry.sweep()
    assert {client.name for client in registry.alive()} == {client.name for client in kept}
    assert len(registry) == 8


def test_a_name_that_was_taken_long_ago_is_said_loudly_again_and_only_so_many_are_remembered(
    registry: ComponentRegistry[Client], caplog: pytest.LogCaptureFixture
) -> None:
    def take_twice(name: str) -> int:
        """The level of the log line."""
        caplog.clear()
        first, second = Client(), Client()
        registry.register(name, first)
        registry.register(name, second)
        return caplog.records[0].levelno

    with caplog.at_level(logging.DEBUG, "upbit_ws"):
        assert take_twice("alpha") == logging.WARNING
        assert take_twice("alpha") == logging.DEBUG
        for number in range(300):
            assert take_twice(f"beta {number}") == logging.WARNING
        assert take_twice("alpha") == logging.WARNING
    assert len(registry._said) < 300
