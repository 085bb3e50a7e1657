"""Laws of every patch: what is written is what is read, the rest is untouched, and nothing fails untyped."""

from typing import Any

from hypothesis import assume, given
from hypothesis import strategies as st

from weave_nn.shared.errors import WeaveError
from weave_nn.vault.document import Document, document_map, document_map_v1
from weave_nn.vault.patch import (
    Destination,
    Operation,
    Patch,
    Scope,
    Style,
    TargetType,
    Value,
    apply_patch,
    read_target,
    replace_text,
)

LINES = [
    "# A", "## B", "### C", "# A", "Under", "---", "===", "", "", "text", "text ^b1", "^b2", "- item ^b1", "- [ ] task",
    "> quote", "```", "%%", "| a | b |", "| - | - |", "| 1 | 2 |", "    code", "k: v", "é 😀", "#", "\t",
]  # fmt: skip
paragraphs = st.text(alphabet="abc xyzé😀.$&\\1", min_size=1).filter(lambda text: text == text.strip())


@st.composite
def notes(draw: st.DrawFn) -> bytes:
    newline = draw(st.sampled_from(["\n", "\r\n"]))
    lines = draw(st.lists(st.sampled_from(LINES), max_size=12))
    head = draw(st.sampled_from(["", "---\nk: 1\n---\n", "---\nbroken: [\n---\n"])).replace("\n", newline)
    bom = draw(st.sampled_from([b"", b"\xef\xbb\xbf"]))
    return bom + (head + newline.join(lines) + draw(st.sampled_from(["", newline]))).encode()


@st.composite
def patches(draw: st.DrawFn) -> Patch:
    names = st.sampled_from(["A", "B", "C", "b1", "b2", "k", "new", "", "x\ny", "Under"])
    payloads: st.SearchStrategy[Any] = st.one_of(
        st.none(),
        st.sampled_from(["", "x", "# H\n\n## I", "text\n\n", "a\r\nb", "---", "\ud800"]),
        st.builds(Value, st.sampled_from([None, 1, "s", ["x"], [["1", "2"]], {"a": 1}])),
        st.builds(
            Destination,
            st.tuples() | st.tuples(names),
            st.sampled_from(["first", "last", "before", "after"]),
            st.tuples(names),
        ),
    )
    return Patch(
        target_type=draw(st.sampled_from(TargetType)),
        target=tuple(draw(st.lists(names, max_size=3))),
        operation=draw(st.sampled_from(Operation)),
        payload=draw(payloads),
        scope=draw(st.sampled_from(Scope)),
        within=draw(st.none() | st.integers(-2, 2)),
        style=draw(st.sampled_from(Style)),
        loose=draw(st.booleans()),
        create_target_if_missing=draw(st.booleans()),
        reject_if_content_preexists=draw(st.booleans()),
        trim_target_whitespace=draw(st.booleans()),
    )


@given(notes(), patches())
def test_a_patch_succeeds_or_fails_with_a_typed_error(note: bytes, patch: Patch) -> None:
    try:
        after = apply_patch(note, patch).content
    except WeaveError:
        return
    assert after.startswith(b"\xef\xbb\xbf") == note.startswith(b"\xef\xbb\xbf")
    if b"\r\n" in note:
        assert after.count(b"\n") == after.count(b"\r\n")


@given(st.binary(max_size=80), patches())
def test_arbitrary_bytes_raise_nothing_but_typed_errors(note: bytes, patch: Patch) -> None:
    document_map(note, version="v")
    document_map_v1(note)
    try:
        apply_patch(note, patch)
        replace_text(note, "a", "b")
    except WeaveError:
        pass


@given(notes(), st.data(), paragraphs, st.sampled_from(Style))
def test_replaced_content_is_read_back_and_the_rest_is_untouched(
    note: bytes, data: st.DataObject, text: str, style: Style
) -> None:
    document = Document.of(note)
    section = data.draw(st.sampled_from(document.sections))
    patch = Patch(
        target_type=TargetType.HEADING,
        target=section.address,
        operation=Operation.REPLACE,
        payload=text + "\n",
        style=style,
    )
    after = apply_patch(note, patch).content
    # An underline at the beginning of the next section would make a heading of the text.
    assume(len(Document.of(after).sections) == len(document.sections) - _inner(document, section.address))
    assert after.startswith(note[: section.body_start])
    assert after.endswith(note[section.end :])
    read = read_target(after, TargetType.HEADING, section.address, style=style)
    assert isinstance(read, bytes)
    assert read.strip() == text.encode()


@given(notes(), st.data(), paragraphs, st.sampled_from([Operation.APPEND, Operation.PREPEND]), st.sampled_from(Style))
def test_what_is_added_leaves_every_other_byte_in_its_order(
    note: bytes, data: st.DataObject, text: str, operation: Operation, style: Style
) -> None:
    section = data.draw(st.sampled_from(Document.of(note).sections))
    patch = Patch(
        target_type=TargetType.HEADING, target=section.address, operation=operation, payload=text, style=style
    )
    after = apply_patch(note, patch).content
    assert after.startswith(note[: section.body_start])
    assert after.endswith(note[section.end :])
    body = note[section.body_start : section.end]
    places = (
        i for i in range(len(body) + 1) if _adds_only(after, note, section.body_start + i, text.encode())
    )  # fmt: skip
    assert next(places, None) is not None


@given(notes(), st.data())
def test_what_is_read_is_what_replacing_takes(note: bytes, data: st.DataObject) -> None:
    document = Document.of(note)
    section = data.draw(st.sampled_from(document.sections))
    # Whether a line within an open comment is a heading cannot be told from the section alone.
    assume(b"%%" not in note)
    text = read_target(note, TargetType.HEADING, section.address)
    assert isinstance(text, bytes)
    patch = Patch(
        target_type=TargetType.HEADING, target=section.address, operation=Operation.REPLACE, payload=text.decode()
    )
    after = apply_patch(note, patch).content
    assert after == note


def _inner(document: Document, address: tuple[str, ...]) -> int:
    return sum(
        len(other.address) > len(address) and other.address[: len(address)] == address for other in document.sections
    )


def _adds_only(after: bytes, note: bytes, at: int, text: bytes) -> bool:
    """Whether `after` is the note with nothing but the text and white space put in at one place."""
    rest = note[at:]
    middle = after[at : len(after) - len(rest)]
    return after.startswith(note[:at]) and after.endswith(rest) and middle.strip() == text
