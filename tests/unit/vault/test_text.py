"""Byte-exact text: offsets survive invalid UTF-8, and a file keeps its BOM, line endings and final newline."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weave_nn.vault.text import TextStyle, decode_lossless, is_valid_utf8, lines_of


@given(st.lists(st.one_of(st.binary(max_size=5), st.text(max_size=3).map(str.encode)), max_size=6).map(b"".join))
def test_decoding_keeps_every_byte_offset(content: bytes) -> None:
    encoded = decode_lossless(content).encode()
    assert len(encoded) == len(content)
    assert all(new in {old, ord("?")} for new, old in zip(encoded, content, strict=True))
    assert (encoded == content) or not is_valid_utf8(content)


def test_one_mark_for_each_byte_of_a_broken_sequence() -> None:
    assert decode_lossless(b"a\xf0\x9f\x98b\xff") == "a???b?"


_lines = st.lists(st.text(alphabet="ab é", max_size=4), min_size=1, max_size=5)


@given(_lines, st.sampled_from(["\n", "\r\n"]), st.booleans(), st.booleans())
def test_the_style_of_a_file_survives_a_rewrite_of_its_text(
    lines: list[str],
    newline: str,
    bom: bool,  # noqa: FBT001 - drawn by hypothesis
    final: bool,  # noqa: FBT001 - drawn by hypothesis
) -> None:
    body = newline.join([*lines, "end"]) + (newline if final else "")
    content = (b"\xef\xbb\xbf" if bom else b"") + body.encode()
    style = TextStyle.of(content)
    for as_typed in (body, body.replace("\r\n", "\n"), "\ufeff" + body, body.rstrip("\r\n") + "\n"):
        assert style.whole(as_typed) == content


@pytest.mark.parametrize(
    ("content", "style"),
    [
        (b"", TextStyle()),
        (b"a", TextStyle(final_newline=False)),
        (b"a\r\nb\r\nc\n", TextStyle(newline="\r\n", mixed=True)),
    ],
)
def test_styles(content: bytes, style: TextStyle) -> None:
    assert TextStyle.of(content) == style


def test_a_fragment_takes_the_line_endings_of_its_file() -> None:
    assert TextStyle.of(b"a\r\n").fragment("x\ny\r\n") == b"x\r\ny\r\n"


def test_a_file_of_mixed_line_endings_keeps_those_of_its_text() -> None:
    assert TextStyle.of(b"a\r\nb\n").whole("a\r\nb\nc\n") == b"a\r\nb\nc\n"


@given(st.text(alphabet="a\r\n\u2028\x0c"))
def test_lines_make_up_the_text_and_end_only_at_line_ends(text: str) -> None:
    lines = lines_of(text)
    assert "".join(lines) == text
    assert [line.rstrip("\r\n") for line in lines] == [
        line for line in text.replace("\r\n", "\n").replace("\r", "\n").removesuffix("\n").split("\n") if text
    ]
