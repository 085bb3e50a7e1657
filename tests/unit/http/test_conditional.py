import pytest
from hypothesis import given
from hypothesis import strategies as st

from weave_nn.shared.errors import InvalidInput, PreconditionFailed
from weave_nn.shared.http import ETag, ETagCondition, not_modified

tags = st.builds(ETag, st.text(st.characters(min_codepoint=0x23, max_codepoint=0x7E)), st.booleans())


@given(st.lists(tags, min_size=1, max_size=5), st.sampled_from([",", ", ", " ,\t", ",,"]))
def test_a_written_list_of_tags_is_read_back(written: list[ETag], separator: str) -> None:
    assert ETagCondition.parse(separator.join(map(str, written)), "If-Match").tags == tuple(written)


@pytest.mark.parametrize("header", ["", "abc", '"a', '"a" "b"', 'w/"a"', '*, "a"', '"a"b', '"a\n"'])
def test_what_is_no_list_of_tags_is_refused_with_the_value(header: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        ETagCondition.parse(header, "If-Match")
    assert refused.value.fields == {"field": "If-Match", "value": header}
    assert "quotes" in str(refused.value)


def test_if_match_compares_strongly_and_if_none_match_weakly() -> None:
    weak = ETagCondition.parse('W/"1"', "If-Match")
    assert not weak.allows(ETag("1"))
    assert not weak.allows(ETag("1", weak=True))
    assert weak.knows(ETag("1"))


def test_a_star_stands_for_whatever_exists() -> None:
    star = ETagCondition.parse(" * ", "If-Match")
    assert star.allows(ETag("1"))
    assert not star.allows(None)
    assert not star.knows(None)


def test_a_stale_version_is_told_the_present_one() -> None:
    condition = ETagCondition.parse('"old"', "If-Match")
    condition.require(ETag("old"))
    with pytest.raises(PreconditionFailed) as stale:
        condition.require(ETag("new"))
    assert stale.value.fields["current_etag"] == '"new"'
    with pytest.raises(PreconditionFailed):
        condition.require(None)


def test_not_modified_answers_only_to_the_present_version() -> None:
    response = not_modified(ETagCondition.parse('"1", "2"', "If-None-Match"), ETag("2"))
    assert response is not None
    assert (response.status_code, response.headers["etag"]) == (304, '"2"')
    assert not_modified(ETagCondition.parse('"1"', "If-None-Match"), ETag("2")) is None
    assert not_modified(None, ETag("2")) is None
