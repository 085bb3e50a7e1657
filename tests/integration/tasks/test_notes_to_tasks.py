"""What happens to tasks when notes change."""

import pytest

from integration.tasks.stand import Stand
from weave_nn.services.tasks.contract import StatusType, TaskNotFound, TaskSelection

NOTE = """---
project: "[[Acme]]"
---
# Plan
- [ ] first #home 📅 2026-12-01 ^b1
  - [/] sub ⏫
## Later
1. [ ] second 🆔 abc
- [x] third ✅ 2026-01-01
```
- [ ] code is no task
```
"""


def test_every_field_of_a_line_becomes_a_column(stand: Stand) -> None:
    stand.write("projects/other/Plan.md", NOTE)
    stand.carry()
    tasks = stand.all()
    assert [task.title for task in tasks] == ["first #home", "sub", "second", "third"]
    first, sub, second, third = tasks
    assert (first.line, first.heading, first.tags, first.block_id) == (5, "Plan", ("#home",), "b1")
    assert (str(first.due_date), first.project_id, first.source, first.pending) == ("2026-12-01", "Acme", "note", False)
    assert (sub.priority, sub.status, sub.indent) == ("high", StatusType.IN_PROGRESS, "  ")
    assert (second.reference, second.heading) == ("abc", "Later")
    assert (third.status, str(third.done_date)) == (StatusType.DONE, "2026-01-01")


def test_the_project_is_the_folder_where_the_note_says_none(stand: Stand) -> None:
    stand.write("_projects/acme/deep/Plan.md", "- [ ] a\n")
    stand.write("work/projects/beta/Plan.md", "- [ ] b\n")
    stand.write("projects/Plan.md", "- [ ] c\n")
    stand.carry()
    assert [task.project_id for task in stand.all()] == ["acme", None, "beta"]


@pytest.mark.parametrize(
    ("before", "after", "title"),
    [
        ("- [ ] call Bob\n- [ ] other\n", "# New\n\n- [ ] other\n\n- [ ] call Bob\n", "call Bob"),
        ("- [ ] call Bob\n- [ ] other\n", "- [ ] other\n- [ ] call Bob and Ann ⏫\n", "call Bob and Ann"),
        ("- [ ] call Bob ^id1\n- [ ] x\n", "- [ ] write the report\n- [ ] x ^id2\n- [ ] ring up ^id1\n", "ring up"),
        ("- [ ] call Bob 🆔 q\n", "- [ ] call Bob\n- [ ] other words 🆔 q\n", "other words"),
        ("- [ ] call Bob 📅 2026-01-01\n", "- [ ] call Bob 📅 2026-02-02\n- [ ] call Anna\n", "call Bob"),
        ("- [ ] a\n- [ ] call Bob\n- [ ] b\n", "- [ ] a\n- [ ] call up Robert\n- [ ] b\n", "call up Robert"),
        (
            "- [ ] call Bob 🔁 every day 📅 2026-01-01\n",
            "- [ ] call Bob 🔁 every day 📅 2026-01-02\n- [x] call Bob 🔁 every day 📅 2026-01-01 ✅ 2026-01-01\n",
            None,
        ),
    ],
)  # fmt: skip
def test_a_task_keeps_its_id_when_its_note_is_edited(stand: Stand, before: str, after: str, title: str | None) -> None:
    stand.write("a.md", before)
    stand.carry()
    (task_id,) = [task.id for task in stand.all() if task.title == "call Bob"]
    stand.write("a.md", after)
    stand.carry()
    found = stand.tasks.get_task(task_id)
    if title is None:
        assert found.status is StatusType.DONE
        assert found.line == 2
    else:
        assert found.title == title
        assert after.splitlines()[found.line - 1].endswith(found.text.rpartition("]")[2])


def test_equal_lines_keep_their_order(stand: Stand) -> None:
    stand.write("a.md", "- [ ] same\n" * 3)
    stand.carry()
    ids = [task.id for task in stand.all()]
    stand.write("a.md", "- [ ] new\n" + "- [ ] same\n" * 3)
    stand.carry()
    assert [task.id for task in stand.all()][1:] == ids


def test_of_two_equal_lines_the_one_that_was_not_deleted_stays(stand: Stand) -> None:
    stand.write("a.md", "- [ ] same\n- [ ] same\n")
    stand.carry()
    first, second = stand.all()
    stand.tasks.delete_task(first.id)
    stand.carry()
    assert stand.read("a.md") == "- [ ] same\n"
    assert [task.id for task in stand.all()] == [second.id]


def test_a_renamed_note_keeps_its_tasks(stand: Stand) -> None:
    stand.write("a.md", "- [ ] one\n- [ ] two\n")
    stand.carry()
    before = {task.id: task.title for task in stand.all()}
    stand.heard()
    stand.files.move_file("a.md", "projects/acme/b.md")
    stand.carry()
    assert {task.id: task.title for task in stand.all()} == before
    assert {(task.note_path, task.project_id) for task in stand.all()} == {("projects/acme/b.md", "acme")}
    assert stand.heard() == []


def test_a_note_renamed_while_we_were_away_keeps_its_tasks(stand: Stand) -> None:
    stand.write("a.md", "- [ ] one\n")
    stand.carry()
    (before,) = stand.all()
    (stand.root / "a.md").rename(stand.root / "b.md")
    stand.sync.reconcile_all()
    (after,) = stand.all()
    assert (after.id, after.note_path) == (before.id, "b.md")


def test_events_tell_what_happened(stand: Stand) -> None:
    stand.write("a.md", "- [ ] one\n- [ ] two\n")
    stand.carry()
    assert stand.heard() == ["created", "created"]
    stand.write("a.md", "intro\n- [x] one\n- [ ] two ⏫\n")
    stand.carry()
    assert sorted(stand.heard()) == ["completed", "updated"]
    stand.write("a.md", "intro\n\n- [x] one\n- [ ] two ⏫\n")
    stand.carry()
    assert stand.heard() == []
    (stand.root / "a.md").unlink()
    stand.carry()
    assert stand.heard() == ["deleted", "deleted"]
    assert stand.all() == []


def test_bulk_reconciling_reads_only_what_changed(stand: Stand) -> None:
    for number in range(20):
        stand.write(f"n{number}.md", f"- [ ] task {number}\n")
    stand.sync.reconcile_all()
    before = {task.id for task in stand.all()}
    assert len(before) == 20
    stand.write("n3.md", "- [x] task 3\n")
    (stand.root / "n4.md").unlink()
    stand.sync.reconcile_all()
    assert len(before & {task.id for task in stand.all()}) == 19
    assert stand.one("task 3").status is StatusType.DONE
    stand.sync.reconcile_all()
    stand.carry()
    assert [word for word in stand.heard() if word != "created"] == ["completed", "deleted"]


def test_a_broken_note_is_read_as_far_as_it_goes(stand: Stand) -> None:
    (stand.root / "bad.md").write_bytes(b"---\nproject: [\n---\r\n- [ ] caf\xe9 \xff\r\n- [ ] fine\r\n")
    stand.carry()
    assert len(stand.all()) == 2
    assert stand.tasks.list_tasks(TaskSelection(text="FINE")).tasks[0].line == 5
    with pytest.raises(TaskNotFound):
        stand.tasks.get_task("nothing")
