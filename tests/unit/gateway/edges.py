"""Every shape that an edge takes, by name."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from weave_nn.gateway.envoy.edge import Edge, Limits, Place, Tls
from weave_nn.gateway.rollout import Rollout, State

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


def rollout(service: str = "tasks", **changes: Any) -> Rollout:
    known: dict[str, Any] = {
        "id": 7,
        "service": service,
        "stable": "http://127.0.0.1:8010",
        "candidate": "http://127.0.0.1:8003",
        "salt": "tasks-7",
        "stepped_at": NOW,
    }
    return Rollout(**(known | changes))


def shapes(certificates: Path) -> dict[str, Edge]:
    tls = Tls(certificate=str(certificates / "front.crt"), key=str(certificates / "front.key"))
    limits = Limits(requests_per_second_of_address=100, requests_per_second_of_user=50, body_bytes=1000)
    return {
        "nothing-extracted": Edge(),
        "planned": Edge(rollouts=(rollout(),)),
        "shadowing": Edge(rollouts=(rollout(state=State.SHADOWING, shadow_percent=5),)),
        "rolling": Edge(rollouts=(rollout(state=State.ROLLING, percent=25, shadow_percent=5),)),
        "sessions": Edge(rollouts=(rollout("sync", state=State.ROLLING, percent=25),)),
        "soaking": Edge(rollouts=(rollout(state=State.SOAKING, percent=100),)),
        "rolled-back": Edge(rollouts=(rollout(state=State.ROLLED_BACK),)),
        "completed": Edge(rollouts=(rollout(state=State.COMPLETED, percent=100),)),
        "overridden-home": Edge(rollouts=(rollout(state=State.COMPLETED, percent=100),), overrides={"tasks": 0}),
        "two-services-limits-names": Edge(
            limits=limits,
            place=Place(host="0.0.0.0", port=443, monolith="http://monolith:8010", tls=tls),  # noqa: S104 - a shape
            rollouts=(
                rollout(candidate="http://tasks:8003", state=State.ROLLING, percent=50, shadow_percent=1),
                rollout("files", id=8, candidate="http://files:8001", state=State.COMPLETED, percent=100),
            ),
        ),
    }
