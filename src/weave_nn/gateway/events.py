"""What the gateway announces."""

from dataclasses import dataclass
from typing import ClassVar

from weave_nn.shared.bus import Announcement


@dataclass(frozen=True, slots=True)
class RolledBack(Announcement):
    """A service's users were all sent home to the stable side, by the guard or by a person; `why` says what for."""

    TYPE: ClassVar[str] = "gateway.rollback"

    service: str
    rollout_id: int
    from_percent: int
    who: str
    why: str

    def subject(self) -> str:
        """The service's name."""
        return self.service


@dataclass(frozen=True, slots=True)
class Stepped(Announcement):
    """A rollout was planned, took a step, was paused or completed."""

    TYPE: ClassVar[str] = "gateway.rollout"

    service: str
    rollout_id: int
    action: str
    state: str
    percent: int
    who: str

    def subject(self) -> str:
        """The service's name."""
        return self.service
