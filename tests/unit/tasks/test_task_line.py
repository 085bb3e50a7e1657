"""The line format: what the plugin documents, and the promise that nothing else in a line changes."""

import os
import re
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weave_nn.shared.errors import InvalidInput
from weave_nn.vault.task_line import DATES, PRIORITIES, Field, TaskLine

DOCUMENTED = [
    ("- [ ] #task Has a created date \u2795 2023-04-13", "#task Has a created date", {"created": "2023-04-13"}),
    ("- [ ] #task Has a created date  [created:: 2023-04-13]", "#task Has a created date", {"created": "2023-04-13"}),
    ("- [x] #task Has a done date  [completion:: 2023-04-17]", "#task Has a done date", {"done": "2023-04-17"}),
    ("- [ ] #task Lowest priority  [priority:: lowest]", "#task Lowest priority", {"priority": "lowest"}),
    ("- [ ] #task do this first 🆔 dcf64c", "#task do this first", {"id": "dcf64c"}),
    ("- [ ] after both  [dependsOn:: dcf64c,0h17ye]", "after both", {"depends_on": "dcf64c,0h17ye"}),
    ("- [ ] Remove this task when done 🏁 delete", "Remove this task when done", {"on_completion": "delete"}),
    (
        "- [ ] take out the trash 🔁 every Sunday 📅 2021-04-25",
        "take out the trash",
        {"recurrence": "every Sunday", "due": "2021-04-25"},
    ),
    (
        "- [ ] Do stuff  ⏫  #tag1 ✅ 2022-08-12 #tag2/sub-tag ",
        "Do stuff #tag1 #tag2/sub-tag",
        {"priority": "high", "done": "2022-08-12"},
    ),
    (
        "- [/] #task This was dataview [priority:: high], [repeat:: every day], (start:: 2023-04-05)",
        "#task This was dataview",
        {"priority": "high", "recurrence": "every day", "start": "2023-04-05"},
    ),
    ("- [ ] 📅 2022-01-01 a date before the text stays text", "📅 2022-01-01 a date before the text stays text", {}),
    ("- [ ] the leftmost counts 📅 2022-01-01 📅 2023-01-01", "the leftmost counts", {"due": "2022-01-01"}),
    ("- [ ] variants are read 🗓️ 2022-01-01 ⌛ 2022-01-02", "variants are read", {"due": "2022-01-01"}),
    ("- [ ] no break space is no space 📅\u00a02022-01-01", "no break space is no space 📅\u00a02022-01-01", {}),
]


@pytest.mark.parametrize(("text", "description", "values"), DOCUMENTED)
def test_reads_what_the_plugin_documents(text: str, description: str, values: dict[str, str]) -> None:
    line = TaskLine.parse(text)
    assert line is not None
    assert line.description == description
    assert {field: line.value(Field(field)) for field in values} == values
    if not values:
        assert line.tokens == ()


@pytest.mark.parametrize("text", ["- no checkbox", "-[ ] x", "- [] x", "- [ab] x", "text", "", "-\u00a0[ ] x"])
def test_other_lines_are_no_tasks(text: str) -> None:
    assert TaskLine.parse(text) is None


@pytest.mark.parametrize(
    "text", ["- [ ] a", "* [x] a", "+ [/] a", "12. [ ] a", "3) [ ] a", "> - [ ] a", "\t> 1. [ ] a"]
)
def test_every_list_marker_and_quote_is_read(text: str) -> None:
    line = TaskLine.parse(text)
    assert line is not None
    assert line.description == "a"


def test_a_day_that_does_not_exist_is_invalid_and_kept() -> None:
    line = TaskLine.parse("- [ ] a 📅 2022-02-30")
    assert line is not None
    assert line.date(Field.DUE) is None
    assert line.is_invalid(Field.DUE)
    assert line.with_field(Field.DONE, "2022-03-01").text == "- [ ] a 📅 2022-02-30 ✅ 2022-03-01"


@pytest.mark.parametrize(
    ("text", "field", "value", "expected"),
    [
        ("- [ ] a 📅 2022-01-01 ^b  ", Field.DONE, "2022-02-02", "- [ ] a 📅 2022-01-01 ✅ 2022-02-02 ^b  "),
        ("- [ ] a ^b", Field.DUE, "2022-02-02", "- [ ] a 📅 2022-02-02 ^b"),
        ("- [ ] a  [due:: 2022-01-01]", Field.PRIORITY, "low", "- [ ] a  [priority:: low]  [due:: 2022-01-01]"),
        ("- [ ] a 📆️ 2022-01-01", Field.DUE, "2022-02-02", "- [ ] a 📆️ 2022-02-02"),
        ("- [ ] a ⏫ #t ✅ 2022-01-01", Field.PRIORITY, None, "- [ ] a #t ✅ 2022-01-01"),
        ("- [ ] a 📅 2022-01-01 📅 2023-01-01", Field.DUE, None, "- [ ] a"),
        ("- [ ] a (due:: 2022-01-01), #t", Field.DUE, "2022-02-02", "- [ ] a (due:: 2022-02-02), #t"),
        ("- [ ] 📅 2022-01-01", Field.ID, "x1", "- [ ] 🆔 x1 📅 2022-01-01"),
        ("- [ ]", Field.DUE, "2022-01-01", "- [ ] 📅 2022-01-01"),
    ],
)
def test_only_the_changed_field_is_spliced(text: str, field: Field, value: str | None, expected: str) -> None:
    line = TaskLine.parse(text)
    assert line is not None
    assert line.with_field(field, value).text == expected


def test_text_status_and_block_link_change_alone() -> None:
    line = TaskLine.parse("> 1. [ ] old text ⏫ #t 📅 2022-01-01 #u ^b1  ")
    assert line is not None
    assert line.with_description("new #t #u").text == "> 1. [ ] new ⏫ #t 📅 2022-01-01 #u ^b1  "
    assert line.with_description("new #u").text == "> 1. [ ] new #u ⏫ 📅 2022-01-01 ^b1  "
    assert line.with_symbol("x").text == "> 1. [x] old text ⏫ #t 📅 2022-01-01 #u ^b1  "
    assert line.without_block_link().text == "> 1. [ ] old text ⏫ #t 📅 2022-01-01 #u  "


@pytest.mark.parametrize("title", ["", "  ", "two\nlines", "a 📅 2022-01-01", "a [id:: x]"])
def test_a_title_that_would_be_read_otherwise_is_refused(title: str) -> None:
    line = TaskLine.parse("- [ ] a")
    assert line is not None
    with pytest.raises(InvalidInput):
        line.with_description(title)


@pytest.mark.parametrize(
    ("field", "value"),
    [(Field.DUE, "tomorrow"), (Field.PRIORITY, "urgent"), (Field.ID, "a b"), (Field.RECURRENCE, "every day ✅")],
)
def test_a_value_that_the_format_cannot_hold_is_refused(field: Field, value: str) -> None:
    line = TaskLine.parse("- [ ] a")
    assert line is not None
    with pytest.raises(InvalidInput):
        line.with_field(field, value)


_dates = st.dates(date(1900, 1, 1), date(2999, 12, 31)).map(str)
_ids = st.from_regex(r"[a-zA-Z0-9_-]{1,8}", fullmatch=True)
_values = {
    **dict.fromkeys(DATES, _dates),
    Field.ID: _ids,
    Field.DEPENDS_ON: st.lists(_ids, min_size=1, max_size=3).map(",".join),
    Field.PRIORITY: st.sampled_from(sorted(PRIORITIES)),
    Field.RECURRENCE: st.sampled_from(["every day", "every 2 weeks on Monday, Friday when done", "every month!"]),
    Field.ON_COMPLETION: st.sampled_from(["keep", "delete"]),
}
_fields = st.sampled_from(list(Field)).flatmap(lambda field: st.tuples(st.just(field), _values[field]))
_pieces = st.one_of(
    st.sampled_from(
        [" ", "  ", "#tag", " #a/b", "📅", "🔁", "🆔", "⏫", "[due::", "✅ 2020-02-30", "🏁", "\ufe0f", "\u00a0", "^x"]
    ),
    st.text(st.characters(exclude_characters="\r\n\u2028\u2029", exclude_categories=["Cs"]), max_size=8),
    _dates.map(" 📅 {}".format),
    _dates.map(" [due:: {}]".format),
)
_lines = st.tuples(
    st.sampled_from(["- [ ] ", "> * [x]  ", "\t12) [/] ", "- [ ]"]),
    st.lists(_pieces, max_size=8).map("".join),
    st.sampled_from(["", " ^block-1", "  ", " ^b  "]),
).map("".join)


@given(_lines, _fields)
def test_setting_and_removing_a_field_leaves_the_rest(text: str, change: tuple[Field, str]) -> None:
    line = TaskLine.parse(text)
    assert line is not None
    assert line.text == text
    field, value = change
    changed = line.with_field(field, value)
    assert changed.value(field) == value
    for other in set(Field) - {field}:
        assert changed.value(other) == line.value(other)
    assert (changed.description, changed.symbol, changed.block_id) == (line.description, line.symbol, line.block_id)
    before = line.value(field)
    if before is not None:
        assert changed.with_field(field, before).text == text
    elif "\ufe0f" not in text:
        assert changed.with_field(field, None).description == line.description


def test_every_task_line_of_a_real_vault_round_trips() -> None:
    root = os.environ.get("WEAVE_BENCH_VAULT")
    if not root:
        pytest.skip("WEAVE_BENCH_VAULT names no vault")
    seen = 0
    for path in Path(root).rglob("*.md"):
        for text in re.split(r"\r?\n", path.read_text("utf-8", "replace")):
            line = TaskLine.parse(text)
            if line is None:
                continue
            seen += 1
            assert line.text == text
            for token in line.tokens:
                assert line.with_field(token.field, line.value(token.field)).text == text
            toggled = line.with_symbol("x").with_field(Field.DONE, "2026-01-01")
            assert toggled.value(Field.DONE) == "2026-01-01"
            assert toggled.description == line.description
    assert seen
