from typing import Any

import pytest

from weave_nn.services.sync.contract import ExpressionRefused, SyncContract


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (
            'TABLE status, budget AS "Money" FROM "Projects" WHERE status SORT file.name DESC',
            [
                ("Projects/Home server.md", {"status": "active", "Money": None}),
                ("Projects/Herb garden.md", {"status": "paused", "Money": None}),
                ("Projects/Boat restoration.md", {"status": "active", "Money": 2400}),
            ],
        ),
        (
            "TABLE WITHOUT ID file.name FROM #recipe WHERE minutes < 40 AND serves != null",
            [("Recipes/Käsespätzle.md", {"file.name": "Käsespätzle"})],
        ),
        ("TABLE FROM #garden AND !#garden/herbs", [("Projects/Herb garden.md", {})]),
        (
            'TABLE rating * 2 WHERE contains(file.tags, "#reading") AND read > date(2026-01-01)',
            [("Notes/The Shallows of Memory.md", {"rating * 2": 8})],
        ),
        (
            'TABLE default(nothing, "none") AS x WHERE type = "person" SORT file.path LIMIT 1',
            [("People/Ada Lindqvist.md", {"x": "none"})],
        ),
        (
            'TABLE WHERE (lower(author) = "m. okafor" or false) and !(rating > 4)',
            [("Notes/The Shallows of Memory.md", {})],
        ),
        (
            "TABLE birthday WHERE birthday <= date(today) - dur(40 years)",
            [("People/Tomás Rivera.md", {"birthday": "1984-12-09"})],
        ),
    ],
)
def test_tables(examples: SyncContract, query: str, expected: list[tuple[str, dict[str, Any]]]) -> None:
    assert [(each.path, each.result) for each in examples.query_table(query)] == expected


def test_numbers_may_be_long(examples: SyncContract) -> None:
    number = "9" * 400
    assert examples.query_table(f'TABLE rating FROM "Notes" WHERE rating < {number}')
    assert examples.query_table(f"TABLE rating LIMIT {number}")


def test_the_query_for_recent_changes_that_clients_send(examples: SyncContract) -> None:
    query = "TABLE file.mtime\nWHERE file.mtime >= date(today) - dur(9999 days)\nSORT file.mtime DESC\nLIMIT 10\n"
    found = examples.query_table(query)
    times = [each.result["file.mtime"] for each in found]
    assert len(times) == 10
    assert times == sorted(times, reverse=True)


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("LIST FROM #x", "LIST is not supported"),
        ("TASK", "TASK is not supported"),
        ("TABLE x GROUP BY y", "GROUP is not supported"),
        ("TABLE x FLATTEN y", "FLATTEN is not supported"),
        ("TABLE x FROM [[Note]]", "neither a"),
        ("TABLE regexreplace(a, b)", "'regexreplace' is not supported"),
        ("TABLE file.inlinks", "'file.inlinks' is not supported"),
        ("TABLE x WHERE", "ends too early"),
        ("TABLE x AS", "AS needs a name"),
        ("TABLE dur(7 moons)", "not a unit of time"),
        ("TABLE x WHERE y = §", "is not understood"),
        ("TABLE " + "(" * 40 + "x" + ")" * 40, "nested deeper"),
        ("TABLE " + "x" * 5000, "longer than"),
        ("", "Only TABLE"),
    ],
)
def test_the_rest_is_refused_by_name(examples: SyncContract, query: str, says: str) -> None:
    with pytest.raises(ExpressionRefused, match=says):
        examples.query_table(query)
