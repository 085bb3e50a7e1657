from typing import Any

import pytest

from weave_nn.services.sync.contract import ExpressionRefused
from weave_nn.services.sync.service import jsonlogic
from weave_nn.services.sync.service.jsonlogic import JsonLogic, variables

NOTE = {
    "path": "Projects/Boat.md",
    "tags": ["project", "boat"],
    "frontmatter": {"status": "active", "rating": 4, "url": "https://example.org/a", "list": [1, 2, 3], "empty": None},
    "stat": {"mtime": 1000, "size": 12},
}


@pytest.mark.parametrize(
    ("logic", "result"),
    [
        ({"==": [{"var": "frontmatter.status"}, "active"]}, True),
        ({"===": [{"var": "frontmatter.rating"}, "4"]}, False),
        ({"==": [{"var": "frontmatter.rating"}, "4"]}, True),
        ({"in": ["boat", {"var": "tags"}]}, True),
        ({"in": ["Boat", {"var": "path"}]}, True),
        ({"glob": ["Projects/*.md", {"var": "path"}]}, True),
        ({"glob": [{"var": "frontmatter.nothing"}, "x"]}, False),
        ({"regexp": ["Bo.t", {"var": "path"}]}, True),
        ({"regexp": ["x", {"var": "frontmatter.rating"}]}, False),
        ({"and": [{">": [{"var": "frontmatter.rating"}, 3]}, {"<=": [1, {"var": "frontmatter.rating"}, 4]}]}, True),
        ({"or": [False, {"var": "frontmatter.url"}]}, "https://example.org/a"),
        ({"!": {"var": "frontmatter.empty"}}, True),
        ({"!!": [{"var": "tags"}]}, True),
        ({"if": [False, 1, True, 2, 3]}, 2),
        ({"var": ["frontmatter.nothing", "default"]}, "default"),
        ({"var": "tags.1"}, "boat"),
        ({"missing": ["path", "frontmatter.nothing"]}, ["frontmatter.nothing"]),
        ({"missing_some": [1, ["path", "nothing"]]}, []),
        ({"map": [{"var": "frontmatter.list"}, {"*": [{"var": ""}, 2]}]}, [2, 4, 6]),
        ({"filter": [{"var": "frontmatter.list"}, {">": [{"var": ""}, 1]}]}, [2, 3]),
        ({"reduce": [{"var": "frontmatter.list"}, {"+": [{"var": "current"}, {"var": "accumulator"}]}, 0]}, 6),
        ({"all": [{"var": "frontmatter.list"}, {">": [{"var": ""}, 0]}]}, True),
        ({"some": [{"var": "tags"}, {"==": [{"var": ""}, "boat"]}]}, True),
        ({"none": [{"var": "tags"}, {"==": [{"var": ""}, "car"]}]}, True),
        ({"cat": ["a", 1, True, None]}, "a1true"),
        ({"substr": ["jsonlogic", -5, -2]}, "log"),
        ({"merge": [[1], 2, [3]]}, [1, 2, 3]),
        ({"-": [5, 2]}, 3),
        ({"/": [9, 2]}, 4.5),
        ({"max": [1, 3, 2]}, 3),
        ({">": [{"var": "frontmatter.nothing"}, 1]}, False),
    ],
)
def test_operators(logic: Any, result: Any) -> None:
    assert JsonLogic(logic).evaluate(NOTE) == result


@pytest.mark.parametrize(
    ("logic", "says"),
    [
        ({"exec": ["rm"]}, "'exec' is not supported"),
        ({"regexp": ["(", "x"]}, "not a regular expression"),
        ({"/": [1, 0]}, "cannot take"),
        ({"+": ["a", 1]}, "cannot take"),
        ({"in": ["a"]}, "cannot take"),
        ({"cat": ["\ud800", "a"]}, "no whole character"),
    ],
)
def test_what_cannot_be_evaluated_is_named(logic: Any, says: str) -> None:
    with pytest.raises(ExpressionRefused, match=says):
        JsonLogic(logic).evaluate(NOTE)


def test_nesting_and_time_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    deep: Any = True
    for _ in range(50):
        deep = {"!": [deep]}
    with pytest.raises(ExpressionRefused, match="nested"):
        JsonLogic(deep)
    monkeypatch.setattr(jsonlogic, "TIME_LIMIT_SECONDS", 0.2)
    with pytest.raises(ExpressionRefused, match="longer than"):
        JsonLogic({"regexp": ["^(a|aa)+$", "a" * 60 + "!"]}).evaluate({})


ACCUMULATED = {"var": "accumulator"}


@pytest.mark.parametrize("doubled", [{"cat": [ACCUMULATED] * 2}, {"merge": [ACCUMULATED] * 2}, [ACCUMULATED] * 2])
def test_what_grows_with_every_step_is_refused_before_it_fills_the_memory(doubled: Any) -> None:
    with pytest.raises(ExpressionRefused, match="larger than"):
        JsonLogic({"reduce": [list(range(60)), doubled, "ab"]}).evaluate(NOTE)


def test_lists_in_lists_are_within_the_time_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jsonlogic, "TIME_LIMIT_SECONDS", 0.2)
    numbers = list(range(1000))
    logic: Any = {"var": ""}
    for _ in range(4):
        logic = {"some": [numbers, {"<": [logic, 0]}]}
    with pytest.raises(ExpressionRefused, match="longer than"):
        JsonLogic(logic).evaluate(NOTE)


@pytest.mark.parametrize("operator", ["reduce", "map", "filter", "all", "some", "none", "if", "and", "or"])
def test_operators_without_all_of_their_operands_give_something(operator: str) -> None:
    for given in ([], [[1, 2]]):
        JsonLogic({operator: given}).evaluate(NOTE)


def test_knows_what_it_looks_at() -> None:
    assert variables({"and": [{"var": "frontmatter.x"}, {"in": ["a", {"var": ["content", ""]}]}]}) == {
        "frontmatter",
        "content",
    }
    assert variables({"var": ""}) == {""}
