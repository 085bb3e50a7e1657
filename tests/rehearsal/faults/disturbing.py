"""The faults. Each begins, lasts, and ends; what it needs and this machine has not is skipped, and said."""

import random
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

import pika

from rehearsal.faults.system import System

JUMP_SECONDS = 2 * 3600
SLOW_SECONDS = 0.15
POISONED_QUEUES = ("git_auto_commit", "mcp_sync", "task_sync")


@dataclass(frozen=True, slots=True)
class Fault:
    """`name` is what the table says; `lasting` is the context in which it lasts, `seconds` how long."""

    name: str
    lasting: Callable[[], AbstractContextManager[None]]
    seconds: float = 0.0
    needs: str = ""


class Faults:
    """The faults of one system; the seed of `choose` decides about all that is left to chance."""

    def __init__(
        self, system: System, choose: random.Random, outage_seconds: float, *, at_once: int, cuts: int
    ) -> None:
        self._system = system
        self._choose = choose
        self._seconds = outage_seconds
        self._at_once, self._cuts = at_once, cuts
        self.poison: Counter[tuple[str, str]] = Counter()

    def all(self) -> list[Fault]:
        """In the order in which they are to come."""
        kept = sorted(self._system.kept)
        kills = [self._kill(name) for name in kept]
        kills += [self._kill(*self._choose.sample(kept, 3)) for _ in range(self._at_once)]
        lines = ("postgres", "rabbitmq", "redis", "files", "tasks")
        network = [
            fault(name)
            for fault in (self._cut, self._slow, self._stall)
            for name in self._choose.sample(lines, self._cuts)
        ]
        outages = [
            Fault("RabbitMQ stopped", self._rabbitmq, self._seconds),
            Fault("PostgreSQL stopped", self._postgres, self._seconds),
            Fault("Redis stopped", self._redis, self._seconds),
        ]
        disks = "" if self._system.small_disks else "a small disk can be mounted by root alone"
        clocks = "" if self._system.clocks else "the clock of a process cannot be shifted without a C compiler"
        others = [
            Fault("the vault's disk full", self._full_vault, min(self._seconds, 10), disks),
            Fault("the state's disk full", self._full_state, min(self._seconds, 10), disks),
            Fault("clocks jump", self._clocks, min(self._seconds, 5), clocks),
            Fault("a poison message", self._poison, 0.5),
        ]
        faults = [*kills, *network, *outages, *others]
        self._choose.shuffle(faults)
        return faults

    def _kill(self, *names: str) -> Fault:
        @contextmanager
        def lasting() -> Iterator[None]:
            for name in names:
                self._system.kill(name)
            yield

        kinds = [name.partition("-")[0] for name in names]
        return Fault(f"kill -9 {kinds[0]}" if len(names) == 1 else f"kill -9 of {len(names)} at once", lasting)

    def _cut(self, name: str) -> Fault:
        @contextmanager
        def lasting() -> Iterator[None]:
            self._system.proxies[name].cut()
            yield
            self._system.proxies[name].mend()

        return Fault("network cut", lasting, self._choose.uniform(0.5, 0.4 * self._seconds))

    def _slow(self, name: str) -> Fault:
        @contextmanager
        def lasting() -> Iterator[None]:
            self._system.proxies[name].slow(SLOW_SECONDS)
            yield
            self._system.proxies[name].mend()

        return Fault("network slowed", lasting, self._choose.uniform(0.5, 0.4 * self._seconds))

    def _stall(self, name: str) -> Fault:
        @contextmanager
        def lasting() -> Iterator[None]:
            self._system.proxies[name].stall()
            yield
            self._system.proxies[name].mend()

        return Fault("network silent", lasting, self._choose.uniform(0.5, 0.4 * self._seconds))

    @contextmanager
    def _rabbitmq(self) -> Iterator[None]:
        self._system.rabbitmq.kill()
        yield
        self._system.rabbitmq.start()

    @contextmanager
    def _postgres(self) -> Iterator[None]:
        self._system.postgres.stop()
        yield
        self._system.postgres.start()

    @contextmanager
    def _redis(self) -> Iterator[None]:
        self._system.redis.stop()
        yield
        self._system.redis.start()

    @contextmanager
    def _full_vault(self) -> Iterator[None]:
        with self._system.full(self._system.vault):
            yield

    @contextmanager
    def _full_state(self) -> Iterator[None]:
        with self._system.full(self._system.state):
            yield

    @contextmanager
    def _clocks(self) -> Iterator[None]:
        for name in self._system.kept:
            self._system.shift_clock(name, self._choose.choice((-JUMP_SECONDS, 0, JUMP_SECONDS)))
        yield
        for name in self._system.kept:
            self._system.shift_clock(name, 0)

    @contextmanager
    def _poison(self) -> Iterator[None]:
        body = f"poison {self._choose.getrandbits(32)}"
        connection = pika.BlockingConnection(pika.URLParameters(self._system.rabbitmq.url))
        channel = connection.channel()
        channel.confirm_delivery()
        properties = pika.BasicProperties(delivery_mode=2)  # type: ignore[no-untyped-call]  # the library's own oversight
        channel.basic_publish("weave-nn.events", "vault.file.created", body.encode(), properties)
        connection.close()
        self.poison.update((body, queue) for queue in POISONED_QUEUES)
        yield


def last(fault: Fault, at_its_end: Callable[[], None]) -> None:
    """Let a fault happen, and look at its consequences just before it ends; it has ended when this returns."""
    with fault.lasting():
        threading.Event().wait(fault.seconds)
        at_its_end()
