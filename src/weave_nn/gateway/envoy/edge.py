"""What Envoy's configuration is rendered from."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from weave_nn.gateway.rollout import Rollout, State, share


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What the edge takes. Rates are requests a second with twice as many in a burst; 0 does not limit."""

    requests_per_second_of_address: int = 0
    requests_per_second_of_user: int = 0
    body_bytes: int = 2**30
    header_kilobytes: int = 60
    silence_seconds: float = 300.0
    connections: int = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """The files of the edge's certificate (with its chain) and key; they may be replaced while it serves."""

    certificate: str
    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where the parts of the edge listen and are reached; addresses are `http://host:port`."""

    host: str = "127.0.0.1"
    port: int = 8000
    admin_port: int = 9901
    control: str = "http://127.0.0.1:9902"
    comparer: str = "http://127.0.0.1:9903"
    monolith: str = "http://127.0.0.1:8010"
    tls: Tls | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """Everything that decides on the configuration: the same `Edge` is always rendered to the same files.

    `rollouts` are, for each service, the one that is under way, or else the last completed one. `overrides` are the
    percentages by service that the environment demands.
    """

    place: Place = field(default_factory=Place)
    limits: Limits = field(default_factory=Limits)
    rollouts: tuple[Rollout, ...] = ()
    overrides: Mapping[str, int] = field(default_factory=dict)

    def share(self, rollout: Rollout) -> int:
        """The candidate's buckets of 10,000."""
        return share(rollout, self.overrides.get(rollout.service))

    def moved(self, rollout: Rollout) -> bool:
        """Whether the service lives at the candidate's address alone."""
        return rollout.state is State.COMPLETED and self.overrides.get(rollout.service) != 0


def candidate_cluster(rollout: Rollout) -> str:
    """The cluster of the candidate; its statistics are the candidate's side.

    The rollout's id keeps a name from meaning another address while the routes still refer to the former one.
    """
    return f"{rollout.service}-{rollout.id}-candidate"


def stable_cluster(rollout: Rollout) -> str:
    """The cluster of the service's stable side, apart from the rest of the monolith's traffic."""
    return f"{rollout.service}-{rollout.id}-stable"


def first_candidate_cluster(rollout: Rollout) -> str:
    """The candidate while it can serve, else stable."""
    return f"{candidate_cluster(rollout)}-or-stable"


MONOLITH = "monolith"
CONTROL = "control"
COMPARER = "comparer"
LISTENER = "front"
USER = "x-weave-user"
PIN = "x-weave-pin"
SIDE = "x-weave-side"
CONFIG = "x-weave-config"
