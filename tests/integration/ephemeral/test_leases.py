"""The same cases on locks of files and on Redis; then what only a lease over a network has to stand."""

import functools
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest
from redis import Redis
from redis.exceptions import RedisError

from deploy.description import compose
from integration.ephemeral import holder
from redis_server import OwnRedis
from weave_nn.shared.ephemeral.leases import Lease, Leases
from weave_nn.shared.ephemeral.leases.redis import RedisLeases

LEASE_SECONDS = 4.0
"""A holder that gets no processor for a good third of it has lost it; no machine should be as busy as that."""

LIMIT_SECONDS = 60
POLL_SECONDS = 0.02

processes = multiprocessing.get_context("forkserver")
processes.set_forkserver_preload(["integration.ephemeral.holder"])

OpenLeases = Callable[[], Leases]


@pytest.fixture(params=["files", "redis"])
def where(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    if request.param == "files":
        return str(tmp_path_factory.mktemp("leases")), ""
    return request.getfixturevalue("redis_url"), request.getfixturevalue("redis_prefix")


@pytest.fixture
def open_leases(where: tuple[str, str]) -> Iterator[OpenLeases]:
    """Each call is what another process would open."""
    opened = []

    def make() -> Leases:
        opened.append(holder.open_leases(*where, LEASE_SECONDS))
        return opened[-1]

    yield make
    for leases in opened:
        leases.close()


def eventually(look: Callable[[], Lease | None]) -> Lease:
    deadline = time.monotonic() + LIMIT_SECONDS
    while (found := look()) is None:
        assert time.monotonic() < deadline
        time.sleep(POLL_SECONDS)
    return found


def test_one_holds_it_until_it_is_released(open_leases: OpenLeases) -> None:
    mine, other = open_leases(), open_leases()
    lease = mine.hold("watcher")
    assert lease is not None
    assert (lease.name, lease.held) == ("watcher", True)
    assert other.hold("watcher") is None
    assert mine.hold("watcher") is None
    lease.release()
    assert not lease.held
    lease.release()
    taken = other.hold("watcher")
    assert taken is not None
    # What one no longer has, one cannot give away.
    lease.release()
    assert mine.hold("watcher") is None
    assert taken.held


def test_names_are_apart(open_leases: OpenLeases) -> None:
    leases = open_leases()
    held = [leases.hold(name) for name in ("watcher", "git", "keeper.tasks")]
    assert all(lease is not None and lease.held for lease in held)


def test_tokens_only_grow_whoever_holds(open_leases: OpenLeases) -> None:
    tokens = []
    for _ in range(20):
        leases = open_leases()
        lease = leases.hold("watcher")
        assert lease is not None
        tokens.append(lease.token)
        lease.release()
    assert tokens == sorted(set(tokens))


def test_of_many_threads_one_gets_it(open_leases: OpenLeases) -> None:
    everyone = [open_leases() for _ in range(8)]
    barrier, got = threading.Barrier(len(everyone)), []

    def ask(leases: Leases) -> None:
        barrier.wait()
        if (lease := leases.hold("watcher")) is not None:
            got.append(lease)

    threads = [threading.Thread(target=ask, args=(leases,)) for leases in everyone]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(got) == 1


def test_it_is_held_far_longer_than_it_lasts_without_renewal(open_leases: OpenLeases) -> None:
    lost = threading.Event()
    lease = open_leases().hold("watcher", on_lost=lost.set)
    other = open_leases()
    assert lease is not None
    deadline = time.monotonic() + 1.5 * LEASE_SECONDS
    while time.monotonic() < deadline:
        assert other.hold("watcher") is None
        assert lease.held
        time.sleep(POLL_SECONDS)
    assert not lost.is_set()


def test_closing_releases_all(open_leases: OpenLeases) -> None:
    leases = open_leases()
    held = [leases.hold(name) for name in ("a", "b")]
    leases.close()
    assert not any(lease is None or lease.held for lease in held)
    assert open_leases().hold("a") is not None


def test_the_lease_of_a_killed_process_goes_to_the_next(where: tuple[str, str], open_leases: OpenLeases) -> None:
    here, there = processes.Pipe()
    process = processes.Process(target=holder.hold, args=(*where, LEASE_SECONDS, there), daemon=True)
    process.start()
    assert here.poll(LIMIT_SECONDS)
    token = here.recv()
    leases = open_leases()
    assert token is not None
    assert leases.hold("watcher") is None
    process.kill()
    taken = eventually(functools.partial(leases.hold, "watcher"))
    assert taken.token > token
    process.join()


def test_whoever_was_stopped_too_long_knows_it_at_once(redis_url: str, redis_prefix: str) -> None:
    here, there = processes.Pipe()
    arguments = (redis_url, redis_prefix, LEASE_SECONDS, there)
    process = processes.Process(target=holder.hold_and_answer, args=arguments, daemon=True)
    process.start()
    assert here.poll(LIMIT_SECONDS)
    token, held = here.recv()
    assert held
    assert process.pid is not None
    os.kill(process.pid, signal.SIGSTOP)
    leases = RedisLeases(redis_url, prefix=redis_prefix, lease_seconds=LEASE_SECONDS)
    taken = eventually(functools.partial(leases.hold, "watcher"))
    here.send("are you still the one?")
    os.kill(process.pid, signal.SIGCONT)
    assert here.poll(LIMIT_SECONDS)
    assert here.recv() == (token, False)
    assert taken.token > token
    assert taken.held
    process.kill()
    process.join()
    leases.close()


def test_without_redis_nobody_holds_anything(own_redis: OwnRedis) -> None:
    leases = RedisLeases(own_redis.url, lease_seconds=LEASE_SECONDS)
    lost = threading.Event()
    lease = eventually(functools.partial(leases.hold, "watcher", on_lost=lost.set))
    own_redis.stop()
    assert lost.wait(LIMIT_SECONDS)
    assert not lease.held
    assert leases.hold("watcher") is None
    own_redis.start()
    again = eventually(functools.partial(leases.hold, "watcher"))
    assert again.token > lease.token
    leases.close()


def test_a_redis_that_forgot_everything_gives_no_lease_to_two(own_redis: OwnRedis) -> None:
    mine, other = (RedisLeases(own_redis.url, lease_seconds=LEASE_SECONDS) for _ in range(2))
    lost = threading.Event()
    lease = eventually(functools.partial(mine.hold, "watcher", on_lost=lost.set))
    own_redis.stop()
    own_redis.start()
    taken = eventually(functools.partial(other.hold, "watcher"))
    assert lost.is_set()
    assert not lease.held
    assert taken.token > lease.token
    mine.close()
    other.close()


def test_a_redis_that_is_full_takes_the_lease_from_nobody(own_redis: OwnRedis) -> None:
    command = compose({})["services"]["redis"]["command"]
    mine, other = (RedisLeases(own_redis.url, lease_seconds=LEASE_SECONDS) for _ in range(2))
    lost = threading.Event()
    lease = eventually(functools.partial(mine.hold, "watcher", on_lost=lost.set))
    with Redis.from_url(own_redis.url) as client, suppress(RedisError):
        client.config_set("maxmemory-policy", command[command.index("--maxmemory-policy") + 1])
        client.config_set("maxmemory", client.info("memory")["used_memory"] + 2**20)
        for number in range(5000):
            client.set(f"filler {number}", bytes(1000), ex=600)
    deadline = time.monotonic() + LEASE_SECONDS
    while time.monotonic() < deadline:
        assert other.hold("watcher") is None
        time.sleep(POLL_SECONDS)
    assert lease.held
    assert not lost.is_set()
    mine.close()
    other.close()


def test_a_holder_takes_nobody_elses_lease_for_its_own(redis_url: str, redis_prefix: str) -> None:
    leases = RedisLeases(redis_url, prefix=redis_prefix, lease_seconds=LEASE_SECONDS)
    lost = threading.Event()
    lease = leases.hold("watcher", on_lost=lost.set)
    assert lease is not None
    with Redis.from_url(redis_url) as client:
        client.set(f"{redis_prefix}lease:{{watcher}}", "somebody else", px=60_000)
        assert lost.wait(LIMIT_SECONDS)
        leases.close()
        assert client.get(f"{redis_prefix}lease:{{watcher}}") == b"somebody else"
