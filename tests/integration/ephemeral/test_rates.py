"""The same cases on the store of a process and on Redis; then the layer of the HTTP edge that asks them."""

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest
from fastapi import APIRouter
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import REGISTRY
from redis import Redis
from starlette.testclient import TestClient

from redis_server import OwnRedis
from weave_nn.shared.ephemeral import rates
from weave_nn.shared.ephemeral.rates import MemoryLimiter, RateLimiter, RedisLimiter, open_limiter
from weave_nn.shared.errors import InvalidInput
from weave_nn.shared.http import Identity, Limits, Scope, Security, create_app

OpenLimiter = Callable[[int], RateLimiter]
PATIENT = 60.0
"""A busy machine is no outage."""
SLOW = 6
"""A minute: what is admitted in a test is the burst, for nothing leaks away so soon."""


@pytest.fixture(params=["memory", "redis"])
async def open_limiter_of(request: pytest.FixtureRequest) -> AsyncIterator[OpenLimiter]:
    opened = []
    where = None
    if request.param == "redis":
        where = request.getfixturevalue("redis_url"), request.getfixturevalue("redis_prefix")

    def make(per_minute: int) -> RateLimiter:
        if where is None:
            return MemoryLimiter(per_minute)
        opened.append(RedisLimiter(where[0], per_minute, prefix=where[1], timeout_seconds=PATIENT))
        return opened[-1]

    yield make
    for limiter in opened:
        await limiter.close()


async def admitted(limiter: RateLimiter, caller: str, times: int) -> int:
    return [await limiter.take(caller) for _ in range(times)].count(0.0)


async def test_so_many_are_admitted_and_then_none(open_limiter_of: OpenLimiter) -> None:
    limiter = open_limiter_of(SLOW)
    assert await admitted(limiter, "ada", 2 * SLOW) == SLOW
    wait = await limiter.take("ada")
    assert 0 < wait <= 60 / SLOW
    # Asking in vain does not make the wait longer.
    assert await limiter.take("ada") <= wait
    assert await admitted(limiter, "tom", SLOW) == SLOW


async def test_many_at_once_are_counted_each(open_limiter_of: OpenLimiter) -> None:
    limiter = open_limiter_of(SLOW)
    waits = await asyncio.gather(*(limiter.take("ada") for _ in range(50)))
    assert waits.count(0.0) == SLOW


async def test_it_leaks(open_limiter_of: OpenLimiter) -> None:
    limiter = open_limiter_of(3000)
    taken = await admitted(limiter, "ada", 3001)
    # Without waiting for it, the bucket takes more than its size while it is being filled.
    assert taken >= 3000
    while await limiter.take("ada") > 0:  # noqa: ASYNC110 - nobody tells when a bucket has leaked
        await asyncio.sleep(0.005)


async def test_processes_on_one_redis_count_together(redis_url: str, redis_prefix: str) -> None:
    both = [RedisLimiter(redis_url, SLOW, prefix=redis_prefix, timeout_seconds=PATIENT) for _ in range(2)]
    assert sum([await admitted(limiter, "ada", SLOW) for limiter in both]) == SLOW
    for limiter in both:
        await limiter.close()


async def test_a_clock_that_was_set_back_locks_nobody_out(redis_url: str, redis_prefix: str) -> None:
    limiter = RedisLimiter(redis_url, SLOW, prefix=redis_prefix, timeout_seconds=PATIENT)
    await limiter.take("ada")
    with Redis.from_url(redis_url) as client:
        (key,) = client.scan_iter(match=f"{redis_prefix}*")
        client.set(key, "99999999999999")
    assert await limiter.take("ada") <= 60 / SLOW
    await limiter.close()


async def test_without_redis_each_process_counts_by_itself(
    own_redis: OwnRedis, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failed() -> float:
        return REGISTRY.get_sample_value("weave_redis_unreachable_total", {"use": "rate-limit"}) or 0.0

    limiter = RedisLimiter(own_redis.url, SLOW, timeout_seconds=PATIENT)
    assert await admitted(limiter, "ada", SLOW) == SLOW
    own_redis.stop()
    before = failed()
    assert await admitted(limiter, "ada", 2 * SLOW) == SLOW
    # Most requests did not even ask for it.
    assert failed() == before + 1
    own_redis.start()
    monkeypatch.setattr(limiter, "_silent_until", 0.0)
    assert await limiter.take("ada") == 0.0
    with Redis.from_url(own_redis.url) as client:
        assert client.dbsize() == 1
    await limiter.close()


@given(st.integers(1, 1000), st.lists(st.floats(0, 30), max_size=200))
async def test_no_minute_admits_more_than_twice_the_rate(per_minute: int, pauses: list[float]) -> None:
    now = 0.0
    limiter = MemoryLimiter(per_minute, clock=lambda: now)
    admitted_at = []
    for pause in pauses:
        now += pause
        wait = await limiter.take("ada")
        if wait == 0.0:
            admitted_at.append(now)
        else:
            # It is true what it says.
            later = MemoryLimiter(per_minute, clock=lambda: now + wait)  # noqa: B023 - called at once
            later._empty_at = limiter._empty_at.copy()
            assert await later.take("ada") == 0.0
    for begin in admitted_at:
        assert sum(begin <= each < begin + 60 for each in admitted_at) <= 2 * per_minute


async def test_the_quietest_callers_are_forgotten_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rates, "KNOWN_CALLERS", 3)
    limiter = MemoryLimiter(1)
    for caller in ("a", "b", "c", "d"):
        assert await limiter.take(caller) == 0.0
    assert await limiter.take("d") > 0
    assert await limiter.take("a") == 0.0


def test_no_limit_is_none() -> None:
    assert open_limiter(None, 0, vault_id="v", use="u") is None
    assert isinstance(open_limiter(None, 1, vault_id="v", use="u"), MemoryLimiter)
    with pytest.raises(InvalidInput):
        open_limiter("http://nothing", 1, vault_id="v", use="u")


class Known:
    async def authenticate(self, credential: str) -> Identity | None:
        return Identity(credential, frozenset(Scope)) if credential in {"ada", "tom"} else None


def client_of(limits: Limits) -> TestClient:
    router = APIRouter()
    router.add_api_route("/files", lambda: "done")
    security = Security(authenticator=Known())
    app = create_app(title="t", version="1", routers=[router], security=security, limits=limits)
    return TestClient(app, base_url="http://127.0.0.1")


def test_one_key_is_told_when_to_come_again_and_others_are_served() -> None:
    client = client_of(Limits(per_identity=MemoryLimiter(SLOW)))
    ada, tom = ({"Authorization": f"Bearer {name}"} for name in ("ada", "tom"))
    assert [client.get("/files", headers=ada).status_code for _ in range(SLOW)] == [200] * SLOW
    refused = client.get("/files", headers=ada)
    assert refused.status_code == 429
    assert 1 <= int(refused.headers["retry-after"]) <= 60 / SLOW
    assert refused.json()["type"] == "urn:weave-nn:problem:too_many_requests"
    assert refused.json()["retry_after_seconds"] == int(refused.headers["retry-after"])
    assert client.get("/files", headers=tom).status_code == 200
    for _ in range(2 * SLOW):
        assert client.get("/health", headers=ada).status_code == 200
        assert client.get("/ready").status_code == 200


def test_an_address_that_tries_keys_is_stopped() -> None:
    client = client_of(Limits(per_address=MemoryLimiter(SLOW)))
    statuses = [client.get("/files", headers={"Authorization": f"Bearer {n}"}).status_code for n in range(2 * SLOW)]
    assert statuses == [401] * SLOW + [429] * SLOW
    assert client.get("/health").status_code == 200


def test_nobody_is_counted_unless_it_is_asked_for() -> None:
    client = client_of(Limits())
    for _ in range(50):
        assert client.get("/files", headers={"Authorization": "Bearer ada"}).status_code == 200
