import pytest
from hypothesis import given
from hypothesis import strategies as st

from weave_nn.shared.bus.topics import check_pattern, matches
from weave_nn.shared.errors import InvalidInput

words = st.sampled_from(["a", "b", "file"])
topics = st.lists(words, min_size=1, max_size=6)
patterns = st.lists(st.one_of(words, st.sampled_from(["*", "#"])), min_size=1, max_size=6)


def naive(pattern: list[str], topic: list[str]) -> bool:
    if not pattern:
        return not topic
    if pattern[0] == "#":
        return any(naive(pattern[1:], topic[skipped:]) for skipped in range(len(topic) + 1))
    return bool(topic) and pattern[0] in ("*", topic[0]) and naive(pattern[1:], topic[1:])


@given(patterns, topics)
def test_patterns_match_as_the_definition_says(pattern: list[str], topic: list[str]) -> None:
    assert matches(".".join(pattern), ".".join(topic)) == naive(pattern, topic)


@pytest.mark.parametrize(
    ("pattern", "topic", "expected"),
    [
        ("vault.file.*", "vault.file.updated", True),
        ("vault.file.*", "vault.file", False),
        ("task.#", "task", True),
        ("task.#", "task.created", True),
        ("task.#", "tasks.created", False),
        ("#.#.#", "a.b", True),
        ("a.b", "axb", False),
    ],
)
def test_known_cases(pattern: str, topic: str, expected: bool) -> None:  # noqa: FBT001 - a column of the table above
    assert matches(pattern, topic) is expected


@pytest.mark.parametrize("pattern", ["", "a..b", "a.b*", "a#", ".a", "a.", "**", "a." * 200 + "a"])
def test_malformed_patterns_are_refused(pattern: str) -> None:
    with pytest.raises(InvalidInput, match="not a topic pattern"):
        check_pattern(pattern)
