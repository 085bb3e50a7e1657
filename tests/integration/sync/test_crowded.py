"""Texts that so many notes hold that not all of them are ranked."""

import pytest

from integration.sync.conftest import Ask
from weave_nn.services.sync.contract import SyncContract
from weave_nn.services.sync.repository import searching

NOTES = {f"{number}.md": f"---\nside: {number % 2}\n---\nA river among {number} others." for number in range(12)} | {
    "River.md": "Nothing else.",
    "Named.md": "---\naliases: [The river]\n---\nNothing else.",
    "Headed.md": "Before.\n\n## By the river\n",
    **{f"Lake {number}.md": "A lake." for number in range(16)},
}


def _paths(contract: SyncContract, query: str, limit: int = 100) -> list[str]:
    found: list[str] = []
    cursor = None
    while True:
        page = contract.search(query, limit=limit, cursor=cursor)
        found += [hit.path for hit in page.hits]
        if (cursor := page.next_cursor) is None:
            return found


@pytest.fixture
def crowded(monkeypatch: pytest.MonkeyPatch, ask: Ask) -> SyncContract:
    monkeypatch.setattr(searching, "RANKED_LIMIT", 4)
    return ask(NOTES)


def test_titles_aliases_and_headings_come_first_then_the_last_modified(crowded: SyncContract) -> None:
    page = crowded.search("river", limit=100)

    assert {hit.path for hit in page.hits[:3]} == {"River.md", "Named.md", "Headed.md"}
    assert page.hits[0].path == "River.md"
    assert all(hit.score > 0 for hit in page.hits[:3])
    assert all(hit.score == 0 for hit in page.hits[3:])
    modified = [hit.modified for hit in page.hits[3:]]
    assert modified == sorted(modified, reverse=True)


@pytest.mark.parametrize(
    "query", ["river", "river OR lake", "river -lake", "riv*", '"a river"', "river side:1", "among", "lake", "lak*"]
)
def test_the_same_notes_are_found_as_when_all_are_ranked(
    crowded: SyncContract, monkeypatch: pytest.MonkeyPatch, query: str
) -> None:
    found = _paths(crowded, query)
    monkeypatch.setattr(searching, "RANKED_LIMIT", 1000)

    assert len(found) == len(set(found))
    assert set(found) == set(_paths(crowded, query))


@pytest.mark.parametrize("limit", [1, 2, 3, 4, 7])
@pytest.mark.parametrize("query", ["river", "lake"])
def test_pages_of_any_size_give_every_note_once_in_the_same_order(
    crowded: SyncContract, monkeypatch: pytest.MonkeyPatch, query: str, limit: int
) -> None:
    whole = _paths(crowded, query)
    # Pages begin among the notes that are asked one after the other, and end among those that are listed.
    monkeypatch.setattr(searching, "LATELY_LIMIT", 21)

    assert _paths(crowded, query, limit) == whole


def test_where_titles_too_are_crowded_the_last_modified_come_first(
    monkeypatch: pytest.MonkeyPatch, crowded: SyncContract
) -> None:
    monkeypatch.setattr(searching, "RANKED_LIMIT", 2)

    page = crowded.search("river", limit=100)

    assert len(page.hits) == 15
    assert all(hit.score == 0 for hit in page.hits)
    assert _paths(crowded, "river", 4) == [hit.path for hit in page.hits]


def test_a_field_that_leaves_few_has_them_ranked_whole(crowded: SyncContract) -> None:
    page = crowded.search("river path:1*", limit=100)

    assert {hit.path for hit in page.hits} == {"1.md", "10.md", "11.md"}
    assert all(hit.score > 0 for hit in page.hits)
