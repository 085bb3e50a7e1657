"""The query language: documented examples with their expected results, and refusals by name."""

import contextlib
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weave_nn.services.tasks.contract import QueryRefused, QueryTooSlow, StatusType, Task
from weave_nn.services.tasks.service.querying.dates import DateRange, parse_dates
from weave_nn.services.tasks.service.querying.filters import Surroundings
from weave_nn.services.tasks.service.querying.language import parse_query
from weave_nn.services.tasks.service.querying.properties import urgency

FRIDAY = date(2023, 2, 10)
NOW = datetime(2023, 2, 10, tzinfo=UTC)
PLAIN = Task(
    id="0", vault_id="v", project_id=None, title="plain", status=StatusType.TODO, status_symbol=" ",
    status_name="Todo", priority="none", due_date=None, scheduled_date=None, start_date=None, created_date=None,
    done_date=None, cancelled_date=None, invalid_dates=(), recurrence=None, on_completion=None, tags=(), reference=None,
    depends_on=(), note_path="Work/Acme/Plan.md", line=1, indent="", heading=None, block_id=None, text="",
    source="note", pending=False, version=1, created_at=NOW, updated_at=NOW,
)  # fmt: skip
DONE = replace(PLAIN, id="done", status=StatusType.DONE, status_name="Done", done_date=FRIDAY, reference="abc")
TASKS = [
    PLAIN,
    DONE,
    replace(PLAIN, id="due", title="call (maybe)", due_date=date(2023, 2, 14), priority="high", tags=("#a/b", "#c")),
    replace(PLAIN, id="first", reference="xyz", heading="Day Planner", indent="  ", recurrence="every week"),
    replace(PLAIN, id="after", depends_on=("xyz", "abc"), start_date=date(2023, 3, 1), indent="> "),
    replace(PLAIN, id="bad", invalid_dates=("due",), priority="lowest", note_path="Inbox.md", title="Log it"),
]


def found(query: str, tasks: list[Task] = TASKS) -> set[str]:
    around = Surroundings(FRIDAY, frozenset({"xyz"}), frozenset({"xyz", "abc"}))
    return {task.id for task in parse_query(query, FRIDAY, note_path="Work/Q.md").run(tasks, around, most=1000).tasks}


@pytest.mark.parametrize(
    ("query", "ids"),
    [
        ("done", {"done"}),
        ("not done\nhas due date", {"due", "bad"}),
        ("status.type is not TODO", {"done"}),
        ("status.name includes DON", {"done"}),
        ("due before 2023-02-15", {"due"}),
        ("due on 2023-02-14", {"due"}),
        ("due 2023-02-14", {"due"}),
        ("due in next week", {"due"}),
        ("due BEFORE in two weeks", {"due"}),
        ("due in two weeks", set()),
        ("due in or before 2023-W07", {"due"}),
        ("due on or after 2023-02-15", set()),
        ("due 2023-Q1", {"due"}),
        ("due date is invalid", {"bad"}),
        ("no due date\nno start date", {"0", "done", "first"}),
        ("starts before tomorrow", {"0", "done", "due", "first", "bad"}),
        ("happens after today", {"due", "after"}),
        ("has happens date", {"due", "after", "bad"}),
        ("done today", {"done"}),
        ("priority is above none", {"due"}),
        ("priority is below low", {"bad"}),
        ("priority is not none", {"due", "bad"}),
        ("is recurring", {"first"}),
        ("recurrence includes WEEK", {"first"}),
        ("is blocked", {"after"}),
        ("is blocking", {"first"}),
        ("has id\nis not blocking", {"done"}),
        ("has depends on", {"after"}),
        ("exclude sub-items\nnot done", {"0", "due", "after", "bad"}),
        ("tags include #A", {"due"}),
        ("tag regex matches /#c$/", {"due"}),
        ("no tags\nid includes x", {"first"}),
        ("heading includes day planner", {"first"}),
        ("path includes {{query.file.root}}\ndone", {"done"}),
        ("folder regex matches /Work/Acme/\ndone", {"done"}),
        ("root includes work\ndone", {"done"}),
        ("filename includes inbox", {"bad"}),
        ("description regex matches /^log/i", {"bad"}),
        ("description regex does not match /./", set()),
        ("[description includes (maybe)] OR [description includes log]", {"due", "bad"}),
        ("(description includes (maybe)) OR (done)", {"due", "done"}),
        ("NOT (no due date) AND (priority is high)", {"due"}),
        ("(has id) XOR (done)", {"first"}),
        ("(done) OR (has id) AND (is recurring)", {"done", "first"}),
        ('"has id" AND NOT "done"', {"first"}),
        ("( (has id) AND (done) ) OR \\\n  ( NOT (exclude sub-items) )", {"done", "first"}),
        ("# a comment\n\ndone {{! another }}", {"done"}),
        ("short mode\nhide due date\ndone", {"done"}),
    ],
)
def test_filters_find_what_is_documented(query: str, ids: set[str]) -> None:
    assert found(query) == ids
    if "\n" not in query and query[0] not in '["(':
        assert found(f"({query})") == ids


@pytest.mark.parametrize(
    ("query", "line", "named"),
    [
        ("not done\nfilter by function task.due", 2, "filter by function"),
        ("done\n\nsort by function x", 3, "sort by function"),
        ("(done) OR (filter by function x)", 1, "filter by function"),
        ("preset this_file", 1, "preset"),
        ("gibberish", 1, "gibberish"),
        ("done\nsort by nothing", 2, "nothing"),
        ("(done) AND {is recurring}", 1, "mixes kinds"),
        ("(done) AND", 1, "needs a filter"),
        ("(done", 1, "closing )"),
        ("due sometime", 1, "sometime"),
        ("status.type is LATER", 1, "status type"),
        ("description regex matches /[/", 1, "regular expression"),
        ("path includes {{4 + 6}}", 1, "placeholder"),
        ("group by function x", 1, "group by function"),
    ],
)
def test_what_is_not_supported_is_refused_by_name_and_line(query: str, line: int, named: str) -> None:
    with pytest.raises(QueryRefused, match="Line") as refused:
        parse_query(query, FRIDAY)
    assert refused.value.fields["line"] == line
    assert named in refused.value.detail


def test_a_pattern_that_backtracks_for_ever_is_stopped() -> None:
    task = replace(PLAIN, title="a" * 60 + "b")
    around = Surroundings(FRIDAY, pattern_seconds=0.05)
    with pytest.raises(QueryTooSlow):
        parse_query(r"description regex matches /^(a|aa)+\1$/", FRIDAY).run([task] * 50, around, most=10)


def test_sorting_grouping_and_limits_in_their_documented_order() -> None:
    query = parse_query("sort by priority\nsort by description reverse\nlimit 4\ngroup by priority", FRIDAY)
    result = query.run(TASKS, Surroundings(FRIDAY), most=1000)
    assert result.total == len(TASKS)
    assert [group.headings for group in result.groups] == [("High priority",), ("Normal priority",)]
    assert [len(group.tasks) for group in result.groups] == [1, 3]
    tagged = parse_query("group by tags\ngroup by due reverse\nlimit groups 1", FRIDAY)
    headings = [group.headings for group in tagged.run(TASKS, Surroundings(FRIDAY), most=9).groups]
    assert ("#a/b", "2023-02-14 Tuesday") in headings
    assert ("#c", "2023-02-14 Tuesday") in headings
    assert headings[0] == ("#a/b", "2023-02-14 Tuesday")
    assert headings[-2:] == [("(No tags)", "No due date"), ("(No tags)", "Invalid due date")]


@pytest.mark.parametrize(
    "name", ["due", "status.type", "urgency", "heading", "tag 2", "random", "happens", "recurring"]
)
def test_reverse_reverses_a_sort(name: str) -> None:
    ordered = parse_query(f"sort by {name}", FRIDAY).run(TASKS, Surroundings(FRIDAY), most=9).tasks
    backwards = parse_query(f"sort by {name} reverse", FRIDAY).run(TASKS, Surroundings(FRIDAY), most=9).tasks
    assert {task.id for task in ordered} == {task.id for task in backwards}
    assert ordered != backwards


def test_explanation_shows_dates_and_structure() -> None:
    today = date(2022, 10, 21)
    query = "explain\nnot done\n(due before tomorrow) AND (is recurring)\nstarts after 2 years ago\ndue next week"
    assert parse_query(query, today).explanation == (
        "not done =>\n  status type is TODO or IN_PROGRESS or ON_HOLD\n\n"
        "(due before tomorrow) AND (is recurring) =>\n  AND (All of):\n    due before tomorrow =>\n"
        "      due date is before 2022-10-22 (Saturday 22nd October 2022)\n    is recurring\n\n"
        "starts after 2 years ago =>\n"
        "  start date is after 2020-10-21 (Wednesday 21st October 2020) OR no start date\n\n"
        "due next week =>\n  due date is between:\n    2022-10-24 (Monday 24th October 2022) and\n"
        "    2022-10-30 (Sunday 30th October 2022) inclusive"
    )


@pytest.mark.parametrize(
    ("text", "start", "end"),
    [
        ("last week", "2023-01-30", "2023-02-05"),
        ("this week", "2023-02-06", "2023-02-12"),
        ("next week", "2023-02-13", "2023-02-19"),
        ("this month", "2023-02-01", "2023-02-28"),
        ("last quarter", "2022-10-01", "2022-12-31"),
        ("next year", "2024-01-01", "2024-12-31"),
        ("2022-W14", "2022-04-04", "2022-04-10"),
        ("2023-10", "2023-10-01", "2023-10-31"),
        ("2021-Q4", "2021-10-01", "2021-12-31"),
        ("2023-02-07 2023-02-11", "2023-02-07", "2023-02-11"),
        ("2023-02-30 2023-03-11", "2023-03-11", "2023-03-11"),
        ("25th May 2023", "2023-05-25", "2023-05-25"),
        ("14 October", "2023-10-14", "2023-10-14"),
        ("May", "2023-05-01", "2023-05-01"),
        ("in two weeks", "2023-02-24", "2023-02-24"),
        ("14 days ago", "2023-01-27", "2023-01-27"),
        ("next monday", "2023-02-13", "2023-02-13"),
        ("last friday", "2023-02-03", "2023-02-03"),
        ("thursday", "2023-02-09", "2023-02-09"),
    ],
)
def test_dates_are_read_as_documented(text: str, start: str, end: str) -> None:
    assert parse_dates(text, FRIDAY) == DateRange(date.fromisoformat(start), date.fromisoformat(end))


def test_urgency_follows_the_documented_table() -> None:
    for days, score in [(-30, 12.0), (-7, 12.0), (-6, 11.54286), (0, 8.8), (7, 5.6), (14, 2.4), (15, 2.4)]:
        task = replace(PLAIN, due_date=FRIDAY + timedelta(days=days), priority="low")
        assert urgency(task, FRIDAY) == pytest.approx(score, abs=1e-5)
    assert urgency(replace(PLAIN, due_date=FRIDAY, priority="medium"), FRIDAY) == pytest.approx(12.7)
    tomorrow = FRIDAY + timedelta(days=1)
    task = replace(PLAIN, priority="high", scheduled_date=tomorrow, start_date=tomorrow)
    assert urgency(task, FRIDAY) == pytest.approx(3.0)


_leaves = st.sampled_from(
    ["done", "has id", "is recurring", "due before 2023-03-01", "path includes Work/", "no due date"]
)
_trees = st.recursive(
    _leaves.map(lambda leaf: f"({leaf})"),
    lambda inner: st.one_of(
        inner.map(lambda part: f"(NOT {part})"),
        st.tuples(inner, st.sampled_from(["AND", "OR", "XOR", "AND NOT"]), inner).map(
            lambda parts: f"({parts[0]} {parts[1]} {parts[2]})"
        ),
    ),
    max_leaves=8,
)


@given(_trees)
def test_not_finds_the_complement_and_the_selection_loses_nothing(tree: str) -> None:
    everything = {task.id for task in TASKS}
    assert found(tree) | found(f"NOT {tree}") == everything
    assert found(tree) & found(f"NOT {tree}") == set()
    selection = parse_query(tree, FRIDAY).selection
    for task in (task for task in TASKS if task.id in found(tree)):
        assert not selection.status or task.status in selection.status
        words = (selection.text or "").casefold().split()
        assert all(word in f"{task.title} {task.heading} {task.note_path}".casefold() for word in words)
        assert all((day := task.date(name)) is not None and day <= high for name, high in selection.to_date.items())


@given(st.text(max_size=80))
def test_any_text_is_a_query_or_refused(text: str) -> None:
    with contextlib.suppress(QueryRefused):
        parse_query(text, FRIDAY, note_path="a/b.md").run(TASKS, Surroundings(FRIDAY), most=9)
