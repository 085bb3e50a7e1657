"""What holds for every note: nothing raises, positions are true, and exactly what was put in is found."""

from dataclasses import dataclass, field
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from weave_nn.vault.parse import Note, outline, parse
from weave_nn.vault.text import decode_lossless

VISIBLE_MARKUP = (
    "[[ ]] ![ ]( ) [ ] | # ^ ` $ $$ %% <!-- --> <b> < > \\ a é 🚀 \ufeff \0 a.md %20 &amp; ' \" "
    "[[a]] ![[b|c]] [t](c.md)"
)
LINES = (
    "\n",
    "\r\n",
    "\r",
    "    ",
    "\t",
    "```\n",
    "- [ ] ",
    "> ",
    "1. ",
    "|-|\n",
    "---\n",
    "===\n",
    "^id\n",
    "#t ",
    "x: ",
)
MARKUP = st.sampled_from([*VISIBLE_MARKUP.split(" "), *LINES, "[r]: d"])
NOTES = st.one_of(
    st.binary(),
    st.lists(MARKUP, max_size=60).map(lambda parts: "".join(parts).encode()),
    st.lists(st.one_of(MARKUP.map(str.encode), st.binary(max_size=3)), max_size=60).map(b"".join),
    st.lists(MARKUP, max_size=40).map(lambda parts: ("---\n" + "".join(parts) + "\n---\n[[a]]").encode()),
)


def line_of(content: bytes, position: int) -> int:
    return content.count(b"\n", 0, position) + 1


def check_links(content: bytes, note: Note) -> None:
    edits: list[tuple[int, int]] = []
    for link in note.links:
        assert link.start < link.target_start <= link.target_end <= link.end
        assert line_of(content, link.start) == link.line
        assert (link.end <= note.body_start) == link.in_frontmatter
        assert link.target or link.subpath
        raw = decode_lossless(content[link.target_start : link.target_end])
        if not (set(raw) & set("%\\&'")):
            assert raw == link.target
        edits.append((link.target_start, link.target_end))
    edits.sort()
    assert all(before[1] <= after[0] for before, after in pairwise(edits)), "targets overlap"


@given(NOTES)
def test_any_bytes_are_read_and_every_position_is_true(content: bytes) -> None:
    note = parse(content)
    assert outline(content) == (note.frontmatter, note.headings, note.checkboxes)
    check_links(content, note)
    for tag in note.tags:
        assert decode_lossless(content[tag.start : tag.end]) == f"#{tag.name}"
        assert line_of(content, tag.start) == tag.line
    for heading in note.headings:
        assert line_of(content, heading.start) == heading.line
        assert heading.text.split(" ")[0] in decode_lossless(content[heading.start : heading.end])
    for block in note.blocks:
        assert content[block.id_start : block.id_end] == b"^" + block.id.encode()
        assert note.body_start <= block.start <= block.end
        assert block.end == block.id_end or block.end <= block.id_start
    for box in note.checkboxes:
        start = content.rfind(b"\n", 0, box.status_start) + 1
        assert (start, line_of(content, start)) == (box.start, box.line)
        assert content[box.start : box.end].startswith((box.indent + box.marker).encode())
        assert decode_lossless(content[box.status_start : box.status_end]) == box.status
        assert box.status_end < box.text_start <= box.text_end == box.end
        assert content[box.end : box.end + 1] in {b"", b"\n", b"\r"}


@given(NOTES)
def test_a_target_that_is_replaced_is_read_back(content: bytes) -> None:
    note = parse(content)
    for index, link in enumerate(note.links):
        edited = content[: link.target_start] + b"other" + content[link.target_end :]
        found = parse(edited).links
        if link.target and len(found) == len(note.links):
            assert found[index].target == "other"


@dataclass
class Expected:
    text: str = ""
    links: list[str] = field(default_factory=list)
    tags: list[str] = field(default_factory=list)
    headings: list[str] = field(default_factory=list)
    checkboxes: list[str] = field(default_factory=list)


WORDS = st.text("abcdefghij éß日", min_size=1, max_size=8).map(str.strip).filter(bool)
TAGS = st.from_regex(r"[a-zé][a-z0-9é_-]{0,5}(/[a-z]{1,4})?", fullmatch=True)


@st.composite
def visible(draw: st.DrawFn) -> Expected:
    name, other, tag = draw(WORDS), draw(WORDS), draw(TAGS)
    return draw(
        st.sampled_from(
            [
                Expected(f"{name} [[{name}]] {other}", [name]),
                Expected(f"![[{name}.png|100]] and [[{other}#{name}|x]]", [f"{name}.png", other]),
                Expected(f"[{other}](<{name}.md>) `[[{other}]]`", [f"{name}.md"]),
                Expected(f"#{tag} {other} %% #{tag} [[{name}]] %%", [], [tag]),
                Expected(f"## {name}", [], [], [name]),
                Expected(f"- [/] {name}\n  - [x] #{tag}", [], [tag], [], ["/", "x"]),
                Expected(f"> - [ ] [[{name}]]", [name], [], [], [" "]),
                Expected(f"| {other} |\n|---|\n| [[{name}\\|{other}]] |", [name]),
                Expected(f"```\n[[{name}]] #{tag}\n# {other}\n```"),
                Expected(f"    [[{name}]]\n    - [ ] #{tag}"),
                Expected(f"$$\n[[{name}]]\n\n#{tag}\n$$"),
                Expected(f"<!-- [[{name}]]\n\n#{tag} -->"),
                Expected(f"%%\n# {name}\n\n- [ ] [[{name}]] ^a\n%%"),
                Expected(f"[{name}](https://x.y/{tag}#z) \\#{tag} \\[[{name}]]"),
            ]
        )
    )


@given(st.lists(visible(), max_size=12), st.sampled_from(["\n", "\r\n"]), st.booleans())
def test_exactly_what_was_put_in_is_found(pieces: list[Expected], newline: str, with_head: bool) -> None:  # noqa: FBT001 - hypothesis passes it
    text = ("---\nup: x\n---\n" if with_head else "\n") + "\n\nplain\n\n".join(piece.text for piece in pieces)
    note = parse(text.replace("\n", newline).encode())
    assert [link.target for link in note.links] == [link for piece in pieces for link in piece.links]
    assert [tag.name for tag in note.tags] == [tag for piece in pieces for tag in piece.tags]
    assert [heading.text for heading in note.headings] == [text for piece in pieces for text in piece.headings]
    assert [box.status for box in note.checkboxes] == [status for piece in pieces for status in piece.checkboxes]
