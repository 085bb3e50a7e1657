"""All clients at work at once."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from rehearsal.faults.agents import Agent
from rehearsal.faults.asking import Asker
from rehearsal.faults.clients import Appender, Client, Editor, Mover, Reader, Tasker, Writer
from rehearsal.faults.ledger import Ledger
from rehearsal.faults.system import System

KINDS: tuple[tuple[type[Client], str, int], ...] = (
    (Writer, "w", 2), (Appender, "a", 2), (Mover, "m", 2), (Tasker, "t", 3), (Reader, "r", 2), (Editor, "e", 1),
    (Agent, "g", 2),
)  # fmt: skip


@contextmanager
def load(asker: Asker, ledger: Ledger, seed: int, system: System) -> Iterator[list[Client]]:
    """All clients; they settle what is open when the block ends."""
    stopping = threading.Event()
    clients = [
        kind(f"{letter}{number}", asker, ledger, seed, stopping)
        for kind, letter, count in KINDS
        for number in range(count)
    ]
    for number, client in enumerate(clients):
        if isinstance(client, Editor):
            client.vault = system.vault
        if isinstance(client, Agent):
            client.url = system.address("mcp")
            client.mode = ("auto", "legacy")[number % 2]
        client.start()
    try:
        yield clients
    finally:
        stopping.set()
        for client in clients:
            client.join(300)
    failed = [f"{each.name}: {each.failed!r}" for each in clients if each.failed is not None or each.is_alive()]
    assert not failed, failed
