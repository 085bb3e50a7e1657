"""What runs where, read from docker-compose.yml: the one description that containers and plain processes share."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

COMPOSE_FILE = Path(__file__).parents[1] / "docker-compose.yml"
_VARIABLE = re.compile(r"\$\{(\w+)(?::-([^}]*))?\}")


@dataclass(frozen=True, slots=True)
class Part:
    """One process of ours: the arguments of `weave`, and the port that it has in its container."""

    name: str
    arguments: tuple[str, ...]
    port: int


def compose(variables: Mapping[str, str]) -> dict[str, Any]:
    """The Compose file as Compose reads it when these variables are set."""
    text = COMPOSE_FILE.read_text(encoding="utf-8")
    # Comments may speak of variables as well; they do not survive the reading.
    filled = _VARIABLE.sub(lambda found: variables.get(found[1]) or found[2] or "", text)
    described: dict[str, Any] = yaml.safe_load(filled)
    return described


def parts() -> list[Part]:
    """Every process of ours, in the order of the file."""
    return [
        Part(name, tuple(service["command"]), int(service["environment"]["WEAVE_PORT"]))
        for name, service in compose({})["services"].items()
        if "build" in service
    ]
