from typing import Any

import pytest

from weave_nn.shared.errors import InvalidInput
from weave_nn.vault.document import TargetNotFound
from weave_nn.vault.frontmatter import FrontmatterNotEditable
from weave_nn.vault.patch import (
    ContentPreexists,
    Destination,
    Operation,
    Patch,
    PatchInvalid,
    Scope,
    Style,
    TargetExists,
    TargetType,
    Value,
    apply_patch,
    read_target,
)

NOTE = """---
alpha: 1
---

# One

body of one

## Sub
sub body

# Two
# Table

| a | b |
| - | - |
| 1 | 2 |

^t1

para ^p1
"""


def edit(note: str, operation: str, kind: str, *target: str, payload: Any = None, **fields: Any) -> str:
    patch = Patch(
        target_type=TargetType(kind), target=target, operation=Operation(operation), payload=payload, **fields
    )
    for newline in ("\n", "\r\n") if "\n" in note else ("\n",):
        content = b"\xef\xbb\xbf" + note.replace("\n", newline).encode()
        after = apply_patch(content, patch).content
        assert after.startswith(b"\xef\xbb\xbf")
        assert after.count(b"\n") == after.count(newline.encode())
    return apply_patch(note.encode(), patch).content.decode()


@pytest.mark.parametrize("payload", ["X", "X\n", "\nX\n", "X\n\n", "\n  \nX"])
@pytest.mark.parametrize(
    ("before", "operation", "after"),
    [
        ("# One\n\nbody\n", "append", "# One\n\nbody\n\nX\n"),
        ("# One\n\nbody\n", "prepend", "# One\n\nX\n\nbody\n"),
        ("# One\n\nbody\n", "replace", "# One\n\nX\n"),
        ("# One\nbody\n", "replace", "# One\nX\n"),
        ("# One\n\nbody", "append", "# One\n\nbody\n\nX\n"),
        ("# One\n\nbody", "replace", "# One\n\nX"),
        ("# One", "append", "# One\nX\n"),
        ("# One\n", "replace", "# One\nX\n"),
        ("# One\n\n# Two\n", "append", "# One\nX\n\n# Two\n"),
        ("# One\n# Two\n", "prepend", "# One\nX\n# Two\n"),
        ("# One\nTwo\n===\n", "append", "# One\nX\n\nTwo\n===\n"),
        ("# One\n\nbody\n\n\n# Two\n", "append", "# One\n\nbody\n\nX\n\n\n# Two\n"),
        ("# One\n\nbody\n\n\n# Two\n", "replace", "# One\n\nX\n\n\n# Two\n"),
        ("# One\n\n## Sub\n\nbody\n", "prepend", "# One\nX\n\n## Sub\n\nbody\n"),
        ("# One\n\n## Sub\n\nbody\n", "append", "# One\n\n## Sub\n\nbody\n\nX\n"),
        ("# One\n\n## Sub\n", "append", "# One\n\n## Sub\nX\n"),
    ],
)
def test_managed_text_is_a_block_of_its_own(payload: str, before: str, operation: str, after: str) -> None:
    assert edit(before, operation, "heading", "One", payload=payload) == after


@pytest.mark.parametrize(
    ("before", "operation", "after"),
    [
        ("", "append", "X\n"),
        ("", "prepend", "X\n"),
        ("text", "append", "text\n\nX\n"),
        ("text", "prepend", "X\n\ntext"),
        ("---\na: 1\n---\ntext\n", "prepend", "---\na: 1\n---\nX\n\ntext\n"),
        ("---\na: 1\n---\n", "append", "---\na: 1\n---\nX\n"),
        ("---\na: 1\n---", "append", "---\na: 1\n---\nX\n"),
        ("---\na: 1\n---\n\ntext\n", "replace", "---\na: 1\n---\n\nX\n"),
    ],
)
def test_the_root_is_the_text_after_the_frontmatter(before: str, operation: str, after: str) -> None:
    assert edit(before, operation, "heading", payload="X") == after


def test_levels_in_managed_text_are_relative_to_the_target() -> None:
    text = "# New\n\n## Child\n\nUnderlined\n---\n\n```\n# code\n```"
    deeper = "### New\n\n#### Child\n\n#### Underlined\n\n```\n# code\n```\n"
    assert edit("# A\n## B\n", "replace", "heading", "A", "B", payload=text) == "# A\n## B\n" + deeper
    whole = {"scope": Scope.MARKER_AND_CONTENT}
    assert edit("# A\n## B\nx\n", "replace", "heading", "A", "B", payload="#### N\n##### C", **whole) == (
        "# A\n## N\n### C\n"
    )
    assert edit("# A\n## B\nx\n", "append", "heading", "A", "B", payload="# N", **whole) == "# A\n## B\nx\n\n## N\n"
    assert (
        edit("# A\n\n## B\nx\n", "prepend", "heading", "A", "B", payload="# N", **whole) == "# A\n\n## N\n\n## B\nx\n"
    )


def test_blanks_at_the_end_of_a_line_are_content() -> None:
    assert edit("# A\n", "append", "heading", "A", payload="\n- \n \n") == "# A\n- \n"
    assert edit("# A\n", "append", "heading", "A", payload="\n \n") == "# A\n"


def test_a_heading_that_gets_too_deep_is_written_with_a_warning() -> None:
    patch = Patch(
        target_type=TargetType.HEADING, target=("A",), operation=Operation.APPEND, payload="###### Six\n\n# One"
    )
    after = apply_patch(b"# A\n", patch)
    assert after.content == b"# A\n####### Six\n\n## One\n"
    assert [warning.code for warning in after.warnings] == ["heading-depth-overflow"]


@pytest.mark.parametrize(
    ("before", "fields", "after"),
    [
        ("# A\n\nbody\n\n# B\n", {}, "# A\n\n# B\n"),
        ("# A\nbody\n# B\n", {}, "# A\n# B\n"),
        ("# A\n\nbody\n", {}, "# A\n"),
        ("# A\n\nbody\n\n# B\n", {"scope": Scope.MARKER_AND_CONTENT}, "# B\n"),
        ("x\n# A\nbody\n", {"scope": Scope.MARKER}, "x\n\nbody\n"),
        ("# A\n\nbody\n", {"scope": Scope.MARKER}, "\nbody\n"),
    ],
)
def test_deleting(before: str, fields: dict[str, Any], after: str) -> None:
    assert edit(before, "delete", "heading", "A", **fields) == after
    assert edit(before, "replace", "heading", "A", payload="") == edit(before, "delete", "heading", "A")


def test_renaming_a_heading_keeps_its_level_and_its_way_of_writing() -> None:
    marker = {"scope": Scope.MARKER}
    assert edit("## A ##\nx\n", "replace", "heading", "A", payload="New", **marker) == "## New\nx\n"
    assert edit("A\n---\nx\n", "replace", "heading", "A", payload="New", **marker) == "New\n---\nx\n"
    for bad in ("a\nb", "", " "):
        with pytest.raises(PatchInvalid):
            edit("# A\n", "replace", "heading", "A", payload=bad, **marker)


@pytest.mark.parametrize(
    ("before", "operation", "payload", "fields", "after"),
    [
        ("# A\nx\n# B\n", "append", "Hello", {}, "# A\nx\nHello\n# B\n"),
        ("# A\nx\n\n# B\n", "append", "Hello\n\n", {}, "# A\nx\n\nHello\n\n# B\n"),
        ("# A\nx", "append", "Hello", {}, "# A\nx\nHello"),
        ("# A\nx\n", "prepend", "Hello\n", {}, "# A\nHello\nx\n"),
        ("# A\nx\n", "prepend", "Hello", {}, "# A\nHello\nx\n"),
        ("# A\n\nx\n\n# B\n", "replace", "Hello\n", {}, "# A\nHello\n# B\n"),
        ("# A\nx\n## S\ny\n# B\n", "replace", "## T\n", {}, "# A\n## T\n# B\n"),
        ("# A\nx\n\n\n# B\n", "append", "\nHello\n", {"trim_target_whitespace": True}, "# A\nx\nHello\n# B\n"),
        ("# A\nx\n# B\n", "replace", "## New", {"scope": Scope.MARKER}, "## New\nx\n# B\n"),
        ("# A\nx\n# B\n", "replace", "# N\ny", {"scope": Scope.MARKER_AND_CONTENT}, "# N\ny\n# B\n"),
    ],
)
def test_literal_text_goes_in_as_it_is_but_never_joins_another_line(
    before: str, operation: str, payload: str, fields: dict[str, Any], after: str
) -> None:
    assert edit(before, operation, "heading", "A", payload=payload, style=Style.LITERAL, **fields) == after


@pytest.mark.parametrize("style", list(Style))
def test_missing_headings_are_created_when_asked_for(style: Style) -> None:
    before = "# A\nx\n\n# B\n"
    with pytest.raises(TargetNotFound):
        edit(before, "append", "heading", "A", "C", "D", payload="y", style=style)
    create = {"create_target_if_missing": True, "style": style}
    after = "# A\nx\n\n## C\n### D\ny\n\n# B\n"
    assert edit(before, "append", "heading", "A", "C", "D", payload="y", **create) == after
    assert edit("", "append", "heading", "A", payload="y", **create) == "# A\ny\n"
    with pytest.raises(PatchInvalid, match="level 7"):
        edit(before, "append", "heading", *"ABCDEFG", payload="y", **create)


@pytest.mark.parametrize(
    ("place", "after"),
    [
        (Destination((), "last"), "# B\n## C\n\n# A\n## S\ns\n\n# D\nd\n"),
        (Destination((), "first"), "# D\nd\n\n# A\n## S\ns\n\n# B\n## C\n"),
        (Destination(("B",), "last"), "# A\n## S\ns\n\n# B\n## C\n\n## D\nd\n"),
        (Destination(("B",), "first"), "# A\n## S\ns\n\n# B\n## D\nd\n\n## C\n"),
        (Destination((), "before", ("B",)), "# A\n## S\ns\n\n# D\nd\n\n# B\n## C\n"),
        (Destination(("A",), "after", ("A", "S")), "# A\n## S\ns\n\n## D\nd\n\n# B\n## C\n"),
    ],
)
def test_a_section_is_moved_with_its_levels(place: Destination, after: str) -> None:
    before = "# A\n## S\ns\n\n# B\n## C\n\n# D\nd\n"
    moved = "A" if place == Destination((), "last") else "D"
    if moved == "A":
        after = "# B\n## C\n\n# D\nd\n\n# A\n## S\ns\n"
    assert edit(before, "replace", "heading", moved, payload=place, scope=Scope.PARENT) == after


def test_a_section_is_not_moved_into_itself_nor_beside_a_stranger() -> None:
    for destination in (Destination(("A", "S"), "last"), Destination((), "after", ("A", "S"))):
        with pytest.raises(PatchInvalid):
            edit("# A\n## S\n### T\n# B\n", "replace", "heading", "A", payload=destination, scope=Scope.PARENT)


@pytest.mark.parametrize(
    ("operation", "target", "fields", "old", "new"),
    [
        ("append", "p1", {"payload": " more"}, "para ^p1", "para more ^p1"),
        ("prepend", "p1", {"payload": "X "}, "para ^p1", "X para ^p1"),
        ("replace", "^p1", {"payload": "$& \\1"}, "para ^p1", "$& \\1 ^p1"),
        ("replace", "p1", {"payload": "q2", "scope": Scope.MARKER}, "para ^p1", "para ^q2"),
        ("delete", "p1", {"scope": Scope.MARKER}, "para ^p1", "para"),
        ("delete", "t1", {"scope": Scope.MARKER}, "^t1\n\n", ""),
        ("delete", "p1", {"scope": Scope.MARKER_AND_CONTENT}, "para ^p1\n", ""),
        ("append", "p1", {"payload": "Y", "scope": Scope.MARKER_AND_CONTENT}, "para ^p1\n", "para ^p1\n\nY\n"),
        ("prepend", "p1", {"payload": "Y", "scope": Scope.MARKER_AND_CONTENT}, "para ^p1\n", "Y\n\npara ^p1\n"),
        ("append", "t1", {"payload": Value([["x|y", "4"]])}, "| 1 | 2 |\n", "| 1 | 2 |\n| x\\|y | 4 |\n"),
        ("prepend", "t1", {"payload": Value([["3", 4]])}, "| 1 | 2 |\n", "| 3 | 4 |\n| 1 | 2 |\n"),
        ("replace", "t1", {"payload": Value([["3", "4"]])}, "| 1 | 2 |\n", "| 3 | 4 |\n"),
        ("replace", "t1", {"payload": Value([])}, "| 1 | 2 |\n", ""),
        (
            "append",
            "new",
            {"payload": "Y", "create_target_if_missing": True},
            "para ^p1\n",
            "para ^p1\n\nY\n\n^new\n",
        ),
    ],
)
def test_blocks(operation: str, target: str, fields: dict[str, Any], old: str, new: str) -> None:
    assert edit(NOTE, operation, "block", target, **fields) == NOTE.replace(old, new)


@pytest.mark.parametrize(
    "fields",
    [
        {"target": ("t1",), "payload": Value([["only one"]])},
        {"target": ("t1",), "payload": Value([["a\nb", "c"]])},
        {"target": ("t1",), "payload": Value(["a", "b"])},
        {"target": ("p1",), "payload": Value([["a"]])},
        {"target": ("p1",), "payload": "a b", "scope": Scope.MARKER, "operation": Operation.REPLACE},
        {"target": ("p1",), "payload": "x", "scope": Scope.MARKER},
        {"target": ("p1", "x"), "payload": "x"},
        {"target": ("p1",), "payload": "x", "within": 1},
        {"target": ("p1",), "payload": "x", "operation": Operation.DELETE},
        {"target": ("p1",), "payload": None},
        {"target": ("p1",), "payload": "\ud800"},
    ],
)
def test_what_makes_no_sense_is_refused(fields: dict[str, Any]) -> None:
    fields = {"target_type": TargetType.BLOCK, "operation": Operation.APPEND, **fields}
    with pytest.raises(PatchInvalid):
        apply_patch(NOTE.encode(), Patch(**fields))


def test_a_block_id_that_is_taken_is_refused() -> None:
    with pytest.raises(TargetExists):
        edit(NOTE, "replace", "block", "p1", payload="t1", scope=Scope.MARKER)


@pytest.mark.parametrize(
    ("operation", "index", "fields", "old", "new"),
    [
        ("append", 1, {"payload": "\n- c"}, "- b\n", "- b\n- c\n"),
        ("append", -2, {"payload": "\n- c"}, "- b\n", "- b\n- c\n"),
        ("replace", 0, {"payload": "X"}, "text\n", "X\n"),
        ("delete", 0, {}, "text\n\n", ""),
        ("append", 0, {"payload": "X", "scope": Scope.MARKER_AND_CONTENT}, "text\n", "text\n\nX\n"),
        ("prepend", 2, {"payload": "X", "scope": Scope.MARKER_AND_CONTENT}, "```\ncode", "X\n\n```\ncode"),
    ],
)
def test_within_picks_a_block_of_the_section_itself(
    operation: str, index: int, fields: dict[str, Any], old: str, new: str
) -> None:
    before = "# A\ntext\n\n- a\n- b\n\n^id\n\n```\ncode\n```\n## S\nmore\n"
    assert edit(before, operation, "heading", "A", within=index, **fields) == before.replace(old, new)
    with pytest.raises(TargetNotFound):
        edit(before, "delete", "heading", "A", within=3)


def test_frontmatter() -> None:
    assert edit(NOTE, "replace", "frontmatter", "alpha", payload=Value(2)) == NOTE.replace("alpha: 1", "alpha: 2")
    assert edit(NOTE, "delete", "frontmatter", "alpha") == NOTE.replace("alpha: 1", "alpha:")
    assert edit(NOTE, "replace", "frontmatter", "alpha", payload="b", scope=Scope.MARKER) == NOTE.replace("alpha", "b")
    both = {"scope": Scope.MARKER_AND_CONTENT}
    assert edit(NOTE, "delete", "frontmatter", "alpha", **both) == NOTE.removeprefix("---\nalpha: 1\n---\n")
    assert edit(NOTE, "replace", "frontmatter", "alpha", payload=Value({"b": 2}), **both) == NOTE.replace(
        "alpha: 1", "b: 2"
    )
    tags = {"payload": Value(["x"]), "create_target_if_missing": True}
    once = edit(NOTE, "append", "frontmatter", "tags", **tags)
    assert once == NOTE.replace("alpha: 1\n", "alpha: 1\ntags:\n  - x\n")
    with pytest.raises(ContentPreexists):
        edit(once, "append", "frontmatter", "tags", reject_if_content_preexists=True, **tags)
    with pytest.raises(TargetNotFound):
        edit(NOTE, "replace", "frontmatter", "beta", payload=Value(1))
    with pytest.raises(FrontmatterNotEditable):
        edit("---\n[\n---\n", "replace", "frontmatter", "beta", payload=Value(1), create_target_if_missing=True)
    with pytest.raises(InvalidInput):
        edit(NOTE, "replace", "frontmatter", "alpha", payload=Value(object()))


def test_text_that_is_there_already_is_refused_when_asked_for() -> None:
    with pytest.raises(ContentPreexists):
        edit(NOTE, "append", "heading", "One", payload="body of one\n", reject_if_content_preexists=True)
    assert "sub body" in edit(NOTE, "append", "heading", "Two", payload="sub body", reject_if_content_preexists=True)


def test_what_is_read_can_be_written_back_without_a_change() -> None:
    content = NOTE.encode()
    for target in ((), ("One",), ("One", "Sub"), ("Two",), ("Table",)):
        for scope in (Scope.CONTENT, Scope.MARKER, Scope.MARKER_AND_CONTENT)[: 3 if target else 1]:
            text = read_target(content, TargetType.HEADING, target, scope=scope)
            assert isinstance(text, bytes)
            assert edit(NOTE, "replace", "heading", *target, payload=text.decode(), scope=scope) == NOTE
    for block in ("t1", "p1"):
        for scope in (Scope.CONTENT, Scope.MARKER, Scope.MARKER_AND_CONTENT):
            text = read_target(content, TargetType.BLOCK, (block,), scope=scope)
            assert isinstance(text, bytes)
            assert edit(NOTE, "replace", "block", block, payload=text.decode(), scope=scope) == NOTE
    assert read_target(content, TargetType.FRONTMATTER, ("alpha",)) == Value(1)
    assert read_target(content, TargetType.HEADING, ("One", "Sub"), scope=Scope.MARKER_AND_CONTENT) == (
        b"# Sub\nsub body\n\n"
    )
