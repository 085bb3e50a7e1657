import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weave_nn.vault.links import LinkResolver, LinkStyle, fold, relative_path

VAULT = [
    "Home.md",
    "note.md",
    "a/note.md",
    "a/b/note.md",
    "long folder/only here.md",
    "a/img.png",
    "b/img.png",
    "zz/deep/other.md",
    "y/other.md",
    "x/other.md",
    "a/b.c.md",
    "a/plan.canvas",
    "caf\u00e9.md",
    "\u039f\u0394\u039f\u03a3.md",
    "picture.png.md",
    "pics/picture.png",
]


@pytest.fixture(scope="module")
def resolver() -> LinkResolver:
    return LinkResolver(VAULT)


@pytest.mark.parametrize(
    ("target", "source", "path"),
    [
        # A path from the root comes first, then the source's own folder, then the shortest path, then its characters.
        ("note", "a/b/x.md", "note.md"),
        ("a/note", "x.md", "a/note.md"),
        ("b/note", "a/x.md", "a/b/note.md"),
        ("b/note", "x.md", "a/b/note.md"),
        ("other", "zz/deep/x.md", "zz/deep/other.md"),
        ("other", "zz/x.md", "x/other.md"),
        ("deep/other", "x.md", "zz/deep/other.md"),
        ("eep/other", "x.md", None),
        ("img.png", "b/x.md", "b/img.png"),
        ("img.png", "x.md", "a/img.png"),
        # Notes do without their extension, other files need it; a whole name comes before one without ".md".
        ("only here", "x.md", "long folder/only here.md"),
        ("only here.md", "x.md", "long folder/only here.md"),
        ("b.c", "x.md", "a/b.c.md"),
        ("img", "x.md", None),
        ("plan", "x.md", None),
        ("plan.canvas", "x.md", "a/plan.canvas"),
        ("pics/picture.png", "x.md", "pics/picture.png"),
        ("picture.png", "pics/x.md", "picture.png.md"),
        # Case, Unicode form and kind of blank do not matter.
        ("NOTE", "x.md", "note.md"),
        ("A/Note.MD", "x.md", "a/note.md"),
        ("cafe\u0301", "x.md", "caf\u00e9.md"),
        ("CAF\u00c9", "x.md", "caf\u00e9.md"),
        ("only\u00a0here", "x.md", "long folder/only here.md"),
        ("\u03bf\u03b4\u03bf\u03c2", "x.md", "\u039f\u0394\u039f\u03a3.md"),
        ("\u03bf\u03b4\u03bf\u03c3", "x.md", "\u039f\u0394\u039f\u03a3.md"),
        # Relative and absolute links mean one place.
        ("./note", "a/x.md", "a/note.md"),
        ("../note", "a/b/x.md", "a/note.md"),
        ("../../Home", "a/b/x.md", "Home.md"),
        ("../../../Home", "a/b/x.md", None),
        ("./only here", "x.md", None),
        ("/a/note", "a/b/x.md", "a/note.md"),
        ("/only here", "x.md", None),
        ("a//note", "x.md", "a/note.md"),
        (" note ", "x.md", "note.md"),
        ("", "a/x.md", "a/x.md"),
        ("nothing", "x.md", None),
        ("..", "x.md", None),
    ],
)
def test_where_a_link_leads(resolver: LinkResolver, target: str, source: str, path: str | None) -> None:
    assert resolver.resolve(target, source) == path


def test_spelling_decides_among_names_that_differ_by_case() -> None:
    resolver = LinkResolver(["a/Note.md", "a/note.md", "Root.md", "root.md"])
    assert [resolver.resolve(text, "x.md") for text in ("Note", "note", "NOTE")] == [
        "a/Note.md",
        "a/note.md",
        "a/Note.md",
    ]
    assert [resolver.resolve(text, "x.md") for text in ("Root", "root")] == ["Root.md", "root.md"]


def test_files_come_and_go() -> None:
    resolver = LinkResolver(["b/n.md"])
    resolver.add("a/n.md")
    resolver.add("a/n.md")
    assert resolver.resolve("n", "x.md") == "a/n.md"
    resolver.remove("a/n.md")
    resolver.remove("a/n.md")
    assert resolver.resolve("n", "x.md") == "b/n.md"
    resolver.remove("b/n.md")
    assert resolver.resolve("n", "x.md") is None


@pytest.mark.parametrize(
    ("path", "source", "style", "text"),
    [
        ("long folder/only here.md", "x.md", LinkStyle.SHORTEST, "only here"),
        ("a/note.md", "a/x.md", LinkStyle.SHORTEST, "a/note"),
        ("note.md", "a/x.md", LinkStyle.SHORTEST, "note"),
        ("b/img.png", "x.md", LinkStyle.SHORTEST, "b/img.png"),
        ("pics/picture.png", "x.md", LinkStyle.SHORTEST, "pics/picture.png"),
        ("a/b/note.md", "a/x.md", LinkStyle.RELATIVE, "b/note"),
        ("a/note.md", "a/b/x.md", LinkStyle.RELATIVE, "../note"),
        ("a/note.md", "a/x.md", LinkStyle.RELATIVE, "./note"),
        ("y/other.md", "a/b/x.md", LinkStyle.RELATIVE, "../../y/other"),
        ("a/b/note.md", "a/b/x.md", LinkStyle.ABSOLUTE, "a/b/note"),
    ],
)
def test_how_a_link_is_written(resolver: LinkResolver, path: str, source: str, style: LinkStyle, text: str) -> None:
    assert resolver.shortest_link(path, source, style) == text
    assert resolver.resolve(text, source) == path


def test_markdown_links_keep_the_suffix(resolver: LinkResolver) -> None:
    assert resolver.shortest_link("y/other.md", "y/x.md", LinkStyle.RELATIVE, with_suffix=True) == "other.md"


def test_a_relative_path_climbs_no_higher_than_it_must() -> None:
    assert relative_path("a/b/c.md", "a/x/y.md") == "../b/c.md"
    assert relative_path("a", "a/x.md") == "../a"


NAMES = st.sampled_from(["n.md", "N.md", "n", "m.png", "n.md.md", "caf\u00e9.md", "cafe\u0301.md"])
FOLDERS = st.lists(st.sampled_from(["a", "b", "n", "A"]), max_size=3)
PATHS = st.builds(lambda folders, name: "/".join([*folders, name]), FOLDERS, NAMES)


@given(st.sets(PATHS, min_size=1, max_size=8), PATHS, st.sampled_from(LinkStyle))
def test_a_written_link_leads_back(paths: set[str], source: str, style: LinkStyle) -> None:
    paths = {unicodedata.normalize("NFC", path) for path in paths}
    resolver = LinkResolver(paths)
    for path in paths:
        assert resolver.resolve(resolver.shortest_link(path, source, style), source) == path


@given(st.sets(PATHS, max_size=8), st.sets(PATHS, max_size=8), PATHS, PATHS)
def test_added_and_removed_is_as_if_built_anew(first: set[str], second: set[str], target: str, source: str) -> None:
    resolver = LinkResolver(first)
    for path in second - first:
        resolver.add(path)
    for path in first - second:
        resolver.remove(path)
    assert resolver.resolve(target, source) == LinkResolver(second).resolve(target, source)


def test_folding_is_the_same_for_parts_and_wholes() -> None:
    for code in range(0xA0, 0x3000):
        character = chr(code)
        if not unicodedata.combining(character):
            assert fold(f"x{character}.md") == fold(f"x{character}") + ".md"
