from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request

from weave_nn.services.files.api.local_rest.addressing import Address, Target, address_of, segments_of
from weave_nn.shared.errors import InvalidInput
from weave_nn.vault.patch import TargetType

SEGMENTS = st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12), min_size=1, max_size=5)


def request_of(raw: str) -> Request:
    return Request({"type": "http", "path": "/", "raw_path": raw.encode()})


@given(SEGMENTS)
def test_what_is_encoded_stays_within_its_segment(segments: list[str]) -> None:
    url = "/vault/" + "/".join(quote(segment, safe="") for segment in segments)

    assert segments_of(request_of(url), 1) == segments


@given(SEGMENTS)
def test_a_target_of_an_existing_note_is_found_whatever_it_is_called(address: list[str]) -> None:
    found = address_of(["A.md", "heading", *address], lambda path: path == "A.md")

    assert found == Address("A.md", is_folder=False, target=Target(TargetType.HEADING, tuple(address)))


@pytest.mark.parametrize(
    ("segments", "existing", "found"),
    [
        ([""], [], Address("", is_folder=True, target=None)),
        (["A", "b.md"], [], Address("A/b.md", is_folder=False, target=None)),
        (["A", ""], [], Address("A", is_folder=True, target=None)),
        (["A", "heading", "b.md"], [], Address("A/heading/b.md", is_folder=False, target=None)),
        (["A", "heading"], [], Address("A/heading", is_folder=False, target=None)),
        (["A", "heading", ""], [], Address("A/heading", is_folder=True, target=None)),
        (["a.md", "block", "x"], [], Address("a.md", is_folder=False, target=Target(TargetType.BLOCK, ("x",)))),
        (["a.md", "block", "x"], ["a.md/block/x"], Address("a.md/block/x", is_folder=False, target=None)),
        (
            ["heading", "heading", "heading", "x"],
            ["heading/heading"],
            Address("heading/heading", is_folder=False, target=Target(TargetType.HEADING, ("x",))),
        ),
    ],
)
def test_files_go_before_targets(segments: list[str], existing: list[str], found: Address) -> None:
    assert address_of(segments, existing.__contains__) == found


def test_bytes_that_are_no_text_are_refused() -> None:
    with pytest.raises(InvalidInput):
        segments_of(request_of("/vault/%FF"), 1)
