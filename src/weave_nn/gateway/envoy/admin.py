"""Envoy's admin interface on the loopback: what it serves, and what it has counted."""

import http.client
import json
import threading
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import quote

from weave_nn.shared.errors import Unavailable

_TIMEOUT_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Histogram:
    """Cumulative counts below each bound, in milliseconds."""

    below: tuple[tuple[float, int], ...] = ()

    def since(self, earlier: "Histogram") -> "Histogram":
        """What was added since."""
        before = dict(earlier.below)
        return Histogram(tuple((bound, count - before.get(bound, 0)) for bound, count in self.below))

    @property
    def total(self) -> int:
        """How many were counted."""
        return self.below[-1][1] if self.below else 0

    def quantile(self, share: float) -> float | None:
        """The bound below which `share` of what was counted lies; None without data."""
        if not self.total:
            return None
        return next((bound for bound, count in self.below if count >= share * self.total), self.below[-1][0])

    def slower_than(self, milliseconds: float) -> int:
        """How many surely took longer."""
        bound = next(((bound, count) for bound, count in self.below if bound >= milliseconds), None)
        return self.total - bound[1] if bound else 0


@dataclass(frozen=True, slots=True)
class SideCounts:
    """What one side of a service has done; counters only grow, until Envoy starts anew."""

    requests: int = 0
    errors: int = 0
    ejections: int = 0
    healthy: bool = False
    times: Histogram = field(default_factory=Histogram)

    def since(self, earlier: "SideCounts") -> "SideCounts":
        """What was added since; all of it, where the counters began anew in between."""
        if self.requests < earlier.requests:
            return self
        return replace(
            self,
            requests=self.requests - earlier.requests,
            errors=self.errors - earlier.errors,
            ejections=self.ejections - earlier.ejections,
            times=self.times.since(earlier.times),
        )


class EnvoyAdmin:
    """A client of one Envoy's admin interface; it keeps its connection, and may be used by several threads."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._lock = threading.Lock()
        self._connection: http.client.HTTPConnection | None = None

    def ready(self) -> bool:
        """Whether Envoy lives and serves its first configuration."""
        try:
            return self.get("/ready").strip() == "LIVE"
        except Unavailable:
            return False

    def served(self) -> dict[str, str]:
        """The versions by the names of their files, as Envoy has them in force."""
        stats = self.texts(r"(cds|lds|rds\.front)\.version_text|warming_clusters|update_(rejected|failure)$")
        return {
            "cds.json": stats.get("cluster_manager.cds.version_text", ""),
            "lds.json": stats.get("listener_manager.lds.version_text", ""),
            "rds.json": stats.get("http.front.rds.front.version_text", ""),
            "warming": stats.get("cluster_manager.warming_clusters", "0"),
            "rejected": str(
                sum(int(value) for name, value in stats.items() if name.endswith(("_rejected", "_failure"))),
            ),
        }

    def texts(self, pattern: str) -> dict[str, str]:
        """The plain statistics whose name matches."""
        lines = self.get(f"/stats?filter={quote(pattern, safe='')}").splitlines()
        return {name: value.strip().strip('"') for name, _, value in (line.partition(": ") for line in lines)}

    def counts(self, sides: str) -> tuple[SideCounts, SideCounts]:
        """What the candidate's and the stable side have done since Envoy started.

        `sides` is what the names of a rollout's clusters begin with, such as `tasks-7`.
        """
        pattern = (
            rf"^cluster\.{sides}-(candidate|stable|candidate-or-stable)\."
            r"(upstream_rq_total|upstream_rq_5xx|retry\.upstream_rq_5xx|membership_healthy|external\.upstream_rq_time|"
            r"outlier_detection\.ejections_enforced_total)$"
        )
        answer = json.loads(
            self.get(f"/stats?format=json&histogram_buckets=cumulative&filter={quote(pattern, safe='')}")
        )
        plain: dict[str, int] = {}
        times: dict[str, Histogram] = {}
        for stat in answer["stats"]:
            if "histograms" in stat:
                times |= {each["name"]: _histogram(each["buckets"]) for each in stat["histograms"]}
            else:
                plain[stat["name"]] = int(stat["value"])
        return _candidate_counts(sides, plain, times), _stable_counts(sides, plain, times)

    def get(self, path: str) -> str:
        """The answer of a path as text. Raises `Unavailable`."""
        return self._ask("GET", path)

    def post(self, path: str) -> str:
        """Tell Envoy to do something. Raises `Unavailable`."""
        return self._ask("POST", path)

    def close(self) -> None:
        """Close the connection; the next question opens one again."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
            self._connection = None

    def _ask(self, method: str, path: str) -> str:
        with self._lock:
            for attempt in (1, 2):
                if self._connection is None:
                    self._connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=_TIMEOUT_SECONDS)
                try:
                    self._connection.request(method, path)
                    response = self._connection.getresponse()
                    return response.read().decode()
                except (OSError, http.client.HTTPException) as error:
                    self._connection.close()
                    self._connection = None
                    if attempt == 2:
                        raise Unavailable(
                            f"Envoy does not answer on 127.0.0.1:{self._port}: {error!r}.",
                            hint="Look at the log of `weave gateway`.",
                        ) from error
        raise AssertionError("the second attempt answers or raises")


def _histogram(buckets: list[dict[str, Any]]) -> Histogram:
    return Histogram(tuple((float(each["upper_bound"]), int(each["cumulative"])) for each in buckets))


def _candidate_counts(sides: str, plain: dict[str, int], times: dict[str, Histogram]) -> SideCounts:
    """Answers are counted at the cluster that the route names, what was sent at the one that it was sent to."""
    own, routed = f"cluster.{sides}-candidate.", f"cluster.{sides}-candidate-or-stable."
    return SideCounts(
        requests=plain.get(own + "upstream_rq_total", 0),
        errors=sum(
            plain.get(prefix + name, 0)
            for prefix in (own, routed)
            for name in ("upstream_rq_5xx", "retry.upstream_rq_5xx")
        ),
        ejections=plain.get(own + "outlier_detection.ejections_enforced_total", 0),
        healthy=plain.get(own + "membership_healthy", 0) > 0,
        times=times.get(routed + "external.upstream_rq_time", Histogram()),
    )


def _stable_counts(sides: str, plain: dict[str, int], times: dict[str, Histogram]) -> SideCounts:
    own = f"cluster.{sides}-stable."
    return SideCounts(
        requests=plain.get(own + "upstream_rq_total", 0),
        errors=plain.get(own + "upstream_rq_5xx", 0),
        healthy=plain.get(own + "membership_healthy", 0) > 0,
        times=times.get(own + "external.upstream_rq_time", Histogram()),
    )
