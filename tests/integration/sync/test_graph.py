import pytest

from integration.sync.conftest import Ask
from weave_nn.services.sync.contract import SyncContract
from weave_nn.shared.cursors import make_cursor
from weave_nn.shared.errors import InvalidInput
from weave_nn.vault.errors import NoteNotFound

CHAIN = {
    "A.md": "[[B]] and [[B|again]] [[Missing]]",
    "B.md": "[[C]] #area/home",
    "C.md": "[[D]] #area/home #tools",
    "D.md": "[[D]] [[#here]] #tools",
    "E.md": "alone, with [[missing]]",
    "far/F.md": "![[pic.png]]",
    "pic.png": "",
}


def test_backlinks_come_with_their_context(examples: SyncContract) -> None:
    page = examples.list_backlinks("Notes/Epoxy.md")
    assert page.total == len(page.links)
    link = page.links[0]
    assert (link.source, link.target, link.kind, link.line) == ("Daily/2026-11-22.md", "Notes/Epoxy.md", "wikilink", 3)
    assert "cured overnight" in link.context


def test_outgoing_links_say_what_they_lead_to(ask: Ask) -> None:
    page = ask(CHAIN).list_outgoing("A.md", limit=2)
    assert [(link.target, link.text, link.alias) for link in page.links] == [
        ("B.md", "B", None),
        ("B.md", "B", "again"),
    ]
    assert page.total == 3
    rest = ask(CHAIN).list_outgoing("A.md", limit=2, cursor=page.next_cursor)
    assert [(link.target, link.text) for link in rest.links] == [(None, "Missing")]
    assert rest.next_cursor is None


def test_neighbours_to_a_depth(ask: Ask) -> None:
    contract = ask(CHAIN)
    near = contract.find_neighbours("B.md")
    assert [(node.path, node.depth) for node in near.nodes] == [("B.md", 0), ("A.md", 1), ("C.md", 1)]
    assert [(edge.source, edge.target, edge.links) for edge in near.edges] == [("A.md", "B.md", 2), ("B.md", "C.md", 1)]
    assert not near.truncated
    assert [node.path for node in contract.find_neighbours("A.md", depth=5).nodes] == ["A.md", "B.md", "C.md", "D.md"]
    assert contract.find_neighbours("B.md", limit=2).truncated
    with pytest.raises(InvalidInput, match="depth"):
        contract.find_neighbours("B.md", depth=6)


def test_the_shortest_path(ask: Ask) -> None:
    contract = ask(CHAIN)
    assert contract.find_path("D.md", "A.md") == ("D.md", "C.md", "B.md", "A.md")
    assert contract.find_path("A.md", "A.md") == ("A.md",)
    assert contract.find_path("A.md", "E.md") == ()
    with pytest.raises(NoteNotFound):
        contract.find_path("A.md", "nowhere.md")


def test_unresolved_and_orphans(ask: Ask) -> None:
    contract = ask(CHAIN)
    (target,) = contract.list_unresolved().targets
    assert (target.target, target.links, target.sources) == ("Missing", 2, ("A.md", "E.md"))
    assert [note.path for note in contract.list_orphans().notes] == ["E.md"]


def test_the_whole_graph_in_parts(ask: Ask) -> None:
    contract = ask(CHAIN)
    nodes, edges, cursor = [], [], None
    while True:
        part = contract.read_graph(limit=2, cursor=cursor)
        nodes += [node.path for node in part.nodes]
        edges += [(edge.source, edge.target) for edge in part.edges]
        cursor = part.next_cursor
        if cursor is None:
            break
    assert nodes == ["A.md", "B.md", "C.md", "D.md", "E.md", "far/F.md", "pic.png"]
    assert edges == [("A.md", "B.md"), ("B.md", "C.md"), ("C.md", "D.md"), ("far/F.md", "pic.png")]


def test_parts_of_the_graph_hold_every_note_once_though_others_come_and_go(ask: Ask) -> None:
    contract = ask(CHAIN)
    part = contract.read_graph(limit=2)
    contract = ask({"0.md": "[[A]]", "A.md": "[[B]] and more"})
    found = [node.path for node in part.nodes]
    while part.next_cursor is not None:
        part = contract.read_graph(limit=2, cursor=part.next_cursor)
        found += [node.path for node in part.nodes]
    assert found == ["A.md", "B.md", "C.md", "D.md", "E.md", "far/F.md", "pic.png"]


@pytest.mark.parametrize("made_up", ["\0", 3, None])
def test_a_made_up_cursor_of_the_graph_is_refused(ask: Ask, made_up: str | int | None) -> None:
    with pytest.raises(InvalidInput, match="does not belong"):
        ask({"A.md": ""}).read_graph(cursor=make_cursor(("graph",), made_up))


def test_tags_roll_up(ask: Ask) -> None:
    contract = ask(CHAIN)
    assert [(tag.tag, tag.notes) for tag in contract.list_tags()] == [("area", 2), ("area/home", 2), ("tools", 2)]
    assert [(tag.tag, tag.notes) for tag in contract.list_related_tags("#Area")] == [("tools", 1)]


def test_a_note_is_described(examples: SyncContract) -> None:
    card = examples.describe_note("Projects/Boat restoration.md")
    assert card.title == "Boat restoration"
    assert card.tags == ("boat", "project")
    assert card.frontmatter["budget"] == 2400
    assert (card.tasks, card.open_tasks) == (6, 5)
    assert [heading.text for heading in card.headings] == ["Boat restoration", "Plan", "Log"]
    assert card.blocks == ("transom-rot",)
    with pytest.raises(NoteNotFound):
        examples.describe_note("nowhere.md")


def test_recent_notes_come_first(ask: Ask) -> None:
    page = ask(CHAIN).list_recent(limit=3)
    assert len(page.notes) == 3
    assert page.notes[0].modified >= page.notes[1].modified >= page.notes[2].modified


def test_similar_notes_and_why(examples: SyncContract) -> None:
    similar = examples.find_similar("Notes/Basil.md", limit=3)
    assert similar.method == "links, tags and rare words"
    assert {note.path for note in similar.notes[:2]} == {"Notes/Thyme.md", "Projects/Herb garden.md"}
    assert "links" in similar.notes[0].reasons


@pytest.mark.parametrize(
    ("kind", "prefix", "expected"),
    [
        ("path", "ep", "Notes/Epoxy.md"),
        ("path", "Projects/", "Projects/Boat restoration.md"),
        ("tag", "#lang", "languages"),
        ("heading", "spring", "Spring and neap"),
    ],
)
def test_completion(examples: SyncContract, kind: str, prefix: str, expected: str) -> None:
    assert examples.complete(kind, prefix)[0] == expected  # type: ignore[arg-type]  # one of the literals
