from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from weave_nn.shared.errors import InvalidInput, WeaveError
from weave_nn.vault import frontmatter as fm

BOM = b"\xef\xbb\xbf"
NOTE = """---
# what this is
title: 'A  note'   # the title
tags:
  - one   # first
  - two

aliases: [x, "y z"] # others
empty:   # nothing yet
summary: |
  First line

  Last line

nested:
  a: 1
  b: [1, 2]
# the end
---
# Body
"""

BLOCK_AFTER_EDIT = [
    ("title", "New", "title: 'A  note'   # the title", "title: New   # the title"),
    ("title", None, "title: 'A  note'   # the title", "title:   # the title"),
    ("title", ["a"], "title: 'A  note'   # the title", "title:   # the title\n  - a"),
    ("title", "a\nb", "title: 'A  note'   # the title", "title: |-   # the title\n  a\n  b"),
    ("tags", ["one", "two", "three"], "  - two\n", "  - two\n  - three\n"),
    ("tags", ["zero", "one", "two"], "  - one   # first", "  - zero\n  - one   # first"),
    ("tags", ["other"], "  - one   # first\n  - two", "  - other"),
    ("tags", "one", "tags:\n  - one   # first\n  - two", "tags: one"),
    ("aliases", ["x", "y z", "a, b"], '[x, "y z"] # others', '[x, y z, "a, b"] # others'),
    ("aliases", [["x"]], 'aliases: [x, "y z"] # others', "aliases: # others\n  - - x"),
    ("empty", 1, "empty:   # nothing yet", "empty: 1   # nothing yet"),
    ("empty", {}, "empty:   # nothing yet", "empty: {}   # nothing yet"),
    ("summary", "short", "summary: |\n  First line\n\n  Last line", "summary: short"),
    ("nested", {"a": 2}, "  a: 1\n  b: [1, 2]", "  a: 2"),
    ("nested", False, "nested:\n  a: 1\n  b: [1, 2]", "nested: false"),
    ("new", ["[[A]]", "12:30", "2024-01-02", "yes", " x"], "# the end\n",
     '# the end\nnew:\n  - "[[A]]"\n  - "12:30"\n  - 2024-01-02\n  - "yes"\n  - " x"\n'),
    ("new", ["a: b", "#t", "1", None, True], "# the end\n",
     '# the end\nnew:\n  - "a: b"\n  - "#t"\n  - "1"\n  - null\n  - true\n'),
    ("a key", "é 😀", "# the end\n", "# the end\na key: é 😀\n"),
    ("on", "x", "# the end\n", '# the end\n"on": x\n'),
]  # fmt: skip


@pytest.mark.parametrize(("key", "value", "old", "new"), BLOCK_AFTER_EDIT)
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_only_the_lines_of_the_key_change(key: str, value: object, old: str, new: str, newline: str) -> None:
    assert NOTE.count(old) == 1
    for bom in (b"", BOM):
        before = bom + NOTE.replace("\n", newline).encode()
        expected = bom + NOTE.replace(old, new).replace("\n", newline).encode()
        assert fm.set_value(before, key, value) == expected
        assert fm.read(expected).values[key] == value


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"", b"---\na: 1\n---\n"),
        (b"text", b"---\na: 1\n---\ntext"),
        (b"one\r\ntwo", b"---\r\na: 1\r\n---\r\none\r\ntwo"),
        (BOM + b"text\n", BOM + b"---\na: 1\n---\ntext\n"),
        (b"---\n---\ntext", b"---\na: 1\n---\ntext"),
        (b"---\n# c\n...\n", b"---\n# c\na: 1\n...\n"),
        (b"---\n  b: 2\n  c:\n  - x\n---\n", b"---\n  b: 2\n  c:\n  - x\n  a: 1\n---\n"),
        (b"--- title\n\xff", b"---\na: 1\n---\n--- title\n\xff"),
    ],
)
def test_a_key_is_added_in_the_way_the_note_is_written(before: bytes, after: bytes) -> None:
    assert fm.set_value(before, "a", 1) == after


def test_a_list_follows_the_indentation_of_the_lists_that_are_there() -> None:
    before = b"---\ntags:\n- a\n---\n"
    assert fm.set_value(before, "more", ["x"]) == b"---\ntags:\n- a\nmore:\n- x\n---\n"
    assert fm.set_value(before, "tags", ["a", "b"]) == b"---\ntags:\n- a\n- b\n---\n"


@pytest.mark.parametrize(
    "before",
    [
        b"---\na: [1\n---\n",
        b"---\n- a\n---\n",
        b"---\n{b: 1}\n---\n",
        b"---\na: 1\na: 2\n---\n",
        b"---\ntitle: never closed\n",
        b"\n---\ntitle: too late\n---\n",
        b"  \n\n---\n[broken\n---\n",
        b"---\n? a\n: 1\n---\n",
        b"---\na: &x 1\nb: *x\n---\n",
        b"---\nb: \xff\n---\n",
        "﻿".encode("utf-16") + b"a",
    ],
)
def test_a_block_that_an_edit_could_damage_is_refused(before: bytes) -> None:
    with pytest.raises(fm.FrontmatterNotEditable):
        fm.set_value(before, "a", 5)


def test_other_keys_than_the_duplicate_ones_can_be_edited() -> None:
    assert fm.set_value(b"---\na: 1\na: 2\n---\n", "b", 3) == b"---\na: 1\na: 2\nb: 3\n---\n"


@pytest.mark.parametrize("value", [object(), {1, 2}, b"x", "\ud800", [["x"] * 60_000], {"a": object()}])
def test_what_is_not_json_is_refused(value: object) -> None:
    with pytest.raises(InvalidInput):
        fm.set_value(b"", "a", value)


@pytest.mark.parametrize(
    ("key", "removed"),
    [
        ("title", "title: 'A  note'   # the title\n"),
        ("tags", "tags:\n  - one   # first\n  - two\n"),
        ("summary", "summary: |\n  First line\n\n  Last line\n"),
        ("nested", "nested:\n  a: 1\n  b: [1, 2]\n"),
        ("empty", "empty:   # nothing yet\n"),
    ],
)
def test_removing_takes_the_lines_of_the_key_and_leaves_the_rest(key: str, removed: str) -> None:
    assert fm.remove(NOTE.encode(), key) == NOTE.replace(removed, "").encode()


def test_the_block_goes_with_its_last_key_unless_the_text_would_become_a_block() -> None:
    assert fm.remove(b"---\na: 1\n---\ntext", "a") == b"text"
    assert fm.remove(b"---\na: 1\n# c\n---\ntext", "a") == b"---\n# c\n---\ntext"
    assert fm.remove(b"---\na: 1\n---\n---\nb: 1\n---\n", "a") == b"---\n---\n---\nb: 1\n---\n"


def test_a_missing_key_is_told_with_those_that_are_there() -> None:
    with pytest.raises(fm.FrontmatterKeyMissing, match="title, tags"):
        fm.remove(NOTE.encode(), "titel")


def test_renaming_changes_the_name_alone() -> None:
    assert fm.rename_key(NOTE.encode(), "tags", "topics") == NOTE.replace("tags:", "topics:").encode()
    with pytest.raises(fm.FrontmatterKeyExists):
        fm.rename_key(NOTE.encode(), "tags", "title")


@pytest.mark.parametrize(
    ("present", "value", "at_end", "at_start"),
    [
        (["a"], ["b"], ["a", "b"], ["b", "a"]),
        (["a"], "b", ["a", "b"], ["b", "a"]),
        ("a", "b", "ab", "ba"),
        ({"a": 1, "b": 1}, {"b": 2}, {"a": 1, "b": 2}, {"b": 2, "a": 1}),
        (None, ["b"], ["b"], ["b"]),
    ],
)
def test_values_of_one_kind_are_joined(present: Any, value: Any, at_end: Any, at_start: Any) -> None:
    before = fm.set_value(b"text", "k", present)
    assert fm.read(fm.merge_value(before, "k", value)).values["k"] == at_end
    assert fm.read(fm.merge_value(before, "k", value, at="start")).values["k"] == at_start


@pytest.mark.parametrize(("present", "value"), [(1, 2), ("a", ["b"]), ({"a": 1}, "b"), ("a", 1), (True, False)])
def test_values_of_two_kinds_are_not_joined(present: Any, value: Any) -> None:
    with pytest.raises(fm.FrontmatterMergeImpossible):
        fm.merge_value(fm.set_value(b"", "k", present), "k", value)


scalars = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20),
    st.text(alphabet=" \n\t-:#'\"[]{},&*!|>%@`0.ex~y\\\r\x85\u2028", max_size=8),
    st.sampled_from(["yes", "12:30", "2024-01-02", "0x1F", "1e3", ".inf", "null", "~", "[[A]]", "---", "...", "a: b"]),
)  # fmt: skip
values = st.recursive(
    scalars,
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(max_size=6), children, max_size=3),
    max_leaves=8,
)
mappings = st.dictionaries(st.text(max_size=8), values, max_size=4)


@given(st.text(max_size=8), values, st.sampled_from([b"", b"text\n", b"a\r\nb", BOM + b"x"]))
def test_what_is_set_is_read_and_removing_it_restores_the_note(key: str, value: Any, note: bytes) -> None:
    edited = fm.set_value(note, key, value)
    assert fm.read(edited).values == {key: fm.json_value(value)}
    assert fm.remove(edited, key) == note


@given(mappings, st.none() | st.text(max_size=8), values)
def test_an_edit_changes_one_key_of_what_others_wrote(mapping: dict[str, Any], key: str | None, value: Any) -> None:
    text = yaml.safe_dump(mapping, allow_unicode=True, sort_keys=False) if mapping else ""
    note = f"---\n{text}---\nbody".encode(errors="replace")
    present = fm.read(note).values
    if key is None:
        key = next(iter(present), "")
    try:
        edited = fm.set_value(note, key, value)
    except fm.FrontmatterNotEditable:
        return
    assert fm.read(edited).values == {**present, key: fm.json_value(value)}
    assert edited.endswith(b"---\nbody")


@given(mappings, mappings)
def test_keys_can_be_set_one_after_the_other_in_blocks_of_our_own_making(
    first: dict[str, Any], second: dict[str, Any]
) -> None:
    note = b"body"
    for key, value in [*first.items(), *second.items()]:
        note = fm.set_value(note, key, value)
    assert fm.read(note).values == fm.json_value({**first, **second})
    for key in {**first, **second}:
        note = fm.remove(note, key)
    assert note == b"body"


@given(st.binary(max_size=60), st.text(max_size=60))
def test_arbitrary_notes_raise_nothing_but_typed_errors(raw: bytes, text: str) -> None:
    for block in (raw, text.encode(errors="replace")):
        for note in (block, b"---\n" + block + b"\n---\n" + raw):
            try:
                edited = fm.set_value(note, "k", "v")
            except WeaveError:
                continue
            assert fm.read(edited).values["k"] == "v"
            assert edited.endswith(note[fm.read(note).body_start :])
