"""What users notice of a candidate that fails, of a control plane that is gone, and of Envoy's death."""

import json
import os
import re
import signal
import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Self

import pytest
from sqlalchemy import select

from integration.gateway.stand import Stand, wait_until
from weave_nn.gateway.envoy import rendering
from weave_nn.gateway.envoy.files import write
from weave_nn.gateway.rollout import State, StepRefused, share
from weave_nn.gateway.rollouts import Rollouts
from weave_nn.shared.bus.models import outbox

USERS = [f"u{number}" for number in range(40)]


class Load:
    """Users who read all the time, in threads."""

    def __init__(self, stand: Stand, threads: int = 3) -> None:
        self._stand = stand
        self._stopping = threading.Event()
        self.statuses: list[int] = []
        self._threads = [threading.Thread(target=self._run, args=(number,)) for number in range(threads)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join()

    def go_on(self, count: int) -> None:
        """Wait for so many more answers."""
        wanted = len(self.statuses) + count
        wait_until(lambda: len(self.statuses) >= wanted)

    def _run(self, number: int) -> None:
        count = number
        while not self._stopping.wait(0.005):
            count += 3
            try:
                self.statuses.append(self._stand.ask("/tasks/1", USERS[count % len(USERS)]).status)
            except OSError:
                self.statuses.append(0)


def test_the_split_changes_under_load_without_a_failed_request(stand: Stand) -> None:
    stand.plan()
    with Load(stand) as load:
        for percent in (10, 25, 50, 100, 50, 0, 25, 100, 10):
            stand.to(percent)
            load.go_on(15)
        stand.rollouts.roll_back("tasks", who="ann", why="")
        stand.await_served()
        stand.plan()
        load.go_on(15)
    assert set(load.statuses) == {200}
    assert int(stand.envoy.admin.served()["rejected"]) == 0


def test_a_candidate_that_fails_is_rolled_back_and_reads_go_on(stand: Stand) -> None:
    stand.plan()
    stand.to(50)
    with Load(stand) as load:
        load.go_on(30)
        stand.candidate.status = 500
        wait_until(lambda: stand.rollouts.find("tasks").state is State.ROLLED_BACK)
        stand.await_served()
        load.go_on(15)
    assert set(load.statuses) == {200}
    rolled_back = stand.rollouts.find("tasks")
    assert share(rolled_back) == 0
    assert "failed on the candidate" in rolled_back.reason
    status = stand.rollouts.status("tasks")
    assert status.history[-1].who == "guard"
    with stand.database.read() as work:
        assert "gateway.rollback" in set(work.session.scalars(select(outbox.c.type)))


def test_users_go_home_from_a_broken_candidate_though_the_database_cannot_be_written(stand: Stand) -> None:
    stand.plan()
    stand.to(50)
    with closing(sqlite3.connect(stand.folder / "weave.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        stand.candidate.status = 500

        def home() -> bool:
            # Each of them was somewhere else before, and writes are not asked again.
            return {stand.ask("/tasks", user, "POST").body for user in USERS} == {"stable"}

        wait_until(home)
        assert stand.rollouts.find("tasks").state is State.ROLLING
        other.execute("ROLLBACK")
    wait_until(lambda: stand.rollouts.find("tasks").state is State.ROLLED_BACK)
    stand.await_served()
    stand.candidate.status = 200
    stand.plan()
    stand.to(50)
    assert {stand.ask("/tasks", user, "POST").body for user in USERS} == {"stable", "candidate"}


def test_a_candidate_that_is_gone_is_rolled_back_and_nobody_notices(stand: Stand) -> None:
    stand.plan()
    stand.to(50)
    assert {stand.ask("/tasks", user, "POST").status for user in USERS} == {200}
    stand.close(stand.candidate)
    assert {stand.ask("/tasks/1", user).status for user in USERS} == {200}
    # A write on a connection that is just ending was perhaps received, and is not sent again.
    wait_until(
        lambda: not any(map(int, stand.envoy.admin.texts(r"^cluster\..*-candidate\.upstream_cx_active$").values()))
    )
    assert {stand.ask("/tasks", user, "POST").status for user in USERS} == {200}
    wait_until(lambda: stand.rollouts.find("tasks").state is State.ROLLED_BACK)


def test_however_many_reads_fail_at_once_all_are_asked_of_the_other_side(stand: Stand) -> None:
    stand.plan(tolerated_errors=0.9)
    stand.to(100)
    stand.candidate.status = 503
    # They are all under way before the first of them ends.
    stand.stable.delay_seconds = 1.0
    with ThreadPoolExecutor(len(USERS)) as pool:
        statuses = list(pool.map(lambda user: stand.ask("/tasks/1", user).status, USERS))
    assert set(statuses) == {200}


@pytest.mark.parametrize("completed", [True, False])
def test_a_service_without_another_side_is_waited_for_while_it_restarts(stand: Stand, *, completed: bool) -> None:
    stand.plan()
    stand.to(100)
    stand.rollouts.complete("tasks", who="ann", force=True)
    stand.await_served()
    backend, path = (stand.candidate, "/tasks") if completed else (stand.stable, "/files/a.md")
    assert stand.ask(path, "u1").body == backend.name
    stand.close(backend)
    said: list[str] = []

    def ask(method: str) -> None:
        said.append(stand.ask(path, "u1", method).body)

    asking = [threading.Thread(target=ask, args=(method,)) for method in ("GET", "POST") * 10]
    for thread in asking:
        thread.start()
    wait_until(lambda: sum(map(int, stand.envoy.admin.texts(r"^cluster\..*upstream_rq_retry$").values())) >= 20)
    stand.open(backend)
    for thread in asking:
        thread.join()
    assert said == [backend.name] * 20


def test_a_write_that_was_sent_is_not_sent_again(stand: Stand) -> None:
    stand.plan()
    stand.to(100)
    stand.candidate.status = 503
    assert stand.ask("/tasks", "u1", "POST").status == 503
    assert stand.stable.paths().count("POST /tasks") == 0
    assert stand.ask("/tasks/1", "u1").status == 200
    assert stand.stable.paths() == ["GET /tasks/1"]


def test_without_traffic_the_guard_holds(stand: Stand) -> None:
    stand.plan(minimum_samples=5)
    stand.to(10)

    def verdict() -> str:
        window = stand.rollouts.status("tasks").window
        return window.verdict if window and window.at > stand.rollouts.find("tasks").stepped_at else ""

    wait_until(lambda: verdict() == "hold")
    stand.to(100)
    for user in USERS[:10]:
        stand.ask("/tasks/1", user)
    wait_until(lambda: stand.rollouts.find("tasks").state is State.SOAKING)
    wait_until(lambda: verdict() == "hold")


def test_a_rollout_goes_up_by_itself_to_the_soak_and_no_further(stand: Stand) -> None:
    stand.plan(minimum_samples=3)
    stand.rollouts.shadow("tasks", 100, who="ann")
    stand.to(10)
    stand.rollouts.automate("tasks", automatic=True, who="ann")
    with Load(stand):
        wait_until(lambda: stand.rollouts.find("tasks").state is State.SOAKING)
    steps = [each.to_percent for each in stand.rollouts.status("tasks").history if each.who == "automatic"]
    assert steps == [25, 50, 100]


def test_while_the_control_plane_is_gone_users_stay_where_they_are_and_the_next_one_takes_over(stand: Stand) -> None:
    stand.plan()
    stand.to(50)
    before = {user: stand.ask("/tasks/1", user).body for user in USERS}
    pid = stand.envoy.pid
    stand.lose_control()
    stand.close(stand.control_service)
    assert {user: stand.ask("/tasks/1", user).body for user in USERS} == before
    assert stand.ask("/tasks/1", "unheard-of").body == "stable"
    stand.rollouts.step("tasks", 100, who="ann", force=True)
    stand.make()
    stand.control.start()
    assert stand.envoy.pid == pid
    assert stand.ask("/tasks/1", next(user for user, side in before.items() if side == "stable")).body == "candidate"


def test_what_changed_while_the_control_plane_was_gone_is_never_served_by_halves(
    stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand.plan()
    stand.to(100)
    stand.lose_control()
    stand.rollouts.complete("tasks", who="ann", force=True)
    folder = stand.folder / "envoy"
    missing: list[set[str]] = []

    def watched(where: Path, name: str, text: str) -> bool:
        written = write(where, name, text)
        routes = (folder / "rds.json").read_text()
        there = {each["name"] for each in json.loads((folder / "cds.json").read_text())["resources"]}
        named = set(re.findall(r'"(?:cluster|name)": "(tasks-\d+-[a-z-]+|monolith)"', routes))
        missing.append(named - there)
        return written

    monkeypatch.setattr("weave_nn.gateway.control.write", watched)
    stand.make()
    stand.control.start()
    assert missing
    assert not set().union(*missing)
    assert stand.ask("/tasks/1", "u1").body == "candidate"


def test_envoy_is_started_again_when_it_was_killed(stand: Stand) -> None:
    stand.plan()
    stand.to(100)
    killed = stand.envoy.pid
    assert killed is not None
    os.kill(killed, signal.SIGKILL)

    def answers() -> bool:
        try:
            return stand.ask("/tasks/1", "u1").body == "candidate"
        except OSError:
            return False

    wait_until(answers)
    assert stand.envoy.pid != killed


def test_what_envoy_refuses_is_told_and_the_old_stays(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    stand.plan()
    true = rendering.render

    def wrong(*arguments: object) -> dict[str, str]:
        files = true(*arguments)  # type: ignore[arg-type]  # handed on as they came
        return {**files, "rds.json": files["rds.json"].replace('"virtual_hosts"', '"virtual_ghosts"')}

    monkeypatch.setattr("weave_nn.gateway.control.render", wrong)
    stand.rollouts.step("tasks", 50, who="ann", force=True)
    wait_until(lambda: any("refuses" in node.problem for node in stand.rollouts.nodes()))
    assert stand.ask("/tasks/1", "u1").body == "stable"
    monkeypatch.setattr("weave_nn.gateway.control.render", true)
    stand.await_served()
    wait_until(lambda: not any(node.problem for node in stand.rollouts.nodes()))
    assert {stand.ask("/tasks/1", user).body for user in USERS} == {"candidate", "stable"}


def test_users_whom_the_environment_puts_on_a_planned_candidate_are_guarded(stand: Stand) -> None:
    stand.plan()
    stand.lose_control()
    stand.make(tasks=50)
    stand.control.start()
    assert {stand.ask("/tasks/1", user).body for user in USERS} == {"stable", "candidate"}
    stand.candidate.status = 500
    with Load(stand):
        wait_until(lambda: stand.rollouts.find("tasks").state is State.ROLLED_BACK)


def test_what_passes_with_another_share_than_the_steps_has_not_passed_the_step(stand: Stand) -> None:
    stand.plan(minimum_samples=3)
    stand.to(10)
    stand.lose_control()
    stand.make(tasks=50)
    stand.control.start()

    def reason() -> str:
        window = stand.rollouts.status("tasks").window
        return window.reason if window else ""

    with Load(stand):
        wait_until(lambda: reason() == "the environment demands 50 %, and the step is at 10 %")
    with pytest.raises(StepRefused, match="the environment demands"):
        stand.rollouts.step("tasks", 25, who="ann")


def test_zero_in_the_environment_takes_everybody_home_whatever_was_commanded(stand: Stand) -> None:
    stand.plan()
    stand.to(100)
    stand.rollouts.complete("tasks", who="ann", force=True)
    stand.await_served()
    assert stand.ask("/tasks/1", "u1").body == "candidate"
    stand.lose_control()
    stand.make(tasks=0)
    stand.control.start()
    assert {stand.ask("/tasks/1", user).body for user in USERS} == {"stable"}
    # Whoever asks where somebody is knows it too, whatever their own environment says.
    assert stand.rollouts.status("tasks").demanded == 0
    for asking in (stand.rollouts, Rollouts(stand.database, "vault", {"tasks": 100})):
        assert asking.where("u1")[0].side == "stable"
