"""What happens to notes when tasks are changed over the API: the database and the note converge, and the note wins."""

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path

import pytest

from integration.tasks.stand import TODAY, Stand, make_stand
from weave_nn.services.tasks.contract import (
    IdempotencyKeyReused,
    NewTask,
    QueryRefused,
    StaleTask,
    StatusType,
    Task,
    TaskChanges,
    TaskNotFound,
    TaskSelection,
)
from weave_nn.services.tasks.service import TaskRules
from weave_nn.shared.errors import InvalidInput


def settled(stand: Stand) -> bool:
    return stand.all(TaskSelection(pending=True)) == []


def test_a_new_task_is_stored_at_once_and_its_line_follows(stand: Stand) -> None:
    stand.write("a.md", "# Plan\n- [ ] old\n\n# Later\ntext")
    stand.carry()
    stand.heard()
    new = NewTask("buy milk #home", note_path="a.md", heading="Plan", due_date=date(2026, 12, 1), priority="high")
    made = stand.tasks.create_task(new)
    assert made.pending
    assert stand.tasks.get_task(made.id) == made
    stand.carry()
    assert stand.read("a.md") == "# Plan\n- [ ] old\n- [ ] buy milk #home ⏫ 📅 2026-12-01\n\n# Later\ntext"
    after = stand.tasks.get_task(made.id)
    assert (after.line, after.heading, after.pending, after.version) == (3, "Plan", False, 1)
    assert stand.heard() == ["created"]


def test_a_task_goes_to_its_project_or_to_the_inbox(stand: Stand) -> None:
    stand.write("projects/acme/Plan.md", "x\n")
    stand.carry()
    stand.tasks.create_task(NewTask("one", project_id="acme"))
    stand.tasks.create_task(NewTask("two"))
    stand.tasks.create_task(NewTask("three 📅 2026-12-01 🔁 every week", project_id="new"))
    stand.carry()
    assert stand.read("projects/acme/Tasks.md") == "- [ ] one\n"
    assert stand.read("Inbox.md") == "- [ ] two\n"
    assert stand.read("_projects/new/Tasks.md") == "- [ ] three 📅 2026-12-01 🔁 every week\n"
    assert str(stand.one("three").due_date) == "2026-12-01"
    assert settled(stand)


def test_several_changes_before_the_first_is_written_follow_each_other(stand: Stand) -> None:
    stand.write("a.md", "- [ ] one\r\n- [ ] two\r\n")
    stand.carry()
    task = stand.one("one")
    for number in range(1, 6):
        task = stand.tasks.update_task(task.id, TaskChanges(title=f"one {number}"), version=task.version)
    made = stand.tasks.create_task(NewTask("three", note_path="a.md"))
    stand.tasks.update_task(made.id, TaskChanges(priority="low"))
    stand.carry(file_service=False)
    assert stand.read("a.md") == "- [ ] one\r\n- [ ] two\r\n"
    assert stand.tasks.get_task(task.id).title == "one 5"
    stand.carry()
    assert stand.read("a.md") == "- [ ] one 5\r\n- [ ] two\r\n- [ ] three 🔽\r\n"
    assert settled(stand)
    assert "conflict" not in stand.heard()


def test_a_note_that_changes_meanwhile_does_not_undo_what_was_asked_for(stand: Stand) -> None:
    stand.write("a.md", "- [ ] one\n- [ ] two\n")
    stand.carry()
    task = stand.one("one")
    stand.tasks.complete_task(task.id)
    stand.carry(file_service=False)
    stand.write("a.md", "new first line\n- [ ] two\n- [ ] one\n")
    stand.sync.reconcile_all()
    assert stand.tasks.get_task(task.id).status is StatusType.DONE
    stand.carry()
    assert stand.read("a.md") == "new first line\n- [ ] two\n- [x] one ✅ 2026-11-23\n"
    assert settled(stand)


def test_on_a_conflict_the_note_wins_and_it_is_said(stand: Stand) -> None:
    stand.write("a.md", "- [ ] one\n")
    stand.carry()
    task = stand.one("one")
    stand.heard()
    stand.tasks.update_task(task.id, TaskChanges(title="theirs"))
    stand.carry(file_service=False)
    stand.write("a.md", "- [ ] one, as I say\n")
    stand.carry()
    assert stand.read("a.md") == "- [ ] one, as I say\n"
    assert stand.tasks.get_task(task.id).title == "one, as I say"
    (conflict,) = [event for event in stand.told if event.type == "task.conflict"]
    assert (conflict.data["wanted"], conflict.data["found"]) == ("- [ ] theirs", "- [ ] one, as I say")
    assert settled(stand)


def test_a_line_that_was_deleted_meanwhile_stays_deleted(stand: Stand) -> None:
    stand.write("a.md", "- [ ] one 📅 2026-11-23 🔁 every day\n- [ ] two\n")
    stand.carry()
    done = stand.tasks.complete_task(stand.one("one").id)
    assert done.next is not None
    stand.carry(file_service=False)
    stand.write("a.md", "- [ ] two\n")
    stand.carry()
    assert [task.title for task in stand.all()] == ["two"]
    assert "conflict" in stand.heard()
    assert stand.read("a.md") == "- [ ] two\n"


def test_a_line_for_a_note_that_cannot_take_it_goes_to_the_inbox(stand: Stand) -> None:
    (stand.root / "folder.md").mkdir()
    stand.tasks.create_task(NewTask("kept", note_path="folder.md"))
    stand.carry()
    assert stand.read("Inbox.md") == "- [ ] kept\n"
    assert "conflict" in stand.heard()
    assert settled(stand)


def test_a_note_renamed_while_an_edit_waits_gets_the_edit(stand: Stand) -> None:
    stand.write("a.md", "- [ ] one\n")
    stand.carry()
    task = stand.one("one")
    stand.tasks.update_task(task.id, TaskChanges(title="changed"))
    stand.carry(file_service=False)
    stand.files.move_file("a.md", "b.md")
    stand.carry(file_service=False)
    stand.carry()
    assert stand.read("b.md") == "- [ ] changed\n"
    assert settled(stand)


def test_completing_a_recurring_task_puts_the_next_one_above(stand: Stand) -> None:
    stand.write("a.md", "> - [ ] trash 🔁 every Sunday 📅 2021-04-25 🆔 abc ^b1\n>   - [ ] sub\n")
    stand.carry()
    task = stand.one("trash")
    done = stand.tasks.complete_task(task.id)
    assert done.task is not None
    assert done.next is not None
    again = stand.tasks.complete_task(done.next.id)
    assert again.next is not None
    stand.carry()
    assert stand.read("a.md") == (
        "> - [ ] trash 🔁 every Sunday 📅 2021-05-09\n"
        "> - [x] trash 🔁 every Sunday 📅 2021-05-02 ✅ 2026-11-23\n"
        "> - [x] trash 🔁 every Sunday 📅 2021-04-25 ✅ 2026-11-23 🆔 abc ^b1\n"
        ">   - [ ] sub\n"
    ).replace("📅 2021-04-25 ✅ 2026-11-23 🆔 abc", "📅 2021-04-25 🆔 abc ✅ 2026-11-23")
    assert [each.id for each in stand.all()][:3] == [again.next.id, done.next.id, task.id]
    assert settled(stand)


def test_on_completion_delete_takes_the_line_away(stand: Stand) -> None:
    stand.write("a.md", "- [ ] once 🏁 delete\n- [ ] daily 📅 2026-11-23 🔁 every day 🏁 delete\n")
    stand.carry()
    assert stand.tasks.complete_task(stand.one("once").id).task is None
    daily = stand.tasks.complete_task(stand.one("daily").id)
    assert daily.task is None
    stand.carry()
    assert stand.read("a.md") == "- [ ] daily 📅 2026-11-24 🔁 every day 🏁 delete\n"
    assert [task.id for task in stand.all()] == [daily.next.id if daily.next else None]
    assert settled(stand)


def test_cancel_reopen_and_delete(stand: Stand) -> None:
    stand.write("a.md", "- [ ] one\n- [ ] two\n")
    stand.carry()
    one, two = stand.all()
    assert stand.tasks.cancel_task(one.id).cancelled_date == TODAY
    stand.carry()
    assert stand.read("a.md") == "- [-] one ❌ 2026-11-23\n- [ ] two\n"
    stand.tasks.reopen_task(one.id)
    stand.tasks.delete_task(two.id)
    assert [task.id for task in stand.all()] == [one.id]
    stand.carry()
    assert stand.read("a.md") == "- [ ] one\n"
    made = stand.tasks.create_task(NewTask("short-lived", note_path="a.md"))
    stand.tasks.delete_task(made.id)
    stand.carry()
    assert stand.read("a.md") == "- [ ] one\n"
    with pytest.raises(TaskNotFound):
        stand.tasks.get_task(made.id)
    with stand.database.read() as work:
        assert work.session.connection().exec_driver_sql("SELECT count(*) FROM task").scalar() == 1


def test_a_stale_version_changes_nothing(stand: Stand) -> None:
    task = stand.tasks.create_task(NewTask("one"))
    stand.tasks.update_task(task.id, TaskChanges(priority="high"), version=1)
    with pytest.raises(StaleTask) as refused:
        stand.tasks.delete_task(task.id, version=1)
    assert refused.value.fields["current_version"] == 2
    stand.carry()
    assert stand.read("Inbox.md") == "- [ ] one ⏫\n"


def test_a_repeated_request_makes_one_task(stand: Stand) -> None:
    first = stand.tasks.create_task(NewTask("one"), idempotency_key="k")
    stand.carry()
    assert stand.tasks.create_task(NewTask("one"), idempotency_key="k").id == first.id
    with pytest.raises(IdempotencyKeyReused):
        stand.tasks.create_task(NewTask("two"), idempotency_key="k")
    stand.carry()
    assert stand.read("Inbox.md") == "- [ ] one\n"


@pytest.mark.parametrize(
    "new",
    [
        NewTask(""),
        NewTask("two\nlines"),
        NewTask("a", recurrence="now and then"),
        NewTask("a", reference="no blanks"),
        NewTask("a", note_path="../a.md"),
        NewTask("a", note_path="a.txt"),
    ],
)
def test_what_cannot_be_written_is_refused_before_anything_is_stored(stand: Stand, new: NewTask) -> None:
    with pytest.raises(InvalidInput):
        stand.tasks.create_task(new)
    assert stand.all() == []


def test_ids_are_written_only_when_asked_for(tmp_path: Path) -> None:
    stand = make_stand(tmp_path, TaskRules(today=lambda: TODAY, write_ids=True, global_filter="#task"))
    made = stand.tasks.create_task(NewTask("one"))
    assert made.reference is not None
    assert made.title == "#task one"
    stand.carry()
    assert stand.read("Inbox.md") == f"- [ ] #task one 🆔 {made.reference}\n"
    stand.write("a.md", "- [ ] no task here\n")
    stand.carry()
    assert len(stand.all()) == 1
    stand.database.close()


def test_after_a_restart_unanswered_edits_are_asked_for_again(stand: Stand) -> None:
    stand.write("a.md", "- [ ] one\n")
    stand.carry()
    stand.tasks.update_task(stand.one("one").id, TaskChanges(title="new"))
    stand.tasks.create_task(NewTask("two", note_path="a.md"))
    stand.carry(file_service=False)
    stand.held.clear()
    stand.sync.reconcile_all()
    stand.carry()
    stand.sync.reconcile_all()
    stand.carry()
    assert stand.read("a.md") == "- [ ] new\n- [ ] two\n"
    assert settled(stand)


@pytest.mark.parametrize(
    ("database_url", "tasks_each"), [("sqlite", 50), ("postgresql", 10)], indirect=["database_url"]
)
def test_tasks_made_by_ten_clients_at_once_are_each_written_once(stand: Stand, tasks_each: int) -> None:
    def client(number: int) -> None:
        for each in range(tasks_each):
            stand.tasks.create_task(NewTask(f"task {number}-{each}"), idempotency_key=f"{number}-{each}")

    threads = [threading.Thread(target=client, args=(number,)) for number in range(10)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        stand.carry()
    stand.carry()
    lines = Counter(stand.read("Inbox.md").splitlines())
    assert lines == Counter({f"- [ ] task {number}-{each}": 1 for number in range(10) for each in range(tasks_each)})
    assert len(stand.all()) == 10 * tasks_each
    assert settled(stand)


def test_one_request_that_comes_several_times_at_once_makes_one_task(stand: Stand) -> None:
    together = threading.Barrier(4)

    def client(number: int) -> str:
        together.wait()
        return stand.tasks.create_task(NewTask(f"task {number // 4}"), idempotency_key=f"key {number // 4}").id

    with ThreadPoolExecutor(4) as clients:
        made = list(clients.map(client, range(12)))
    stand.carry()
    assert [len({*made[start : start + 4]}) for start in (0, 4, 8)] == [1, 1, 1]
    assert sorted(stand.read("Inbox.md").splitlines()) == ["- [ ] task 0", "- [ ] task 1", "- [ ] task 2"]


def test_paging_filters_counts_and_queries_agree(stand: Stand) -> None:
    lines = [f"- [{'x' if n % 3 == 0 else ' '}] task {n} #t{n % 2}/sub 📅 2026-12-{n % 28 + 1:02}" for n in range(60)]
    stand.write("a.md", "\n".join([*lines, "- [ ] undated 50% ⏫", ""]))
    stand.carry()
    for sort, descending in [("due", False), ("due", True), ("title", False), ("path", True), ("updated_at", False)]:
        found: list[Task] = []
        cursor = None
        while True:
            page = stand.tasks.list_tasks(TaskSelection(), sort=sort, descending=descending, limit=7, cursor=cursor)  # type: ignore[arg-type]  # names of sorts
            found += page.tasks
            cursor = page.next_cursor
            if cursor is None:
                break
        assert len({task.id for task in found}) == len(found) == 61
        if sort == "due":
            assert found[-1].title == "undated 50% ⏫".removesuffix(" ⏫")
    page = stand.tasks.list_tasks(TaskSelection(), limit=5)
    with pytest.raises(InvalidInput):
        stand.tasks.list_tasks(TaskSelection(text="task"), limit=5, cursor=page.next_cursor)
    done = stand.all(TaskSelection(status=(StatusType.DONE,), tags=("T0",), to_date={"due": date(2026, 12, 10)}))
    asked = stand.tasks.query_tasks("done\ntags include #t0\ndue on or before 2026-12-10")
    assert {task.id for task in done} == {task.id for task in asked.tasks} != set()
    assert [task.title for task in stand.all(TaskSelection(text="50% UNDATED"))] == ["undated 50%"]
    counts = {group.value: group.count for group in stand.tasks.count_tasks(TaskSelection(), by="status")}
    assert counts == {"TODO": 41, "DONE": 20}
    assert {g.value: g.count for g in stand.tasks.count_tasks(TaskSelection(), by="tag")} == {
        "#t0/sub": 30,
        "#t1/sub": 30,
    }
    assert {g.value for g in stand.tasks.count_tasks(TaskSelection(), by="priority")} == {"none", "high"}
    with pytest.raises(QueryRefused):
        stand.tasks.query_tasks("filter by function true")
