"""What tools and commands ask goes where the gateway sends everybody, once there is something to follow."""

import socket
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NoReturn

import pytest
from pydantic import SecretStr

from ports import free_port
from served import served
from weave_nn.entrypoints import following, monolith
from weave_nn.entrypoints.process import Process, migrate
from weave_nn.gateway.repository import Node, RolloutRepository
from weave_nn.gateway.rollout import Policy
from weave_nn.gateway.rollouts import Rollouts
from weave_nn.services.tasks.contract import TaskNotFound, TasksContract
from weave_nn.shared.config import Settings, load, prepare
from weave_nn.shared.contracts.serving import contract_router
from weave_nn.shared.identity import Identity, Scope, acting_as

KEY = "of-everybody-0123456789"
ANN = Identity("laptop", frozenset({Scope.READ}), user="ann")


class Elsewhere:
    """A task service that has other tasks."""

    def __getattr__(self, name: str) -> Callable[..., NoReturn]:
        def asked(**_arguments: Any) -> NoReturn:
            raise TaskNotFound("elsewhere")

        return asked


@pytest.fixture(autouse=True)
def _looking_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "LOOK_SECONDS", 0.0)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    (tmp_path / "vault").mkdir()
    return load({"vault": tmp_path / "vault", "data_dir": tmp_path / "state", "api_key": KEY}).settings


@pytest.fixture
def gateway() -> Iterator[str]:
    with served(contract_router(TasksContract, Elsewhere(), prefix="/tasks"), key=KEY) as url:
        yield url


def asked_elsewhere(process: Process) -> bool:
    """Where a tool's question went; the contract was fetched when the process was made."""
    with pytest.raises(TaskNotFound) as refused:
        process.asked_by_tools.get(TasksContract).get_task("here")
    return "elsewhere" in str(refused.value)


def extracted(process: Process) -> None:
    rollouts = Rollouts(process.runtime.database, process.runtime.vault_id)
    rollouts.plan(
        "tasks", candidate="http://127.0.0.1:1", monolith="http://127.0.0.1:2", policy=Policy(), who="ann", why=""
    )


def seen(process: Process, gateway: str, *, host: str, at: datetime) -> None:
    name = f"{host}:{gateway.rpartition(':')[2]}"
    with process.runtime.database.write() as work:
        RolloutRepository(work.session, process.runtime.vault_id).seen(Node(name, "http://127.0.0.1:9902", 1, "", at))


def test_a_question_goes_through_the_gateway_while_one_lives_here_and_the_service_is_extracted(
    settings: Settings, gateway: str
) -> None:
    process = Process(settings, prepare(settings))
    now, here = datetime.now(UTC), socket.gethostname()
    try:
        migrate(process.runtime, [component for _, component in process.composed])
        assert not asked_elsewhere(process)
        extracted(process)
        assert not asked_elsewhere(process)
        seen(process, gateway, host="another", at=now)
        assert not asked_elsewhere(process)
        nobody = f"http://127.0.0.1:{free_port()}"
        seen(process, nobody, host=here, at=now)
        assert not asked_elsewhere(process)
        seen(process, nobody, host=here, at=now - timedelta(minutes=5))
        seen(process, gateway, host=here, at=now)
        assert asked_elsewhere(process)
        with monolith.offline(settings, process.runtime.instance) as command, pytest.raises(TaskNotFound) as refused:
            command.contract(TasksContract).get_task("here")
        assert "elsewhere" in str(refused.value)
        seen(process, gateway, host=here, at=now - timedelta(minutes=5))
        assert not asked_elsewhere(process)
    finally:
        process.stop()


@pytest.mark.parametrize(("service_key", "follows"), [(None, False), (SecretStr(KEY), True)])
def test_on_behalf_of_others_than_the_owner_only_with_the_service_key(
    settings: Settings,
    gateway: str,
    service_key: SecretStr | None,
    follows: bool,  # noqa: FBT001 - an expectation
) -> None:
    given = settings.model_copy(update={"gateway_url": gateway, "service_key": service_key})
    process = Process(given, prepare(given))
    try:
        migrate(process.runtime, [component for _, component in process.composed])
        assert asked_elsewhere(process)
        with acting_as(ANN):
            assert asked_elsewhere(process) is follows
    finally:
        process.stop()
