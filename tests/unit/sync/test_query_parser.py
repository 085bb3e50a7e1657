from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weave_nn.services.sync.contract.parser import CONDITION_LIMIT, parse
from weave_nn.services.sync.contract.query import (
    And,
    FileIs,
    Has,
    Literally,
    Not,
    Or,
    PathIs,
    Property,
    QueryRefused,
    Stat,
    Tagged,
    Text,
)

NOW = datetime(2026, 3, 15, 12, 0, tzinfo=UTC)
HIGHEST = 2**63 - 1
DAY = 86_400 * 1_000_000_000


def at(iso: str) -> int:
    return int(datetime.fromisoformat(iso).replace(tzinfo=UTC).timestamp()) * 1_000_000_000


@pytest.mark.parametrize(
    ("query", "meaning"),
    [
        ("word", Text("word")),
        ("wor*", Text("wor", prefix=True)),
        ('"two words"', Text("two words")),
        ('"two wor"*', Text("two wor", prefix=True)),
        ("„zwei Wörter“", Text("zwei Wörter")),
        ("one two", And((Text("one"), Text("two")))),
        ("one AND two", And((Text("one"), Text("two")))),
        ("one -two", And((Text("one"), Not(Text("two"))))),
        ("one OR two", Or((Text("one"), Text("two")))),
        ("a b OR c", Or((And((Text("a"), Text("b"))), Text("c")))),
        ("a (b OR c)", And((Text("a"), Or((Text("b"), Text("c")))))),
        ("-(a OR tag:b)", Not(Or((Text("a"), Tagged("b"))))),
        ("ORANGE or ANDES", And((Text("ORANGE"), Text("or"), Text("ANDES")))),
        ("path:Projects/", PathIs("Projects/")),
        ('path:"My Folder/x"', PathIs("My Folder/x")),
        ("file:2026-*", FileIs("2026-*")),
        ("tag:#area/home", Tagged("area/home")),
        ("tag:area/*", Tagged("area")),
        ("has:task", Has("tasks")),
        ("title:wor*", Text("wor", prefix=True, column="title")),
        ('heading:"two words"', Text("two words", column="heading")),
        ("status:Done", Property("status", "=", Literally("done"))),
        ("status:!=done", Property("status", "!=", Literally("done"))),
        ("rating:>=4.5", Property("rating", ">=", Literally("4.5", 4.5))),
        ("year:2026", Property("year", "=", Literally("2026", 2026.0, "2026"))),
        ("author:ann*", Property("author", "=", Literally("ann", prefix=True))),
        ('author:"Ann Smith"', Property("author", "=", Literally("ann smith"))),
        ("[status]", Property("status", "exists")),
        ("[Due Date:<today]", Property("due date", "<", Literally("today", None, "2026-03-15"))),
        (
            "due:2026-01-01..2026-02-01",
            And(
                (
                    Property("due", ">=", Literally("2026-01-01", None, "2026-01-01")),
                    Property("due", "<=", Literally("2026-02-01", None, "2026-02-01")),
                )
            ),
        ),
        ("due:..2026-02", Property("due", "<=", Literally("2026-02", None, "2026-02"))),
        ("modified:>2026-01-01", Stat("modified", ">=", at("2026-01-02"))),
        ("modified:<=2026-01", Stat("modified", "<", at("2026-02-01"))),
        (
            "modified:2026-01-01",
            And((Stat("modified", ">=", at("2026-01-01")), Stat("modified", "<", at("2026-01-02")))),
        ),
        ("created:>=7d", Stat("created", ">=", at("2026-03-08"))),
        ("modified:>2026-01-01T10:00", Stat("modified", ">=", at("2026-01-01T10:01"))),
        ("size:>10kb", Stat("size", ">", 10_240)),
        ("https://example.org", Text("https://example.org")),
        ("note: text", And((Text("note"), Text("text")))),
        ("日本語 -tag:仕事", And((Text("日本語"), Not(Tagged("仕事"))))),
        ("modified:<=9999", Stat("modified", "<", HIGHEST)),
        ("modified:>9999-12-31", Stat("modified", ">=", HIGHEST)),
        ("created:<0001", Stat("created", "<", -HIGHEST)),
        ("created:>=9999y", Stat("created", ">=", -HIGHEST)),
        (f"size:<{'9' * 400}", Stat("size", "<", HIGHEST // 2)),
        ("a -- b", And((Text("a"), Text("--"), Text("b")))),
        ('"" a', Text("a")),
        ("() a", Text("a")),
    ],
)
def test_means(query: str, meaning: object) -> None:
    assert parse(query, NOW) == meaning


@pytest.mark.parametrize(
    ("query", "position", "says"),
    [
        ("", 0, "empty"),
        ("   ", 0, "empty"),
        ('one "two', 4, "quotation mark is never closed"),
        ("one (two", 4, "'(' is never closed"),
        ("one) two", 3, "')' closes nothing"),
        ("OR two", 0, "both of its sides"),
        ("one OR", 4, "both of its sides"),
        ("one OR OR two", 7, "both of its sides"),
        ("a tag:", 2, "tag: needs a value"),
        ("a has:money", 6, "has:money asks for something unknown"),
        ("modified:>soon", 9, "'soon' is not a date"),
        ("modified:2026-02-30", 9, "is not a date"),
        ("size:big", 5, "is not a size"),
        ("due:2026-03-01..2026-01-01", 4, "runs backwards"),
        ("rating:5..1", 7, "runs backwards"),
        ("[status:done", 0, "'[' is never closed"),
        ("a [:done]", 2, "name no field"),
        ("x" * 1001, 1000, "longer than"),
        ("(" * 17 + "a" + ")" * 17, 17, "deeper"),
        ("-(" * 30 + "a" + ")" * 30, 16, "deeper"),
        ("a tag:\udcff", 6, "no whole character"),
        ("a " * (CONDITION_LIMIT + 1), 2 * CONDITION_LIMIT, "more than"),
    ],
)
def test_refuses_with_the_place_of_the_mistake(query: str, position: int, says: str) -> None:
    with pytest.raises(QueryRefused) as caught:
        parse(query, NOW)
    assert says in caught.value.detail
    assert caught.value.position == position
    assert caught.value.fields["position"] == position


def test_the_caret_points_at_the_mistake() -> None:
    with pytest.raises(QueryRefused) as caught:
        parse("a has:money", NOW)
    assert caught.value.caret == "a has:money\n      ^^^^^"


@given(st.text(alphabet='ab: "()[]-*<>=!.#ORAND2026/日…„“', max_size=40))
def test_every_text_is_understood_or_refused_inside_the_query(query: str) -> None:
    try:
        parse(query, NOW)
    except QueryRefused as refused:
        inside = range(len(query) + 1)
        if refused.position not in inside:
            raise AssertionError(refused.caret) from refused
