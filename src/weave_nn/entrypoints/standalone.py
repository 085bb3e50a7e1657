"""A standalone process: one or several parts, beside others on the same vault, database and bus."""

import difflib
from collections.abc import Sequence

from weave_nn.entrypoints.process import PARTS, Process
from weave_nn.entrypoints.services import SERVICES
from weave_nn.shared.config import Instance, Settings
from weave_nn.shared.errors import InvalidInput


def checked(names: Sequence[str]) -> tuple[str, ...]:
    """The names of parts, each once. Raises `InvalidInput` for one that is none."""
    for name in names:
        if name not in PARTS:
            near = difflib.get_close_matches(name, PARTS, n=1)
            raise InvalidInput(
                f"{name!r} is no part of Weave-NN.",
                hint=f"Did you mean {near[0]!r}?" if near else f"The parts are {', '.join(PARTS)}.",
                field="part",
            )
    return tuple(dict.fromkeys(names))


def default_port(names: Sequence[str]) -> int:
    """Where a process of these parts listens: at the port of its first service, else of its first part."""
    services = [service.name for service in SERVICES if service.name in names]
    return PARTS[min(services or names, key=list(names).index)].port


def build(settings: Settings, instance: Instance, names: Sequence[str]) -> Process:
    """Compose a process of some parts; nothing is opened for writing before `Process.start`."""
    return Process(settings, instance, frozenset(names))
