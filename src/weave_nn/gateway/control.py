"""The control plane of one gateway process: what the database says is put before Envoy, and the guard watches it.

One thread does it all. It looks for changes when it is told of one, and ten times a second anyway; every half second
it looks at Envoy's statistics. If it stops, Envoy goes on with what it has; if Envoy stops, it is started again.
"""

import json
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import structlog

from weave_nn.gateway.envoy.admin import SideCounts
from weave_nn.gateway.envoy.edge import Edge
from weave_nn.gateway.envoy.files import write
from weave_nn.gateway.envoy.front import Front
from weave_nn.gateway.envoy.process import ConfigurationRefused, EnvoyProcess
from weave_nn.gateway.envoy.rendering import render, version
from weave_nn.gateway.guard import WINDOW_SECONDS, Seen, Watch, usual_milliseconds
from weave_nn.gateway.repository import Comparison, Node, RolloutRepository, Window
from weave_nn.gateway.rollout import Rollout, State, Verdict, next_step
from weave_nn.gateway.rollouts import CHANNEL, Rollouts
from weave_nn.shared.db import Database
from weave_nn.shared.errors import Unavailable, WeaveError

log = structlog.get_logger(__name__)

GUARD = "guard"
_AUTOMATIC = "automatic"
_LOOK_SECONDS = 0.1
_GUARD_SECONDS = 0.5
_TELL_SECONDS = 1.0
_CONFIRM_SECONDS = 10.0
_CONFIRM_LOOK_SECONDS = 0.001
_USUAL_SECONDS = 0.5
_AGAIN_SECONDS = 5.0
_SHADOW_PERCENT = 10
_WATCHED = frozenset({State.SHADOWING, State.ROLLING, State.SOAKING, State.PAUSED})


@dataclass(slots=True)
class _Watched:
    """A rollout's step under watch; `key` changes when what is to be judged begins anew."""

    key: tuple[object, ...]
    watch: Watch
    verdict: Verdict = Verdict("hold", "the guard has just begun to look")  # noqa: RUF009 - it is frozen


class Control:
    """Keeps one Envoy at what the database says. `start` before use, `stop` afterwards; both belong to one thread."""

    def __init__(
        self,
        rollouts: Rollouts,
        database: Database,
        *,
        vault_id: str,
        node: str,
        edge: Edge,
        folder: Path,
        envoy: EnvoyProcess,
    ) -> None:
        self._rollouts = rollouts
        self._database = database
        self._vault_id = vault_id
        self._node = node
        self._edge = edge
        self._demanded = edge.overrides
        self._sent_home: dict[int, str] = {}
        self._folder = folder
        self._envoy = envoy
        self._front = Front(edge.place)
        self._files: dict[str, str] = {}
        self._version = -1
        self._problems: dict[str, str] = {}
        self._refused: tuple[int, float] = (-1, 0.0)
        self._refusal = ""
        self._watched: dict[str, _Watched] = {}
        self._usual: dict[int, float] = {}
        self._compared: dict[int, tuple[int, int]] = {}
        self._told_at = 0.0
        self._guarded_at = 0.0
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="gateway-control", daemon=True)
        database.signals.listen(CHANNEL, self._wake.set)

    @property
    def version(self) -> int:
        """The version of the rollouts that Envoy serves; -1 before the first."""
        return self._version

    @property
    def edge(self) -> Edge:
        """What was rendered last."""
        return self._edge

    def look(self) -> None:
        """There may be a change: look at once."""
        self._wake.set()

    def start(self) -> None:
        """Write the files, start Envoy and wait until it serves them; raises `Unavailable` and the like."""
        self._version, rollouts = self._rollouts.routed()
        self._edge = replace(self._edge, rollouts=rollouts)
        files = render(self._edge, str(self._folder))
        if self._envoy.admin.ready():
            self._take_over(files)
        else:
            self._files = files
            for name, text in files.items():
                write(self._folder, name, text)
            self._envoy.start()
        self._confirm("cds.json", "lds.json", "rds.json")
        self._tell()
        self._thread.start()

    def _take_over(self, files: dict[str, str]) -> None:
        """An Envoy serves already: what has changed meanwhile is put before it in the order that it needs."""
        self._envoy.start()
        for name in ("cds.json", "rds.json"):
            served = self._folder / name
            self._files[name] = served.read_text(encoding="utf-8") if served.exists() else files[name]
        for name in files.keys() - self._files.keys():
            write(self._folder, name, files[name])
        self._serve(files)

    def stop(self) -> None:
        """End the watch, and Envoy after what is in flight."""
        self._stopping.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join()
        self._front.close()
        if self._envoy.pid is not None:
            self._envoy.drain()
        self._envoy.stop()
        with self._database.write() as work:
            RolloutRepository(work.session, self._vault_id).forget_node(self._node)

    def alive(self) -> None:
        """A readiness check. Raises `Unavailable`."""
        if not self._thread.is_alive():
            raise Unavailable("The control plane's thread has ended.", hint="Restart the gateway.")
        if self._problem:
            raise Unavailable(self._problem)

    @property
    def _problem(self) -> str:
        """What does not work now, for people."""
        return " ".join([*self._problems.values(), self._refusal]).strip()

    def _run(self) -> None:
        self._database.signals.begin()
        while not self._stopping.is_set():
            self._wake.wait(_LOOK_SECONDS)
            self._wake.clear()
            if self._stopping.is_set():
                return
            self._survive("look", self._follow)
            now = time.monotonic()
            if now - self._guarded_at >= _GUARD_SECONDS:
                self._guarded_at = now
                self._survive("guard", self._guard)
                self._survive("look", self._follow)
            if now - self._told_at >= _TELL_SECONDS:
                self._survive("tell", self._tell)

    def _survive(self, what: str, work: Callable[[], None]) -> None:
        """Whatever happens, the watch goes on: Envoy serves what it has, and the reason stands in log and status."""
        try:
            work()
            self._problems.pop(what, None)
        except WeaveError as error:
            log.warning("gateway_failed", doing=what, reason=str(error))
            self._problems[what] = str(error)
        except Exception as error:
            log.exception("gateway_failed", doing=what)
            self._problems[what] = repr(error)

    def _follow(self) -> None:
        if self._envoy.ended():
            log.error("envoy_ended", next="starting it again")
            self._envoy.start()
        wanted, begun = self._rollouts.version(), time.monotonic()
        if wanted == self._version:
            return
        refused, until = self._refused
        if wanted == refused and begun < until:
            return
        changed, rollouts = self._rollouts.routed()
        self._sent_home = {each.id: self._sent_home[each.id] for each in rollouts if self._waits_at_home(each)}
        edge = self._edge_of(rollouts)
        try:
            self._serve(render(edge, str(self._folder)))
        except ConfigurationRefused as error:
            # What is in force stays; the same is tried again only after a while.
            self._refused, self._refusal = (changed, time.monotonic() + _AGAIN_SECONDS), str(error)
            log.exception("gateway_refused", version=changed)
            return
        self._refusal = ""
        self._edge = edge
        # What is counted for a step begins before anybody knows that it is served.
        for rollout in rollouts:
            if self._is_watched(rollout):
                self._watch(rollout, self._counters(rollout))
        self._version = changed
        self._tell()
        log.info("gateway_serves", version=changed, milliseconds=round((time.monotonic() - begun) * 1000, 1))

    def _serve(self, files: dict[str, str]) -> None:
        """Have Envoy serve `files`; what a route refers to is there before the route, and goes after it."""
        before = self._files
        try:
            if files["cds.json"] != before["cds.json"]:
                write(self._folder, "cds.json", _both(files["cds.json"], before["cds.json"]))
                self._confirm_written("cds.json")
            write(self._folder, "rds.json", files["rds.json"])
            self._confirm_routes(version(files["rds.json"]))
            if files["cds.json"] != before["cds.json"]:
                write(self._folder, "cds.json", files["cds.json"])
                self._confirm_written("cds.json")
        except ConfigurationRefused:
            for name, text in before.items():
                write(self._folder, name, text)
            raise
        self._files = files

    def _confirm(self, *names: str) -> None:
        for name in names:
            self._confirm_written(name)

    def _confirm_routes(self, wanted: str) -> None:
        """Wait until answers name this version; Envoy's statistics, which cost more, are asked when it takes long."""
        deadline = time.monotonic() + _USUAL_SECONDS
        while time.monotonic() < deadline:
            if self._front.version() == wanted:
                return
            time.sleep(_CONFIRM_LOOK_SECONDS)
        self._confirm_written("rds.json")

    def _confirm_written(self, name: str) -> None:
        """Wait until Envoy serves what stands in the file. Raises `ConfigurationRefused`."""
        wanted = version((self._folder / name).read_text(encoding="utf-8"))
        rejected: int | None = None
        deadline = time.monotonic() + _CONFIRM_SECONDS
        while True:
            served = self._envoy.admin.served()
            if served[name] == wanted and (name != "cds.json" or served["warming"] == "0"):
                return
            if rejected is not None and int(served["rejected"]) > rejected:
                raise ConfigurationRefused(f"Envoy refuses {self._folder / name}; its log says why.")
            rejected = int(served["rejected"]) if rejected is None else rejected
            if time.monotonic() > deadline:
                raise ConfigurationRefused(f"Envoy has not taken {self._folder / name} in {_CONFIRM_SECONDS:g} s.")
            time.sleep(_CONFIRM_LOOK_SECONDS)

    def _tell(self) -> None:
        self._told_at = time.monotonic()
        address, demanded = self._edge.place.control, dict(self._demanded)
        node = Node(self._node, address, self._version, self._problem, datetime.now(UTC), demanded)
        with self._database.write(durable=False) as work:
            RolloutRepository(work.session, self._vault_id).seen(node)

    def _edge_of(self, rollouts: tuple[Rollout, ...]) -> Edge:
        home = {each.service: 0 for each in rollouts if each.id in self._sent_home}
        return replace(self._edge, rollouts=rollouts, overrides={**self._demanded, **home})

    def _is_watched(self, rollout: Rollout) -> bool:
        """Whether there is something to judge; the environment may give a candidate users in any state."""
        return rollout.state in _WATCHED or (not rollout.ended and self._edge.share(rollout) > 0)

    def _waits_at_home(self, rollout: Rollout) -> bool:
        """Whether its users were sent home, and the database does not know it yet."""
        return rollout.id in self._sent_home and not rollout.ended

    def _guard(self) -> None:
        for rollout in self._edge.rollouts:
            if rollout.state is State.PLANNED and rollout.automatic:
                self._rollouts.shadow(rollout.service, _SHADOW_PERCENT, who=_AUTOMATIC)
            elif self._waits_at_home(rollout):
                self._roll_back(rollout)
            elif self._is_watched(rollout):
                self._look_at(rollout)
            else:
                self._watched.pop(rollout.service, None)

    def _look_at(self, rollout: Rollout) -> None:
        now, share = time.monotonic(), self._edge.share(rollout)
        counters = self._counters(rollout)
        watched = self._watch(rollout, counters)
        watched.verdict = self._of_this_step(
            rollout, watched.watch.look(now, counters, rollout.policy, rolling=share > 0)
        )
        if watched.verdict.kind == "breached" and share > 0:
            self._send_home(rollout, watched.verdict.reason)
        self._keep(rollout, watched, counters, now)
        if watched.verdict.kind == "passed":
            self._go_on(rollout, watched.verdict.reason)

    def _of_this_step(self, rollout: Rollout, verdict: Verdict) -> Verdict:
        """What passes with another share of the users than the step's has not passed the step."""
        demanded = self._demanded.get(rollout.service)
        if verdict.kind != "passed" or demanded is None or demanded == rollout.percent:
            return verdict
        return Verdict("hold", f"the environment demands {demanded} %, and the step is at {rollout.percent} %")

    def _send_home(self, rollout: Rollout, reason: str) -> None:
        """Envoy first, then the database: users do not wait for one that is slow."""
        log.error("rolled_back", service=rollout.service, reason=reason)
        self._sent_home[rollout.id] = reason
        self._edge = self._edge_of(self._edge.rollouts)
        try:
            self._serve(render(self._edge, str(self._folder)))
        except WeaveError as error:
            log.warning("gateway_failed", doing="rollback", reason=str(error))
        self._roll_back(rollout)

    def _roll_back(self, rollout: Rollout) -> None:
        why = self._sent_home[rollout.id]
        self._rollouts.roll_back(rollout.service, who=GUARD, why=why, still=lambda each: each.id == rollout.id)

    def _watch(self, rollout: Rollout, counters: Seen) -> _Watched:
        """The memory of the present step, which begins anew with every step."""
        key = (rollout.id, rollout.stepped_at, self._edge.share(rollout))
        watched = self._watched.get(rollout.service)
        if watched is None or watched.key != key:
            watched = self._watched[rollout.service] = _Watched(key, Watch(time.monotonic(), counters))
        return watched

    def _go_on(self, rollout: Rollout, why: str) -> None:
        def still(each: Rollout) -> bool:
            return (each.id, each.state, each.stepped_at) == (rollout.id, rollout.state, rollout.stepped_at)

        if rollout.state is State.ROLLING and rollout.percent == 100:
            self._rollouts.soak(rollout.service, who=GUARD, why=why, still=still)
        elif rollout.automatic and rollout.state in {State.SHADOWING, State.ROLLING}:
            following = next_step(rollout)
            if following is not None:
                self._rollouts.step(rollout.service, following, who=_AUTOMATIC, why=why, still=still)

    def _counters(self, rollout: Rollout) -> Seen:
        candidate, stable = self._envoy.admin.counts(f"{rollout.service}-{rollout.id}")
        try:
            with self._database.read() as work:
                compared = RolloutRepository(work.session, self._vault_id).comparisons(rollout.id)
            self._compared[rollout.id] = _sums(compared)
        except WeaveError as error:
            # Errors and times are judged without the database too; what was compared last stands.
            log.warning("gateway_failed", doing="compare", reason=str(error))
        return Seen(candidate, stable, *self._compared.get(rollout.id, (0, 0)), self._usual.get(rollout.id))

    def _keep(self, rollout: Rollout, watched: _Watched, counters: Seen, now: float) -> None:
        seen = watched.watch.seen(now, WINDOW_SECONDS, counters)
        if (usual := usual_milliseconds(seen.stable)) is not None:
            self._usual[rollout.id] = max(usual, self._usual.get(rollout.id, 0.0))
        verdict = watched.verdict
        figures = _figures(seen, watched.watch.first, counters)
        window = Window(rollout.stepped_at, datetime.now(UTC), verdict.kind, verdict.reason, figures)
        with self._database.write(durable=False) as work:
            RolloutRepository(work.session, self._vault_id).keep_window(rollout.id, window)


def _both(files: str, before: str) -> str:
    """All clusters of `files`, and those of `before` that routes may still refer to."""
    document, former = json.loads(files), json.loads(before)
    names = {each["name"] for each in document["resources"]}
    document["resources"] += [each for each in former["resources"] if each["name"] not in names]
    document["version_info"] += "+" + former["version_info"]
    return json.dumps(document, indent=1)


def _sums(compared: list[Comparison]) -> tuple[int, int]:
    return sum(each.compared for each in compared), sum(each.mismatched for each in compared)


def _figures(seen: Seen, first: Seen, counters: Seen) -> dict[str, Any]:
    """What people look at: the last window of both sides, and how many requests the step has seen."""
    step = counters.candidate.since(first.candidate)
    return {
        "seconds": WINDOW_SECONDS,
        "candidate": _side_figures(seen.candidate),
        "stable": _side_figures(seen.stable),
        "step_requests": step.requests,
        "step_errors": step.errors,
        "compared": counters.compared - first.compared,
        "mismatched": counters.mismatched - first.mismatched,
    }


def _side_figures(side: SideCounts) -> Mapping[str, Any]:
    return {
        "requests": side.requests,
        "errors": side.errors,
        "p50_ms": side.times.quantile(0.5),
        "p99_ms": side.times.quantile(0.99),
        "healthy": side.healthy,
    }
