"""The comparer's process: takes mirrored requests, answers them at once, and asks both sides when it has the time.

It is never on a user's way: Envoy forgets the answer to a mirrored request, and sends none where too many are waiting.
What does not fit into the queue here is dropped as well, and counted as nothing.
"""

import asyncio
import contextlib
import re
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

import httpx2
import structlog
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from weave_nn.gateway.comparing.answers import Answer, differences, pattern, route_of, shown
from weave_nn.gateway.places import PREFIXES
from weave_nn.gateway.repository import Comparison, Mismatch, RolloutRepository
from weave_nn.gateway.rollout import Rollout
from weave_nn.gateway.rollouts import Rollouts
from weave_nn.shared.db import Database, lock
from weave_nn.shared.errors import WeaveError

log = structlog.get_logger(__name__)

_QUEUE = 256
_WORKERS = 4
_TIMEOUT_SECONDS = 10.0
_AGAIN_SECONDS = 1.0
_KEEP_SECONDS = 1.0
_LARGEST_BODY_BYTES = 4 * 2**20
_MOST_ROUTES = 200
_KEPT_HEADERS = ("authorization", "accept", "range", "cookie", "x-weave-identity")

_Counts = Counter[tuple[int, str, str]]
"""How many by rollout, route and outcome."""


@dataclass(frozen=True, slots=True)
class Mirrored:
    """What a user asked; only what decides on the answer."""

    rollout: Rollout
    prefix: str
    target: str
    headers: dict[str, str]


class Comparer:
    """Compares mirrored requests, and keeps the counts and the newest mismatches in the database."""

    def __init__(self, rollouts: Rollouts, database: Database, vault_id: str) -> None:
        self._rollouts = rollouts
        self._database = database
        self._vault_id = vault_id
        self._queue: asyncio.Queue[Mirrored] = asyncio.Queue(_QUEUE)
        self._known: tuple[tuple[Rollout, tuple[re.Pattern[str], ...]], ...] = ()
        self._counts: _Counts = Counter()
        self._routes: dict[int, set[str]] = {}
        self._mismatches: list[tuple[int, Mismatch]] = []

    @property
    def app(self) -> Starlette:
        """The application that Envoy mirrors to; it listens on the loopback only."""
        return Starlette(
            routes=[
                Route("/-/health", lambda _: Response("ok")),
                Route("/{path:path}", self._take, methods=["GET", "HEAD"]),
            ],
            lifespan=self._lifespan,
        )

    @asynccontextmanager
    async def _lifespan(self, _app: Starlette) -> AsyncIterator[None]:
        limits = httpx2.Limits(max_connections=4 * _WORKERS, keepalive_expiry=2.0)
        async with httpx2.AsyncClient(timeout=_TIMEOUT_SECONDS, limits=limits, trust_env=False) as client:
            await asyncio.to_thread(self._look)
            tasks = [asyncio.create_task(self._work(client)) for _ in range(_WORKERS)]
            tasks.append(asyncio.create_task(self._keep()))
            try:
                yield
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
                await asyncio.to_thread(self._write, *self._taken())

    async def _take(self, request: Request) -> Response:
        target = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        raw = request.scope.get("raw_path")
        if raw is not None:
            target = raw.decode("ascii") + (f"?{request.url.query}" if request.url.query else "")
        found = self._of(request.url.path)
        if found is not None:
            rollout, prefix = found
            headers = {name: request.headers[name] for name in _KEPT_HEADERS if name in request.headers}
            with contextlib.suppress(asyncio.QueueFull):
                self._queue.put_nowait(Mirrored(rollout, prefix, target, headers))
        return Response(status_code=204)

    def _of(self, path: str) -> tuple[Rollout, str] | None:
        for rollout, _ in self._known:
            for prefix in PREFIXES[rollout.service]:
                if (path == prefix or path.startswith(prefix + "/")) and not rollout.ended:
                    return rollout, prefix
        return None

    async def _work(self, client: httpx2.AsyncClient) -> None:
        while True:
            asked = await self._queue.get()
            try:
                await self._compare(client, asked)
            except Exception:
                # One request that cannot be compared must not end the comparing of all others.
                log.exception("comparing_failed", service=asked.rollout.service)
                self._count(asked, "failed")

    async def _compare(self, client: httpx2.AsyncClient, asked: Mirrored) -> None:
        ignored = next((rules for rollout, rules in self._known if rollout.id == asked.rollout.id), ())
        begun = time.perf_counter()
        for last in (False, True):
            try:
                before, candidate, after = await self._ask(client, asked)
            except (httpx2.HTTPError, ValueError, TimeoutError) as error:
                log.info("comparing_failed", service=asked.rollout.service, reason=repr(error))
                self._count(asked, "failed")
                return
            found = differences(before, candidate, after, ignored)
            if not found or last:
                break
            # What is under way on one side and not yet seen on the other is the same a moment later.
            await asyncio.sleep(_AGAIN_SECONDS)
        self._count(asked, "compared")
        if found:
            self._count(asked, "mismatched")
            self._mismatches.append((asked.rollout.id, _mismatch(asked, found, before, candidate, begun)))
            del self._mismatches[:-_QUEUE]

    async def _ask(self, client: httpx2.AsyncClient, asked: Mirrored) -> tuple[Answer, Answer, Answer]:
        """Stable, candidate, stable: what changed in between shows as a difference of stable to itself.

        The whole of it has an end: a stream would occupy us for as long as it says something now and then.
        """
        async with asyncio.timeout(3 * _TIMEOUT_SECONDS):
            first = await _get(client, asked.rollout.stable, asked)
            candidate = await _get(client, asked.rollout.candidate, asked)
            return first, candidate, await _get(client, asked.rollout.stable, asked)

    def _count(self, asked: Mirrored, outcome: str) -> None:
        route = route_of(asked.target, asked.prefix)
        routes = self._routes.setdefault(asked.rollout.id, set())
        if route not in routes and len(routes) >= _MOST_ROUTES:
            route = f"{asked.prefix}/…"
        routes.add(route)
        self._counts[asked.rollout.id, route, outcome] += 1

    async def _keep(self) -> None:
        while True:
            await asyncio.sleep(_KEEP_SECONDS)
            try:
                await asyncio.to_thread(self._write, *self._taken())
                await asyncio.to_thread(self._look)
            except WeaveError as error:
                log.warning("comparisons_not_kept", reason=str(error))
            except Exception:
                # Whatever it is, the next ones are to be kept: without them the guard holds for good.
                log.exception("comparisons_not_kept")

    def _look(self) -> None:
        _, rollouts = self._rollouts.routed()
        with self._database.read() as work:
            kept = RolloutRepository(work.session, self._vault_id)
            known = {each.id: {route.route for route in kept.comparisons(each.id)} for each in rollouts}
        self._routes = {each: self._routes.get(each, set()) | routes for each, routes in known.items()}
        self._known = tuple((each, tuple(map(pattern, each.policy.ignore))) for each in rollouts)

    def _taken(self) -> tuple[_Counts, list[tuple[int, Mismatch]]]:
        counts, self._counts = self._counts, Counter()
        mismatches, self._mismatches = self._mismatches, []
        return counts, mismatches

    def _write(self, counts: _Counts, mismatches: list[tuple[int, Mismatch]]) -> None:
        if not counts:
            return
        with self._database.write(durable=False) as work:
            # Several gateways add to the same counts.
            lock(work.session, "gateway comparisons")
            kept = RolloutRepository(work.session, self._vault_id)
            for rollout_id in {each for each, _, _ in counts}:
                kept.count_comparisons(rollout_id, _of_rollout(counts, rollout_id))
                if found := [each for rollout, each in mismatches if rollout == rollout_id]:
                    kept.keep_mismatches(rollout_id, found)


async def _get(client: httpx2.AsyncClient, address: str, asked: Mirrored) -> Answer:
    body = bytearray()
    async with client.stream("GET", address + asked.target, headers=asked.headers) as response:
        async for part in response.aiter_bytes():
            body += part
            if len(body) > _LARGEST_BODY_BYTES:
                raise ValueError("the answer is too long to be compared")
        return Answer.of(response.status_code, response.headers.items(), bytes(body))


def _mismatch(asked: Mirrored, found: Sequence[str], stable: Answer, candidate: Answer, begun: float) -> Mismatch:
    return Mismatch(
        at=datetime.now(UTC),
        route=route_of(asked.target, asked.prefix),
        # A query may hold what somebody looked for.
        path=asked.target.partition("?")[0][:500],
        difference=", ".join(found)[:2000],
        stable=shown(stable),
        candidate=shown(candidate),
        milliseconds=round((time.perf_counter() - begun) * 1000, 1),
    )


def _of_rollout(counts: _Counts, rollout_id: int) -> list[Comparison]:
    routes = {route for each, route, _ in counts if each == rollout_id}
    return [
        Comparison(
            route,
            counts[rollout_id, route, "compared"],
            counts[rollout_id, route, "mismatched"],
            counts[rollout_id, route, "failed"],
        )
        for route in sorted(routes)
    ]
