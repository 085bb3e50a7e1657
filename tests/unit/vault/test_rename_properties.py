"""After a move, every link leads where it led, and nothing else has changed."""

from hypothesis import given
from hypothesis import strategies as st

from weave_nn.vault.links import LinkResolver
from weave_nn.vault.parse import parse
from weave_nn.vault.paths import folder_of
from weave_nn.vault.rename import plan_rename

FOLDERS = st.sampled_from(["", "a/", "b/", "a/b/", "é x/"])
NAMES = st.sampled_from(["n.md", "m.md", "N o.md", "é.md", "it's (1).md", "pic.png", "n.png.md", "日.md", "a&b_c.md"])
PATHS = st.builds(str.__add__, FOLDERS, NAMES)
WRITTEN = st.sampled_from(
    [
        "[[{bare}]]",
        "![[{path}|x]]",
        "[[{stem}#h|x]]",
        "[[/{path}]]",
        "[[./{bare}]]",
        "[[../{stem}]]",
        "[t](<{path}>)",
        "[t]({encoded}#h)",
        "[t](../{encoded})",
        "`[[{stem}]]`",
        "%% [[{stem}]] %%",
        "text {bare}",
        "| [[{stem}\\|y]] |\n|---|\n",
        "\n[r]: <{path}>\n",
    ]
)


@st.composite
def links(draw: st.DrawFn) -> str:
    path = draw(PATHS)
    return draw(WRITTEN).format(
        path=path,
        stem=path.removesuffix(".md"),
        bare=path.rpartition("/")[2].removesuffix(".md"),
        encoded=path.replace(" ", "%20").replace("(", "%28").replace(")", "%29").replace("é", "%C3%A9"),
    )


@st.composite
def notes(draw: st.DrawFn) -> bytes:
    head = draw(st.sampled_from(["", "---\nup: \"[[n]]\"\nl: ['[[it''s (1)]]']\n---\n", "---\nbad: [\n---\n"]))
    return (head + " ; ".join(draw(st.lists(links(), max_size=5)))).encode()


@st.composite
def moves_of(draw: st.DrawFn, paths: list[str]) -> dict[str, str]:
    moved = draw(st.lists(st.sampled_from(paths), min_size=1, max_size=3, unique=True))
    free = {
        f"{folder}{name}"
        for folder in ("", "a/", "c/")
        for name in ("n.md", "new (é) 1.md", "pic.png", "50%.md", "R&D.md")
    }
    targets = draw(st.lists(st.sampled_from(sorted(free - set(paths))), min_size=3, max_size=3, unique=True))
    return dict(zip(moved, targets, strict=False))


@given(st.dictionaries(PATHS, notes(), min_size=1, max_size=6), st.data())
def test_every_link_leads_where_it_led_and_nothing_else_changes(vault: dict[str, bytes], data: st.DataObject) -> None:
    moves = data.draw(moves_of(sorted(vault)))
    plan = plan_rename(vault, moves, vault.__getitem__)
    edited = {edit.path: edit.content for edit in plan.edits}
    before, after = LinkResolver(vault), LinkResolver(moves.get(path, path) for path in vault)
    assert not plan.unwritable
    for path, content in vault.items():
        if not path.endswith(".md"):
            assert path not in edited
            continue
        new_content, new_path = edited.get(path, content), moves.get(path, path)
        old_links, new_links = parse(content).links, parse(new_content).links
        rest, new_rest, position, new_position = b"", b"", 0, 0
        for old, new in zip(old_links, new_links, strict=True):
            target = before.resolve(old.target, path) if old.target else None
            if target is not None:
                assert after.resolve(new.target, new_path) == moves.get(target, target), (old, folder_of(path))
            else:
                assert old.target == new.target
            rest += content[position : old.target_start]
            new_rest += new_content[new_position : new.target_start]
            position, new_position = old.target_end, new.target_end
        assert rest + content[position:] == new_rest + new_content[new_position:]
