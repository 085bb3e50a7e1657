"""Leases on Redis: a key with an end for each, renewed long before, deleted only by whoever set it.

Only durations count here, never the time of day of a client: the end is Redis's to keep, and a holder measures from
the moment before it asked, with a clock that goes on while the machine sleeps. It gives up after two thirds of the
lease's length without a renewal, so that a third is left to stop in.

A Redis that has restarted may have forgotten who holds what. Nobody is given a lease before it has been up for a whole
length, and so whoever held one has renewed it by then or given it up. The token is the greater of a counter and of the
server's time in milliseconds: it also grows over such a loss, and need not be kept for ever. Behind a replica that was
promoted without the last writes, two may hold a lease for a moment; that is what tokens are for.
"""

import secrets
import threading
import time
from collections.abc import Callable
from typing import cast

import structlog

from weave_nn.shared.ephemeral.connecting import connect
from weave_nn.shared.ephemeral.leases.port import Lease
from weave_nn.shared.ephemeral.outage import Outage

log = structlog.get_logger(__name__)

LEASE_SECONDS = 6.0
_TOKEN_KEPT_SECONDS = 7 * 86_400
_RETRY_PARTS = 12
_RENEW_PARTS = 4
_SOCKET_PARTS = 6
_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)

_TAKE = """
if redis.call('EXISTS', KEYS[1]) == 1 then return false end
local up = tonumber(string.match(redis.call('INFO', 'server'), 'uptime_in_seconds:(%d+)'))
if up * 1000 <= tonumber(ARGV[2]) then return false end
local now = redis.call('TIME')
local token = now[1] * 1000 + math.floor(now[2] / 1000)
local last = tonumber(redis.call('GET', KEYS[2]) or '0')
if token <= last then token = last + 1 end
token = string.format('%.0f', token)
redis.call('SET', KEYS[2], token, 'EX', ARGV[3])
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return token
"""
_RENEW = """
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
return 0
"""
_RELEASE = """
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0
"""


class RedisLeases:
    """Leases below the key `prefix` of the Redis at `url`; one that is not renewed ends after `lease_seconds`."""

    def __init__(self, url: str, *, prefix: str = "weave:", lease_seconds: float = LEASE_SECONDS) -> None:
        # A question that gets no answer must not outlast what is left of a lease.
        self._redis = connect(url, timeout_seconds=lease_seconds / _SOCKET_PARTS)
        self._prefix = prefix
        self._seconds = lease_seconds
        self._outage = Outage("leases")
        self._held: list[_RedisLease] = []

    def hold(self, name: str, *, on_lost: Callable[[], None] | None = None) -> Lease | None:
        """Take the lease; see `Leases.hold`. `None` also while Redis is away or has only just started."""
        from redis.exceptions import RedisError  # noqa: PLC0415 - an optional library, there since we are

        # A cluster keeps keys together whose names have the same part in braces.
        keys = [f"{self._prefix}lease:{{{name}}}", f"{self._prefix}lease:{{{name}}}:token"]
        owner = secrets.token_hex(16)
        asked = time.clock_gettime(_CLOCK)
        try:
            length = str(round(self._seconds * 1000))
            token = self._redis.eval(_TAKE, 2, *keys, owner, length, str(_TOKEN_KEPT_SECONDS))
        except RedisError as error:
            self._outage.failed(error)
            return None
        self._outage.answered()
        if token is None:
            return None
        lease = _RedisLease(self, keys[0], owner, name=name, token=int(cast("bytes", token)), on_lost=on_lost)
        lease.start(asked)
        self._held = [each for each in self._held if each.held]
        self._held.append(lease)
        return lease

    def close(self) -> None:
        """Release all that are held, and close the connections."""
        while self._held:
            self._held.pop().release()
        self._redis.close()

    @property
    def seconds(self) -> float:
        """How long a lease lasts without renewal."""
        return self._seconds

    def ask(self, script: str, key: str, *arguments: str) -> int | None:
        """Run a script on a lease's key; `None` when Redis does not answer."""
        from redis.exceptions import RedisError  # noqa: PLC0415 - an optional library, there since we are

        try:
            answer = cast("int", self._redis.eval(script, 1, key, *arguments))
        except RedisError as error:
            self._outage.failed(error)
            return None
        self._outage.answered()
        return answer


class _RedisLease:
    def __init__(
        self, leases: RedisLeases, key: str, owner: str, *, name: str, token: int, on_lost: Callable[[], None] | None
    ) -> None:
        self._leases = leases
        self._key = key
        self._owner = owner
        self._name = name
        self._token = token
        self._on_lost = on_lost
        self._sure_until = 0.0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._keep, name=f"lease-{name}", daemon=True)

    @property
    def name(self) -> str:
        return self._name

    @property
    def token(self) -> int:
        return self._token

    @property
    def held(self) -> bool:
        return not self._ended.is_set() and time.clock_gettime(_CLOCK) < self._sure_until

    def start(self, asked: float) -> None:
        self._renewed(asked)
        self._thread.start()

    def release(self) -> None:
        if self._ended.is_set():
            return
        self._ended.set()
        if self._thread is not threading.current_thread():
            self._thread.join()
        # If Redis is away, it ends by itself.
        self._leases.ask(_RELEASE, self._key, self._owner)

    def _renewed(self, asked: float) -> None:
        self._sure_until = asked + self._leases.seconds * 2 / 3

    def _keep(self) -> None:
        seconds = self._leases.seconds
        pause = seconds / _RENEW_PARTS
        while not self._ended.wait(pause):
            asked = time.clock_gettime(_CLOCK)
            answer = None
            # After being stopped for too long, it is not renewed: what it was for may have been done by others.
            if asked < self._sure_until:
                answer = self._leases.ask(_RENEW, self._key, self._owner, str(round(seconds * 1000)))
            if answer:
                self._renewed(asked)
                pause = seconds / _RENEW_PARTS
            elif answer == 0 or time.clock_gettime(_CLOCK) >= self._sure_until:
                self._lose()
                return
            else:
                pause = seconds / _RETRY_PARTS

    def _lose(self) -> None:
        if self._ended.is_set():
            return
        self._ended.set()
        log.warning("lease.lost", lease=self._name)
        if self._on_lost is not None:
            self._on_lost()
