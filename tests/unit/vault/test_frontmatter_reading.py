import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weave_nn.vault.frontmatter import MAX_BLOCK_BYTES, read

BOM = b"\xef\xbb\xbf"


@pytest.mark.parametrize(
    ("block", "values"),
    [
        ("on: yes\nno: off", {"on": "yes", "no": "off"}),
        ("time: 12:30", {"time": "12:30"}),
        (
            "d: 2024-01-02\nt: 2024-01-02T10:00:00\nz: 2024-01-02 10:00",
            {
                "d": "2024-01-02",
                "t": "2024-01-02T10:00:00",
                "z": "2024-01-02 10:00",
            },
        ),
        ("a: 010\nb: 0x1F\nc: 0o10\nd: 1e3\ne: 1.50", {"a": 10, "b": 31, "c": 8, "d": 1000.0, "e": 1.5}),
        ("a: ~\nb:\nc: null", {"a": None, "b": None, "c": None}),
        ("a: .nan\nb: -.inf", {"a": ".nan", "b": "-.inf"}),
        ("a: 123456789012345678901234567890", {"a": 123456789012345678901234567890.0}),
        ("a: 1" + "0" * 5000, {"a": ".inf"}),
        ("2: a\ntrue: b\n~: c", {"2": "a", "true": "b", "null": "c"}),
        ("a:\t1\nb:\t12:30\nc:\t010\nd:\tyes", {"a": 1, "b": "12:30", "c": 10, "d": "yes"}),
        ("link: '[[A]]'\nraw: [[A]]", {"link": "[[A]]", "raw": [["A"]]}),
        ("tags: #a", {"tags": None}),
        ("a: |\n  x\n\n  y\nb: >-\n  p\n  q", {"a": "x\n\ny\n", "b": "p q"}),
        ("a: &x [1]\nb: *x", {"a": [1], "b": [1]}),
        ("", {}),
        ("# only a comment", {}),
    ],
)
def test_values_have_the_meanings_that_obsidian_gives_them(block: str, values: dict[str, object]) -> None:
    frontmatter = read(f"---\n{block}\n---\nbody".encode())
    assert frontmatter.values == values
    assert frontmatter.problem is None
    assert frontmatter.editable


@pytest.mark.parametrize(
    ("block", "line", "words"),
    [
        ("ok: 1\na: [1", 3, "bracket"),
        ("a: x: y", 2, "mapping values"),
        ("- a", 2, "not a mapping"),
        ("just text", 2, "not a mapping"),
        ("a: 1\nb: \0", 3, "NUL"),
        ("a: " + "[" * 50_000, 2, "recursion"),
        ("a:\t" + "[" * 900 + "]" * 900, 2, ""),
        ("a: !!int x", None, "!!int"),
        ("a:\t!!bool x", None, "!!bool"),
        ("a: x" * MAX_BLOCK_BYTES, None, "at most"),
    ],
)
def test_a_block_that_cannot_be_read_is_reported_with_its_line(block: str, line: int | None, words: str) -> None:
    content = f"---\n{block}\n---\nbody".encode()
    frontmatter = read(content)
    assert frontmatter.values == {}
    assert frontmatter.problem is not None
    assert words in frontmatter.problem
    assert frontmatter.problem_line == line
    assert not frontmatter.editable
    assert content[frontmatter.body_start :] == b"body"


def test_invalid_utf8_in_the_block_is_reported_and_in_the_body_is_not() -> None:
    assert read(b"---\na: \xff\n---\n").problem_line == 2
    assert read(b"---\na: 1\n---\n\xff").problem is None


def test_of_duplicate_keys_the_last_counts_and_the_line_is_reported() -> None:
    frontmatter = read(b"---\na: 1\nb: 2\na: 3\n---\n")
    assert frontmatter.values == {"a": 3, "b": 2}
    assert frontmatter.problem is not None
    assert frontmatter.problem_line == 4


def test_an_alias_bomb_is_refused() -> None:
    lines = ["a: &a [x,x,x,x,x,x,x,x,x,x]"]
    lines += [
        f"{key}: &{key} [{','.join([f'*{previous}'] * 10)}]" for previous, key in zip("abcdefg", "bcdefgh", strict=True)
    ]
    frontmatter = read("---\n{}\n---\n".format("\n".join(lines)).encode())
    assert frontmatter.values == {}
    assert frontmatter.problem is not None


@pytest.mark.parametrize(
    ("content", "span"),
    [
        (b"---\na: 1\n---\nbody", (0, 13)),
        (b"---\r\na: 1\r\n---\r\nbody", (0, 16)),
        (BOM + b"---\na: 1\n---\nbody", (3, 16)),
        (b"---\na: 1\n...\nbody", (0, 13)),
        (b"--- \na: 1\n---\t\nbody", (0, 15)),
        (b"---\na: 1\n---", (0, 12)),
        (b"---\n---\n", (0, 8)),
        (b"---\na: |\n  ---\n---\n", (0, 19)),
    ],
)
def test_the_span_is_the_block_with_both_delimiters(content: bytes, span: tuple[int, int]) -> None:
    frontmatter = read(content)
    assert frontmatter.span == span
    assert frontmatter.body_start == span[1]
    assert frontmatter.problem is None


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"text",
        b"\n---\na: 1\n---\n",
        b" ---\na: 1\n---\n",
        b"----\na: 1\n---\n",
        b"---\na: 1\n",
        b"---",
        b"--- x\n---\n",
    ],
)
def test_what_is_not_at_the_first_byte_or_not_closed_is_no_block(content: bytes) -> None:
    frontmatter = read(content)
    assert frontmatter.span is None
    assert frontmatter.body_start == 0


@given(st.binary(max_size=200), st.text(max_size=200))
def test_any_bytes_are_read_without_an_exception_into_json_values(raw: bytes, text: str) -> None:
    for block in (raw, text.encode(errors="replace")):
        for content in (block, b"---\n" + block + b"\n---\n"):
            json.dumps(read(content).values, allow_nan=False)
