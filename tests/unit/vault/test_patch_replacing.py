import pytest
from hypothesis import given
from hypothesis import strategies as st

from weave_nn.shared.errors import InvalidInput
from weave_nn.vault.patch import TextAmbiguous, TextNotFound, replace_text


@pytest.mark.parametrize("new", ["$&", "\\1", "\\g<0>", "$1 %s {0}", ""])
def test_nothing_in_the_new_text_is_expanded(new: str) -> None:
    assert replace_text(b"one (two) three", "(two)", new) == f"one {new} three".encode()


def test_several_places_are_an_error_that_says_where() -> None:
    with pytest.raises(TextAmbiguous) as caught:
        replace_text(b"a\nb a\n\na", "a", "x")
    assert caught.value.fields == {"occurrences": 3, "lines": [1, 2, 4]}
    assert replace_text(b"a\nb a\n\na", "a", "x", expected_occurrences=3) == b"x\nb x\n\nx"
    assert replace_text(b"a\nb a\n\na", "a", "x", expected_occurrences=None) == b"x\nb x\n\nx"


def test_what_is_not_there_or_empty_is_refused() -> None:
    with pytest.raises(TextNotFound):
        replace_text(b"text", "texts", "x", expected_occurrences=None)
    with pytest.raises(InvalidInput):
        replace_text(b"text", "", "x")


def test_lines_end_as_those_of_the_note() -> None:
    assert replace_text(b"a\r\nb\r\nc", "a\nb", "x\ny") == b"x\r\ny\r\nc"
    assert replace_text(b"a\r\nb\r\nc\nd", "c\nd", "x") == b"a\r\nb\r\nx"


@given(st.binary(max_size=30), st.text(min_size=1, max_size=5), st.text(max_size=5), st.binary(max_size=30))
def test_bytes_around_the_place_are_untouched(before: bytes, old: str, new: str, after: bytes) -> None:
    old, new = old.replace("\r", "").replace("\n", "") or "x", new.replace("\r", "").replace("\n", "")
    content = before + old.encode() + after
    if content.count(old.encode()) == 1:
        assert replace_text(content, old, new) == before + new.encode() + after
