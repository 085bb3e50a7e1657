from pathlib import Path

import pytest

from weave_nn.entrypoints import standalone
from weave_nn.entrypoints.process import PARTS, Process
from weave_nn.entrypoints.services import SERVICES
from weave_nn.gateway.places import PORTS, PREFIXES
from weave_nn.services.files.contract import FilesContract
from weave_nn.services.git.contract import RestoreContract
from weave_nn.services.tasks.contract import TasksContract
from weave_nn.shared.config import Settings, load, prepare
from weave_nn.shared.errors import InvalidInput


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    (tmp_path / "vault").mkdir()
    return load({"vault": tmp_path / "vault", "data_dir": tmp_path / "state"}).settings


def test_a_contract_is_local_where_its_service_is_composed_and_remote_elsewhere(settings: Settings) -> None:
    process = standalone.build(settings, prepare(settings), ["tasks", "git"])
    try:
        kinds = {
            contract: type(process.contracts.get(contract)).__name__
            for contract in (TasksContract, RestoreContract, FilesContract)
        }
    finally:
        process.stop()
    assert kinds[TasksContract] == "LocalTasksContract"
    assert not kinds[RestoreContract].startswith("Remote")
    assert kinds[FilesContract] == "RemoteFilesContract"


def test_all_parts_are_the_monolith(settings: Settings) -> None:
    whole, parts = Process(settings, prepare(settings)), standalone.build(settings, prepare(settings), list(PARTS))
    try:
        assert [each.name for each in whole.checks] == [each.name for each in parts.checks]
        routes = [sorted(process.app.openapi()["paths"]) for process in (whole, parts)]
        assert routes[0] == routes[1]
    finally:
        whole.stop()
        parts.stop()


def test_a_process_serves_the_paths_of_its_own_services_only(settings: Settings) -> None:
    process = standalone.build(settings, prepare(settings), ["tasks"])
    try:
        own = {path.split("/")[1] for path in process.app.openapi()["paths"]}
    finally:
        process.stop()
    assert own == {"tasks", "health", "ready", "metrics"}


def test_every_service_is_known_wherever_services_are_known_by_name() -> None:
    for service in SERVICES:
        assert service.url_setting in Settings.model_fields
        assert service.prefix in PREFIXES[service.name]
        assert service.part.port == PORTS[service.name]
        default = Settings.model_fields[service.url_setting].default
        assert default == f"http://127.0.0.1:{service.part.port}"
    ports = [part.port for part in PARTS.values()]
    assert len(set(ports)) == len(ports)


def test_a_part_that_there_is_not_is_refused_with_what_was_meant() -> None:
    with pytest.raises(InvalidInput, match="'tasks'"):
        standalone.checked(["tsks"])
    assert standalone.checked(["sync", "mcp", "sync"]) == ("sync", "mcp")


@pytest.mark.parametrize(
    ("parts", "port"),
    [(["tasks"], 8003), (["sync", "mcp"], 8004), (["mcp", "sync"], 8004), (["watcher", "relay"], 8011)],
)
def test_a_process_listens_at_the_port_of_its_first_service(parts: list[str], port: int) -> None:
    assert standalone.default_port(parts) == port
