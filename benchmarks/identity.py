"""What it costs to know who calls, and to count it.

Beside each check of a credential stands the bare work that none can do without: a SHA-256 and a comparison. Times are
processor time, the best of several rounds.
"""

import asyncio
import hashlib
import hmac
import os
import secrets
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

import jwt
from redis import Redis
from redis.exceptions import RedisError

from benchmarks.report import Options, Table
from weave_nn.shared.db import Database, upgrade
from weave_nn.shared.ephemeral.rates import MemoryLimiter, RedisLimiter
from weave_nn.shared.http import AnyOf, StaticKey
from weave_nn.shared.identity import scopes_of
from weave_nn.shared.identity.keyring import Keyring
from weave_nn.shared.identity.models import SCHEMA
from weave_nn.shared.identity.tokens import TokenAuthenticator

NAME = "identity"
ROUNDS = 5
REDIS_URL = os.environ.get("REDIS_URL", "redis://127.0.0.1:6379/0")
MANY = 1_000_000


def run(options: Options) -> list[Table]:
    """Both tables."""
    return asyncio.run(_tables(2_000 if options.quick else 20_000))


async def _tables(count: int) -> list[Table]:
    bare = await _microseconds(_bare, count)
    with tempfile.TemporaryDirectory() as folder:
        checks = await _checks(Path(folder), count)
    rows = [["SHA-256 and a comparison", f"{bare:.1f}", ""]]
    rows += [[name, f"{cost:.1f}", f"{cost / bare:.1f}x"] for name, cost in checks]
    counting = [["in memory", f"{await _limited(MemoryLimiter(MANY), count):.1f}"]]
    notes = []
    if _is_there():
        limiter = RedisLimiter(REDIS_URL, MANY, prefix=f"weave-bench-{secrets.token_hex(4)}:")
        counting.append(["on Redis", f"{await _limited(limiter, count // 10):.1f}"])
        await limiter.close()
    else:
        notes.append("No Redis could be reached.")
    return [
        Table("A credential that was seen before", ["credential", "µs", "of the bare work"], rows),
        Table("Counting a request", ["where", "µs"], counting, notes),
    ]


async def _checks(folder: Path, count: int) -> list[tuple[str, float]]:
    database = Database(f"sqlite:///{folder}/weave.db")
    upgrade(database, [SCHEMA])
    keyring, secret = Keyring(database), secrets.token_bytes(32)
    tokens = TokenAuthenticator(issuer="i", audience="a", keys=secret)
    claims = {"iss": "i", "aud": "a", "sub": "s", "exp": time.time() + 3600, "scope": "read"}
    own, key = secrets.token_urlsafe(32), keyring.create("k", scopes_of(["read"])).secret
    asked = AnyOf(StaticKey(own), StaticKey(secrets.token_urlsafe(32), kind="service"), keyring, tokens)
    credentials = {
        "the instance's key": own,
        "an API key": key,
        "a token": jwt.encode(claims, secret, algorithm="HS256"),
        "a wrong secret": key[:-1] + ("A" if key[-1] != "A" else "B"),
        "anything else": secrets.token_urlsafe(32),
    }
    found = []
    for name, credential in credentials.items():

        async def check(credential: str = credential) -> None:
            await asked.authenticate(credential)

        await check()
        found.append((name, await _microseconds(check, count)))
    keyring.close()
    database.close()
    return found


async def _bare(credential: bytes = secrets.token_bytes(43), digest: bytes = secrets.token_bytes(32)) -> None:
    hmac.compare_digest(hashlib.sha256(credential).digest(), digest)


async def _limited(limiter: MemoryLimiter | RedisLimiter, count: int) -> float:
    async def take() -> None:
        await limiter.take("somebody")

    return await _microseconds(take, count)


async def _microseconds(call: Callable[[], Awaitable[None]], count: int) -> float:
    best = float("inf")
    for _ in range(ROUNDS):
        began = time.process_time()
        for _ in range(count):
            await call()
        best = min(best, time.process_time() - began)
    return best / count * 1e6


def _is_there() -> bool:
    with suppress(RedisError), Redis.from_url(REDIS_URL, socket_connect_timeout=1) as client:
        return bool(client.ping())
    return False
