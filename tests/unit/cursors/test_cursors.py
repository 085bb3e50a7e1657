import pytest
from hypothesis import given
from hypothesis import strategies as st

from weave_nn.shared.cursors import make_cursor, read_cursor
from weave_nn.shared.errors import InvalidInput

values = st.lists(st.none() | st.text(st.characters(exclude_categories=["Cs"])) | st.integers(), max_size=3)


@given(st.text(), values)
def test_a_cursor_gives_back_what_it_was_made_of(question: str, kept: list[str | int | None]) -> None:
    assert read_cursor(make_cursor(question, *kept), question) == kept


@given(st.text())
def test_anything_else_is_refused(cursor: str) -> None:
    with pytest.raises(InvalidInput, match="does not belong"):
        read_cursor(cursor, "question")


def test_a_cursor_of_another_question_is_refused() -> None:
    with pytest.raises(InvalidInput, match="does not belong"):
        read_cursor(make_cursor("one", 3), "other")
