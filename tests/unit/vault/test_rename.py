import html.entities

import pytest

from weave_nn.shared.errors import Conflict, InvalidInput
from weave_nn.vault.errors import AlreadyExists, NoteNotFound
from weave_nn.vault.links import fold
from weave_nn.vault.mentions import Mentions
from weave_nn.vault.rename import RenamePlan, folder_moves, plan_rename
from weave_nn.vault.store import etag_of


def plan(vault: dict[str, str], moves: dict[str, str]) -> RenamePlan:
    return plan_rename(vault, moves, lambda path: vault[path].encode())


def rewritten(text: str, moves: dict[str, str], *others: str, at: str = "src.md") -> str:
    """What the note `at` says after the moves, in a vault of it, the moved files and others."""
    vault = {**dict.fromkeys([*moves, *others], ""), at: text}
    edits = {edit.path: edit.content.decode() for edit in plan(vault, moves).edits}
    return edits.get(at, text)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        # What is written beside the target stays.
        ("[[old]]", "[[new]]"),
        ("[[old#H1#H2|alias]] ![[old#^b]]", "[[new#H1#H2|alias]] ![[new#^b]]"),
        ("[[ old ]] [[OLD]] [[old.md]]", "[[ new ]] [[new]] [[new.md]]"),
        ("| [[old\\|x]] |\n|---|", "| [[new\\|x]] |\n|---|"),
        # A bare name stays bare, a path stays a path, what is relative stays relative.
        ("[[f/old]] [[/f/old]] [[./f/old]]", "[[g/new]] [[/g/new]] [[./g/new]]"),
        ("[t](f/old.md) [t](<f/old.md>) [t](old.md#h 'x')", "[t](g/new.md) [t](<g/new.md>) [t](new.md#h 'x')"),
        ("[t](f/old)", "[t](g/new)"),
        ("[r]: f/old.md", "[r]: g/new.md"),
        ("---\nup: '[[old|x]]' # [[old]]\n---\n", "---\nup: '[[new|x]]' # [[old]]\n---\n"),
        # What is no link stays.
        ("`[[old]]` %%[[old]]%% \\[[old]] [[older]] [[old x]]", None),
        ("[[#old]] [old](https://old/old.md)", None),
        ("\ufeff\r\n[[old]]\r\n\tx  \r\n", "\ufeff\r\n[[new]]\r\n\tx  \r\n"),
    ],
)
def test_links_to_a_note_that_moves(before: str, after: str | None) -> None:
    assert rewritten(before, {"f/old.md": "g/new.md"}) == (before if after is None else after)


@pytest.mark.parametrize(
    ("new", "before", "after"),
    [
        ("a b (c).md", "[t](old.md) [t](<old.md>)", "[t](a%20b%20%28c%29.md) [t](<a b (c).md>)"),
        ("é.md", "[t](old.md)", "[t](é.md)"),
        ("50% & more.md", "[t](old.md) [t](<old.md>)", "[t](50%25%20%26%20more.md) [t](<50%25 %26 more.md>)"),
        ("a#b.md", "[t](old.md)", "[t](a%23b.md)"),
        ("it's.md", "---\na: '[[old]]'\nb: \"[[old]]\"\n---\n", "---\na: '[[it''s]]'\nb: \"[[it's]]\"\n---\n"),
        ('say "x".md', '---\nb: "[[old]]"\n---\n', '---\nb: "[[say \\"x\\"]]"\n---\n'),
        ("old.txt", "[[old]] [[old.md]]", "[[old.txt]] [[old.txt]]"),
        ("x.y.md", "[[old]]", "[[x.y]]"),
        ("$& 1.md", "[[old|$&]]", "[[$& 1|$&]]"),
    ],
)
def test_new_names_are_written_as_the_syntax_demands(new: str, before: str, after: str) -> None:
    assert rewritten(before, {"old.md": new}) == after


def test_encoded_letters_stay_encoded() -> None:
    assert rewritten("[t](%C3%A9.md)", {"é.md": "ü ö.md"}) == "[t](%C3%BC%20%C3%B6.md)"


@pytest.mark.parametrize(
    "before",
    ["[t](o%6Cd.md)", "[t](o&#108;d.md)", '---\na: "[[o\\u006cd]]"\n---\n[[x]]', "[t](./old.md)", "[[oLd]]"],
)
def test_disguised_links_are_found(before: str) -> None:
    assert "new" in rewritten(before, {"old.md": "new.md"})


@pytest.mark.parametrize(
    "before", ["[[E\u0301TE\u0301]]", "[t](%C3%A9t%C3%A9.md)", "[[été]]", "[t](&eacute;t&eacute;.md)"]
)
def test_letters_beyond_ascii_are_found_in_every_form(before: str) -> None:
    assert "new" in rewritten(before, {"été.md": "new.md"})


@pytest.mark.parametrize("name", ["日本.md", "é.md", "🚀.md", "!!.md", "((.md"])
def test_names_without_ascii_letters_are_found(name: str) -> None:
    assert rewritten(f"[[{name.upper().removesuffix('.MD')}]]", {name: "new.md"}) == "[[new]]"


def test_links_that_lead_on_by_themselves_stay() -> None:
    assert rewritten("[[note]] [[NOTE|x]]", {"a/note.md": "b/note.md"}) == "[[note]] [[NOTE|x]]"


def test_a_bare_name_that_would_be_ambiguous_becomes_a_path() -> None:
    assert rewritten("[[old]]", {"old.md": "b/note.md"}, "a/note.md") == "[[b/note]]"


def test_links_to_a_file_whose_name_another_one_takes() -> None:
    # "note" means a/note.md until a file arrives at the root that would take the link over.
    assert rewritten("[[note]]", {"x/other.md": "note.md"}, "a/note.md") == "[[a/note]]"


def test_two_notes_that_change_places() -> None:
    assert rewritten("[[a]] [[b]]", {"a.md": "b.md", "b.md": "a.md"}) == "[[b]] [[a]]"


def test_relative_links_of_the_note_that_moves() -> None:
    text = "[[./near]] [t](../up.md) [t](near.md) [[self#x]] [[#x]]"
    moves = {"a/b/self.md": "c/self.md"}
    assert rewritten(text, moves, "a/b/near.md", "a/up.md", at="a/b/self.md") == (
        "[[../a/b/near]] [t](../a/up.md) [t](near.md) [[self#x]] [[#x]]"
    )


def test_a_folder_that_moves() -> None:
    vault = {
        "in/a.md": "[[in/b]] [[./b]] ![[in/pic.png]]",
        "in/b.md": "",
        "in/pic.png": "",
        "out.md": "[[in/a]] [[b]]",
        "inside.md": "",
    }
    moves = folder_moves(vault, "in", "new")
    assert moves == {"in/a.md": "new/a.md", "in/b.md": "new/b.md", "in/pic.png": "new/pic.png"}
    edits = {edit.destination: edit.content for edit in plan(vault, moves).edits}
    assert edits == {
        "new/a.md": b"[[new/b]] [[./b]] ![[new/pic.png]]",
        "out.md": b"[[new/a]] [[b]]",
    }


def test_a_folder_is_not_moved_into_itself() -> None:
    with pytest.raises(InvalidInput, match="into itself"):
        folder_moves(["a/b.md"], "a", "a/c")


def test_the_plan_says_what_it_saw() -> None:
    vault = {"old.md": "", "src.md": "[[old]] [[old]]", "other.md": "[[src]]"}
    result = plan(vault, {"old.md": "new.md"})
    (edit,) = result.edits
    assert (edit.path, edit.destination, edit.seen_etag) == ("src.md", "src.md", etag_of(b"[[old]] [[old]]"))
    assert (edit.links, result.links, result.moves) == (2, 2, (("old.md", "new.md"),))


@pytest.mark.parametrize("new", ["a[b].md", "a|b.md", "a#b.md", "a%%b.md"])
def test_a_link_that_cannot_say_the_new_name_is_reported_and_left(new: str) -> None:
    result = plan({"old.md": "", "src.md": "x\n[[old]] %% %%"}, {"old.md": new})
    assert result.edits == ()
    (link,) = result.unwritable
    assert (link.path, link.line, link.target, link.new_target) == ("src.md", 2, "old", new.removesuffix(".md"))


def test_moves_that_cannot_be() -> None:
    vault = {"a.md": "", "b.md": "", "c.md": ""}
    with pytest.raises(NoteNotFound):
        plan(vault, {"x.md": "y.md"})
    with pytest.raises(AlreadyExists):
        plan(vault, {"a.md": "b.md"})
    with pytest.raises(Conflict, match="Two files"):
        plan(vault, {"a.md": "d.md", "b.md": "d.md"})
    assert plan(vault, {"a.md": "a.md"}).moves == ()


def test_notes_that_cannot_be_concerned_are_not_parsed() -> None:
    mentions = Mentions(["f/Some Note.md", "g/Other.png"])
    assert mentions.possible_in(b"[[some note]]")
    assert mentions.possible_in(b"[x](SOME%20NOTE.md)")
    assert mentions.possible_in(b"![[OTHER.PNG]]")
    assert not mentions.possible_in(b"some note, other.png")
    assert not mentions.possible_in(b"[[another thing]] some text")


def test_every_character_that_folds_to_ascii_counts_as_a_disguise() -> None:
    mentions = Mentions(["zzz.md"])
    beyond = [chr(code) for code in range(0x80, 0x110000) if not 0xD800 <= code < 0xE000]
    hiding = [character for character in beyond if any(c.isascii() and c.isalnum() for c in fold(character))]
    references = [
        f"&{name}"
        for name, text in html.entities.html5.items()
        if name.endswith(";") and not text.isascii() and any(c.isascii() and c.isalnum() for c in fold(text))
    ]
    for text in [*hiding, *references, "&fjlig;"]:
        assert mentions.possible_in(f"[[{text}]]".encode()), text
