"""Rollouts in the database: what is kept, what is refused, who is told."""

import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import select

from weave_nn.gateway import models
from weave_nn.gateway.repository import KEPT_MISMATCHES, Comparison, Mismatch, Node, RolloutRepository, Window
from weave_nn.gateway.rollout import Policy, State, StepRefused
from weave_nn.gateway.rollouts import CHANNEL, Rollouts
from weave_nn.shared import bus
from weave_nn.shared.bus.models import outbox
from weave_nn.shared.db import Database, upgrade
from weave_nn.shared.db.schema import downgrade
from weave_nn.shared.errors import InvalidInput, NotFound, WeaveError

STABLE, CANDIDATE = "http://127.0.0.1:8010", "http://127.0.0.1:8003"


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    database = Database(database_url)
    upgrade(database, [bus.SCHEMA, models.SCHEMA])
    yield database
    database.close()


@pytest.fixture
def rollouts(database: Database) -> Rollouts:
    return Rollouts(database, "vault")


def plan(rollouts: Rollouts, service: str = "tasks", candidate: str = CANDIDATE) -> None:
    rollouts.plan(service, monolith=STABLE, candidate=candidate, policy=Policy(ignore=("$.at",)), who="ann", why="try")


def passed(database: Database, rollouts: Rollouts, service: str = "tasks") -> None:
    with database.write() as work:
        found = rollouts.find(service)
        window = Window(found.stepped_at, datetime.now(UTC), "passed", "well", {})
        RolloutRepository(work.session, "vault").keep_window(found.id, window)


def announced(database: Database) -> list[dict[str, object]]:
    with database.read() as work:
        return [json.loads(each) for each in work.session.scalars(select(outbox.c.body).order_by(outbox.c.sequence))]


def test_the_way_up_is_kept_with_who_when_why_from_and_to(database: Database, rollouts: Rollouts) -> None:
    plan(rollouts)
    rollouts.shadow("tasks", 5, who="ann")
    for percent in (10, 25, 50, 100):
        passed(database, rollouts)
        rollouts.step("tasks", percent, who="ann", why=f"to {percent}")
    rollouts.soak("tasks", who="guard", why="well")
    passed(database, rollouts)
    rollouts.complete("tasks", who="bob")
    status = rollouts.status("tasks")
    assert status.rollout.state is State.COMPLETED
    assert status.rollout.policy.ignore == ("$.at",)
    assert [(each.action, each.from_percent, each.to_percent) for each in status.history] == [
        ("plan", 0, 0), ("shadow", 0, 0), ("step", 0, 10), ("step", 10, 25), ("step", 25, 50), ("step", 50, 100),
        ("soak", 100, 100), ("complete", 100, 100),
    ]  # fmt: skip
    assert status.history[-1].who == "bob"
    assert status.history[2].why == "to 10"
    assert rollouts.version() == status.version == 8
    assert {each["type"] for each in announced(database)} == {"gateway.rollout"}


def test_a_step_needs_a_verdict_on_this_step_that_is_not_old(database: Database, rollouts: Rollouts) -> None:
    plan(rollouts)
    with pytest.raises(StepRefused, match="has not looked at this step"):
        rollouts.step("tasks", 10, who="ann")
    passed(database, rollouts)
    before = rollouts.find("tasks")
    rollouts.step("tasks", 10, who="ann")
    with pytest.raises(StepRefused, match="has not looked at this step"):
        rollouts.step("tasks", 25, who="ann")
    # A gateway that has not heard of the step says what it thinks of the one before, later than the step.
    with database.write() as work:
        late = Window(before.stepped_at, datetime.now(UTC), "passed", "well", {})
        RolloutRepository(work.session, "vault").keep_window(before.id, late)
    with pytest.raises(StepRefused, match="has not looked at this step"):
        rollouts.step("tasks", 25, who="ann")
    with database.write() as work:
        row = work.session.get_one(models.RolloutRow, before.id)
        window = Window(row.stepped_at, datetime.now(UTC) - timedelta(seconds=60), "passed", "well", {})
        RolloutRepository(work.session, "vault").keep_window(row.id, window)
    with pytest.raises(StepRefused, match="the guard looked last at"):
        rollouts.step("tasks", 25, who="ann")
    assert rollouts.step("tasks", 25, who="ann", force=True).percent == 25
    assert rollouts.status("tasks").history[-1].action == "step (forced)"


def test_one_rollout_of_a_service_at_a_time(rollouts: Rollouts) -> None:
    plan(rollouts)
    with pytest.raises(StepRefused, match="under way"):
        plan(rollouts, candidate="http://127.0.0.1:9000")
    plan(rollouts, "files", "http://127.0.0.1:8001")
    rollouts.roll_back("tasks", who="ann", why="wrong")
    first = rollouts.find("tasks")
    plan(rollouts)
    second = rollouts.find("tasks")
    assert second.id != first.id
    assert second.salt != first.salt
    assert {each.service for each in rollouts.routed()[1]} == {"tasks", "files"}


def test_two_who_plan_at_once_make_one_rollout(database: Database) -> None:
    refused: list[WeaveError] = []

    def one() -> None:
        try:
            plan(Rollouts(database, "vault"))
        except WeaveError as error:
            refused.append(error)

    threads = [threading.Thread(target=one) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(refused) == 3
    assert Rollouts(database, "vault").version() == 1


def test_a_completed_service_moves_on_from_where_it_is(rollouts: Rollouts) -> None:
    plan(rollouts)
    rollouts.step("tasks", 100, who="ann", force=True)
    rollouts.complete("tasks", who="ann", force=True)
    with pytest.raises(StepRefused, match="already"):
        plan(rollouts)
    plan(rollouts, candidate="http://127.0.0.1:9003")
    assert rollouts.find("tasks").stable == CANDIDATE
    assert rollouts.roll_back("tasks", who="ann", why="").stable == CANDIDATE
    plan(rollouts, candidate="http://127.0.0.1:9004")
    assert rollouts.find("tasks").stable == CANDIDATE


def test_a_rollback_is_announced_once_and_latched(database: Database, rollouts: Rollouts) -> None:
    plan(rollouts)
    rollouts.step("tasks", 50, who="ann", force=True)
    rollouts.roll_back("tasks", who="guard", why="3 of 3 requests failed")
    rollouts.roll_back("tasks", who="ann", why="again")
    (event,) = [each for each in announced(database) if each["type"] == "gateway.rollback"]
    assert event["subject"] == "tasks"
    assert event["data"] == {
        "service": "tasks", "rollout_id": rollouts.find("tasks").id, "from_percent": 50, "who": "guard",
        "why": "3 of 3 requests failed",
    }  # fmt: skip
    with pytest.raises(StepRefused, match="3 of 3 requests failed"):
        rollouts.step("tasks", 10, who="ann", force=True)


def test_what_a_guard_decided_on_a_step_that_is_over_is_not_done(rollouts: Rollouts) -> None:
    plan(rollouts)
    rollouts.step("tasks", 25, who="ann", force=True)
    judged = rollouts.find("tasks")
    rollouts.step("tasks", 100, who="ann", force=True)
    kept = rollouts.step("tasks", 50, who="automatic", still=lambda each: each.stepped_at == judged.stepped_at)
    assert kept.percent == rollouts.find("tasks").percent == 100
    rollouts.roll_back("tasks", who="ann", why="wrong")
    plan(rollouts)
    rollouts.roll_back("tasks", who="guard", why="late", still=lambda each: each.id == judged.id)
    assert rollouts.find("tasks").state is State.PLANNED


def test_a_change_is_signalled(database: Database, rollouts: Rollouts) -> None:
    heard = threading.Event()
    database.signals.listen(CHANNEL, heard.set)
    plan(rollouts)
    assert heard.is_set()


@pytest.mark.parametrize(
    "address", ["ftp://x", "127.0.0.1:8003", "http://", "http://h/path", "http://u:p@h", "http://h:x"]
)
def test_what_is_no_address_is_refused(rollouts: Rollouts, address: str) -> None:
    with pytest.raises(InvalidInput):
        plan(rollouts, candidate=address)


def test_what_is_no_service_or_was_never_extracted_is_not_found(rollouts: Rollouts) -> None:
    with pytest.raises(NotFound, match="no service"):
        plan(rollouts, "bakery")
    with pytest.raises(NotFound, match="weave extract tasks"):
        rollouts.status("tasks")


def test_where_a_user_is_follows_the_split_and_the_environment(database: Database, rollouts: Rollouts) -> None:
    assert rollouts.where("alice") == []
    plan(rollouts)
    assert rollouts.where("alice")[0].side == "stable"
    rollouts.step("tasks", 100, who="ann", force=True)
    (found,) = rollouts.where("alice")
    assert (found.side, found.address) == ("candidate", CANDIDATE)
    assert Rollouts(database, "vault", {"tasks": 0}).where("alice")[0].side == "stable"


def test_mismatches_are_bounded_and_counts_add_up(database: Database, rollouts: Rollouts) -> None:
    plan(rollouts)
    found = rollouts.find("tasks")
    with database.write() as work:
        kept = RolloutRepository(work.session, "vault")
        for number in range(3):
            several = [
                Mismatch(datetime.now(UTC), "/tasks", f"/tasks/{number}-{each}", "$.a", "1", "2", 1.0)
                for each in range(KEPT_MISMATCHES // 2)
            ]
            kept.keep_mismatches(found.id, several)
            kept.count_comparisons(found.id, [Comparison("/tasks", 10, 2, 1), Comparison("/tasks/{id}", 5)])
    every = rollouts.mismatches("tasks", 1000)
    assert len(every) == KEPT_MISMATCHES
    assert every[0].path.startswith("/tasks/2-")
    assert rollouts.status("tasks").comparisons == (
        Comparison("/tasks", 30, 6, 3),
        Comparison("/tasks/{id}", 15),
    )


def test_gateways_that_say_nothing_any_more_are_forgotten(database: Database, rollouts: Rollouts) -> None:
    now = datetime.now(UTC)
    with database.write() as work:
        kept = RolloutRepository(work.session, "vault")
        kept.seen(Node("one", "http://127.0.0.1:9902", 1, "", now))
        kept.seen(Node("two", "http://127.0.0.1:9902", 1, "", now - timedelta(minutes=5)))
    assert [each.node for each in rollouts.nodes()] == ["one"]


def test_the_migrations_lead_to_the_tables_of_the_models(database: Database) -> None:
    with database.reader.connect() as connection:
        context = MigrationContext.configure(
            connection,
            opts={"include_name": lambda name, kind, _: kind != "table" or (name or "").startswith("gateway_")},
        )
        assert compare_metadata(context, models.SCHEMA.metadata) == []


def test_the_schema_goes_down_and_up_with_rows_in_it(database: Database, rollouts: Rollouts) -> None:
    plan(rollouts)
    downgrade(database, [models.SCHEMA], "base")
    upgrade(database, [models.SCHEMA])
    assert rollouts.routed() == (0, ())
