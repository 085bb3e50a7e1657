import asyncio

from redis_server import OwnRedis
from weave_nn.shared.ephemeral.sessions import SessionDirectory


async def test_a_session_is_where_it_was_last_kept_until_it_ends(redis_url: str, redis_prefix: str) -> None:
    here, there = (
        SessionDirectory(redis_url, idle_seconds=60, prefix=redis_prefix, timeout_seconds=60) for _ in range(2)
    )
    assert await there.where("s") is None
    await here.keep("s", "http://127.0.0.1:1")
    assert await there.where("s") == "http://127.0.0.1:1"
    await there.keep("s", "http://127.0.0.1:2")
    assert await here.where("s") == "http://127.0.0.1:2"
    await here.forget("s")
    assert await there.where("s") is None
    for directory in (here, there):
        await directory.close()


async def test_a_session_that_nobody_uses_is_forgotten(redis_url: str, redis_prefix: str) -> None:
    directory = SessionDirectory(redis_url, idle_seconds=1, prefix=redis_prefix, timeout_seconds=60)
    await directory.keep("s", "http://127.0.0.1:1")
    async with asyncio.timeout(60):
        while await directory.where("s") is not None:  # noqa: ASYNC110 - the server tells nobody
            await asyncio.sleep(0.05)
    await directory.close()


async def test_without_redis_nobody_knows_and_nothing_fails(own_redis: OwnRedis) -> None:
    directory = SessionDirectory(own_redis.url, idle_seconds=60, timeout_seconds=60)
    await directory.keep("s", "http://127.0.0.1:1")
    own_redis.stop()
    assert await directory.where("s") is None
    await directory.keep("s", "http://127.0.0.1:1")
    await directory.forget("s")
    own_redis.start()
    await directory.keep("s", "http://127.0.0.1:3")
    assert await directory.where("s") == "http://127.0.0.1:3"
    await directory.close()
