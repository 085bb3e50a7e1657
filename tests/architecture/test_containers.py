"""The Dockerfile and docker-compose.yml: that they fit the program, and do not become careless."""

import re
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest

from deploy.description import compose, parts
from weave_nn.shared.config import Settings, variable

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
SERVICES: dict[str, dict[str, Any]] = compose({})["services"]
OURS = {name: service for name, service in SERVICES.items() if "build" in service}
SETTINGS = {variable(field) for field in Settings.model_fields}


@pytest.mark.parametrize("part", parts(), ids=lambda part: part.name)
def test_every_command_is_one_that_weave_understands(part: Any) -> None:
    from typer.main import get_command  # noqa: PLC0415 - as the command line does it

    from weave_nn.entrypoints.cli.app import app  # noqa: PLC0415 - as above

    group: Any = get_command(app)
    with group.make_context("weave", list(part.arguments)) as context:
        _, command, rest = group.resolve_command(context, list(part.arguments))
        with command.make_context(command.name, rest, parent=context):
            pass


def test_together_they_run_every_part_and_each_beside_the_process_with_all() -> None:
    from weave_nn.entrypoints.process import PARTS  # noqa: PLC0415 - heavy

    served = [argument for part in parts() if part.arguments[0] == "serve" for argument in part.arguments[1:]]
    assert sorted(served) == sorted(PARTS)
    assert OURS["weave"]["command"] == ["up"]
    assert "profiles" not in OURS["weave"]


def test_ports_and_addresses_are_those_of_the_program() -> None:
    from weave_nn.entrypoints.process import PARTS  # noqa: PLC0415 - heavy

    for part in parts():
        assert part.port == (PARTS[part.arguments[1]].port if part.arguments[0] == "serve" else 8000)
    addresses = [field for field in SETTINGS if re.fullmatch(r"WEAVE_(FILES|GIT|TASKS|SYNC)_URL", field)]
    assert len(addresses) == 4
    for setting in addresses:
        name = setting.split("_")[1].lower()
        for process in OURS.values():
            assert process["environment"][setting] == f"http://{name}:{PARTS[name].port}"
            assert name in process["environment"]["WEAVE_ALLOWED_HOSTS"].split(",")


def test_every_variable_is_a_setting() -> None:
    in_image = re.findall(r"\b(WEAVE_[A-Z_]+)=", DOCKERFILE)
    assert in_image
    for name, service in OURS.items():
        assert set(service["environment"]) <= SETTINGS, name
    assert set(in_image) <= SETTINGS


def test_all_processes_are_told_of_the_same_data() -> None:
    for setting in ("WEAVE_VAULT", "WEAVE_DATA_DIR", "DATABASE_URL", "RABBITMQ_URL", "REDIS_URL", "WEAVE_SERVICE_KEY"):
        assert len({service["environment"][setting] for service in OURS.values()}) == 1, setting
    assert len({tuple(service["volumes"]) for service in OURS.values()}) == 1


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_each_container_is_bounded_watched_and_closed_to_other_machines(name: str) -> None:
    service = SERVICES[name]
    limits = service["deploy"]["resources"]["limits"]
    assert {"cpus", "memory", "pids"} <= set(limits)
    assert service["restart"] == "unless-stopped"
    assert service["healthcheck"]["retries"]
    for port in service.get("ports", ()):
        assert port.startswith("127.0.0.1:"), port
    for needed, how in service.get("depends_on", {}).items():
        assert how["condition"] == "service_healthy"
        assert needed in SERVICES
        # What another profile brings must not be started by this one.
        assert how.get("required", True) is False or "profiles" not in SERVICES[needed]
    for volume in service.get("volumes", ()):
        source = volume.partition(":")[0]
        assert source.startswith(("./", "/")) or source in compose({})["volumes"]


def test_images_of_others_are_pinned_and_can_be_replaced() -> None:
    given = compose({f"{name.upper()}_IMAGE": f"{name}@sha256:0" for name in SERVICES})["services"]
    for name, service in SERVICES.items():
        if name not in OURS:
            assert re.fullmatch(r"[\w./-]+:\d+\.\d+[\w.-]*", service["image"]), name
            assert given[name]["image"] == f"{name}@sha256:0"


def test_our_containers_have_no_more_rights_than_they_need() -> None:
    for service in OURS.values():
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert service["user"] == "1000:1000"
        assert "privileged" not in service


def test_the_image_is_locked_small_and_stops_when_it_is_told() -> None:
    instructions = [line for line in DOCKERFILE.splitlines() if line and not line.startswith(("#", " "))]
    assert len([line for line in instructions if line.startswith("FROM ")]) == 3
    assert "USER 1000:1000" in instructions
    assert 'ENTRYPOINT ["weave"]' in instructions
    assert any(line.startswith("HEALTHCHECK ") for line in instructions)
    assert 'CMD ["python3"' in DOCKERFILE
    assert DOCKERFILE.count("uv sync --locked --no-dev") == 2
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert re.search(r"^UV_VERSION := (\S+)", makefile, re.MULTILINE)[1] in DOCKERFILE  # type: ignore[index]  # else it fails
    extras = re.search(r'^ARG EXTRAS="(.*)"', DOCKERFILE, re.MULTILINE)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert extras is not None
    assert set(extras[1].split()) <= set(project["optional-dependencies"])


def test_compose_itself_accepts_the_file() -> None:
    docker = shutil.which("docker")
    if docker is None or subprocess.run([docker, "compose", "version"], capture_output=True, check=False).returncode:
        pytest.skip("docker compose is not installed")
    for options in ([], ["--profile", "n8n"], ["--env-file", "compose.extracted.env"]):
        done = subprocess.run(
            [docker, "compose", *options, "config", "--quiet"], cwd=ROOT, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
