from hypothesis import given
from hypothesis import strategies as st

from weave_nn.services.sync.adapters.semantic.passages import PASSAGE_CHARS, PASSAGE_LIMIT, passages

_LINES = st.lists(st.sampled_from(["# Heading", "", "a line of words", "x" * 700, "日本語" * 50]), max_size=60)


@given(_LINES)
def test_passages_cover_the_text_without_gaps(lines: list[str]) -> None:
    text = "\n".join(lines)
    found = passages(text)
    assert "".join(text[start:end] for start, end in found) == text
    assert len(found) <= PASSAGE_LIMIT


def test_a_passage_begins_with_its_heading() -> None:
    section = "# One\n" + "word " * 80 + "\n\n# Two\n" + "word " * 80
    (_, first_end), (start, _) = passages(section)
    assert first_end == start
    assert section[start:].startswith("# Two")


def test_a_short_note_is_one_passage_and_an_empty_one_none() -> None:
    assert passages("a" * PASSAGE_CHARS) == [(0, PASSAGE_CHARS)]
    assert passages("") == []


def test_long_notes_have_longer_passages_and_no_more_of_them() -> None:
    text = "some words here\n" * 10_000
    found = passages(text)
    assert len(found) <= PASSAGE_LIMIT
    assert found[-1][1] == len(text)
