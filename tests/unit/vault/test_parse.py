import os
import time
from pathlib import Path

import pytest

from weave_nn.vault.parse import Checkbox, Link, LinkKind, Note, body_text, parse


def summary(note: Note) -> list[str]:
    """The links of a note, as short texts: what a table of cases can be read with."""
    marks = {LinkKind.EMBED: "!", LinkKind.IMAGE: "!", LinkKind.MARKDOWN: "m:", LinkKind.REFERENCE: "r:"}
    return [
        marks.get(link.kind, "") + link.target + link.subpath + ("" if link.alias is None else f"|{link.alias}")
        for link in note.links
    ]


@pytest.mark.parametrize(
    ("text", "links"),
    [
        # Wikilinks and embeds.
        ("[[a]]", ["a"]),
        ("[[folder/a b]]", ["folder/a b"]),
        ("[[a#b|c]]", ["a#b|c"]),
        ("[[a#H1#H2]]", ["a#H1#H2"]),
        ("[[a#^block]]", ["a#^block"]),
        ("[[#here]]", ["#here"]),
        ("[[a|]]", ["a|"]),
        ("[[ a ]]", ["a"]),
        ("![[img.png|100]]", ["!img.png|100"]),
        ("![[img.png]][[a]]", ["!img.png", "a"]),
        ("[[a|b|c]]", ["a|b|c"]),
        ("[[a|b [c] d]]", ["a|b [c] d"]),
        ("[[a|`code` <b>x</b>]]", ["a|`code` <b>x</b>"]),
        ("[[]] [[ ]] [[|a]]", []),
        ("[[a\nb]]", []),
        ("[[a [b]]", []),
        ("[[[a]]]", ["a"]),
        ("**[[a]]** _[[b]]_ ~~[[c]]~~", ["a", "b", "c"]),
        ("# [[a]]\n\n> [[b]]\n\n- [[c]]\n  - [[d]]\n\n[^1]: [[e]]", ["a", "b", "c", "d", "e"]),
        ("日本[[語|ご]]", ["語|ご"]),
        # Escapes.
        (r"\[[a]]", []),
        (r"\\[[a]]", ["a"]),
        (r"\![[a]]", ["a"]),
        (r"[\[a]]", []),
        # Tables.
        ("| x |\n|---|\n| [[a\\|b]] [[c#d\\|e]] |", ["a|b", "c#d|e"]),
        # Markdown links.
        ("[t](path%20x.md#h)", ["m:path x.md#h|t"]),
        ("[t](<path x.md>)", ["m:path x.md|t"]),
        ("[t](a.md \"title\") [t](b.md 't') [t](c.md (t))", ["m:a.md|t", "m:b.md|t", "m:c.md|t"]),
        ("![alt|100](a.png)", ["!a.png|alt|100"]),
        ("[t](a(b).md)", ["m:a(b).md|t"]),
        (r"[t](a\_b&amp;c.md)", ["m:a_b&c.md|t"]),
        ("[t](a%23b.md#c%20d)", ["m:a#b.md#c d|t"]),
        ("[t](#h)", ["m:#h|t"]),
        ("[t]()", []),
        ("[![i](x.png)](n.md)", ["m:n.md|![i](x.png)", "!x.png|i"]),
        ("[a `]` b](c.md)", ["m:c.md|a `]` b"]),
        ("[t](a b.md)", []),
        ("[r]: ref%20x.md#q 't'\n[s]: <a b.md>", ["r:ref x.md#q|r", "r:a b.md|s"]),
        # What leads elsewhere.
        ("[t](https://x.y/z) <https://x.y> https://x.y [m](mailto:a@b.c) [o](obsidian://open) [p](//x/y)", []),
        ("[r]: https://x.y", []),
        ("[t](https://x.y/[[a]])", []),
        # What is hidden.
        ("`[[a]]` ``[[b]] ` `` [[c]]", ["c"]),
        ("`[[a]]\n[[b]]`", []),
        ("```\n[[a]]\n```\n[[b]]", ["b"]),
        ("~~~\n```\n[[a]]\n~~~\n[[b]]", ["b"]),
        ("> ```\n> [[a]]\n> ```\n\n[[b]]", ["b"]),
        ("- x\n  ```\n  [[a]]\n  ```\n- [[b]]", ["b"]),
        ("```\n[[never closed]]", []),
        ("x\n\n    [[indented]]\n\n[[b]]", ["b"]),
        ("- x\n    [[lazy]]", ["lazy"]),
        ("- x\n\n    [[child]]\n\n        [[code]]", ["child"]),
        ("%% [[a]] %% [[b]]", ["b"]),
        ("%%\n[[a]]\n\n[x](y.md)\n%%\n[[b]]", ["b"]),
        ("%% never closed\n\n[[a]]", []),
        ("100 %% never closed [[a]]", ["a"]),
        ("`%%` [[a]] `%%`", ["a"]),
        ("%% it`s [[a]] %% [[b]] `[[c]]`", ["b"]),
        ("%%\n```\n%%\n[[a]]", ["a"]),
        ("$[[a]]$ [[b]]", ["b"]),
        ("$$\n[[a]]\n\n[[b]]\n$$\n[[c]]", ["c"]),
        ("costs $5 [[a]] or US$10", ["a"]),
        ("<!-- [[a]]\n\n[[b]] --> \n\n[[c]]", ["c"]),
        ("x <!-- [[a]] --> [[b]]", ["b"]),
        ("<div>\n[[a]]\n</div>\n\n[[b]]", ["b"]),
        ("<b title='[[a]]'>[[b]]</b>", ["b"]),
        # Frontmatter.
        ('---\nup: "[[a#h|b]]"\n---\n[[c]]', ["a#h|b", "c"]),
        ("---\nup: ['[[it''s]]', x]\n---", ["it's"]),
        ('---\nup: "[[a\\u00e9]]"\n---', ["aé"]),
        ('---\ndeep:\n  er:\n    - "[[a]]"\n---', ["a"]),
        ("---\nlist in a list: [[a]]\nx: y # [[b]]\n---", []),
        ("---\nbroken: [\nup: '[[a]]'\n---\n[[b]]", ["b"]),
    ],
)
def test_links_are_found_where_obsidian_sees_them(text: str, links: list[str]) -> None:
    for content in (text.encode(), text.replace("\n", "\r\n").encode()):
        assert summary(parse(content)) == links


@pytest.mark.parametrize(
    ("text", "tags"),
    [
        ("#a #b/c, #d.", ["a", "b/c", "d"]),
        ("#1984 #y1984 #2024/01", ["y1984", "2024/01"]),
        ("a#b (#c) #", []),
        (r"\#a #b\#c", ["b"]),
        ("#tag-with_all/0f", ["tag-with_all/0f"]),
        ("#日本語 #über #🚀/moon\u3000#wide", ["日本語", "über", "🚀/moon", "wide"]),
        ("#a\u2009b #c\u00a0d", ["a", "c"]),
        ("#a/", ["a"]),
        ("# heading\n## #in-heading\n#nospace", ["in-heading", "nospace"]),
        ("`#a` %%#b%% %% #c %% $x #d$ [x #e](https://x) [[x| #f]] [x #g](y.md)", []),
        ("[x](<#a b.md>) <https://x/ #b>", ["b"]),
        ("> [!note] #a\n> - [ ] #b", ["a", "b"]),
        ("| #a | x |\n|---|---|\n| #b | |", ["a", "b"]),
        ("```\n#a\n```\n<!-- #b -->", []),
    ],
)
def test_tags_in_the_text(text: str, tags: list[str]) -> None:
    content = text.encode()
    found = parse(content).tags
    assert [tag.name for tag in found] == tags
    assert [content[tag.start : tag.end].decode() for tag in found] == [f"#{name}" for name in tags]


@pytest.mark.parametrize(
    ("yaml", "tags"),
    [
        ("tags: [a/b, '#c', 2024]", ("a/b", "c")),
        ("tags: a b, c", ("a", "b", "c")),
        ("tag: a\nTags:\n- b", ("a", "b")),
        ("tags:", ()),
        ("tags: {a: b}", ()),
    ],
)
def test_tags_in_the_frontmatter(yaml: str, tags: tuple[str, ...]) -> None:
    note = parse(f"---\n{yaml}\n---\n#A #z".encode())
    assert note.frontmatter_tags == tags
    assert note.tag_names == (*tags, *(name for name in ("A", "z") if name.lower() not in tags))


def test_headings() -> None:
    text = "# One ##\n## C#\nSetext\nof two\n===\n###### Six\n####### Seven\n> # Quoted\n\n- # Listed\n\n#\n"
    content = text.encode()
    found = parse(content).headings
    assert [(heading.level, heading.text, heading.line) for heading in found] == [
        (1, "One", 1),
        (2, "C#", 2),
        (1, "Setext of two", 3),
        (6, "Six", 6),
        (1, "", 12),
    ]
    assert content[found[2].start : found[2].end] == b"Setext\nof two\n==="


def test_a_heading_in_a_comment_is_none() -> None:
    assert parse(b"%%\n# No\n%%\n\n# Yes").title == "Yes"


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("---\ntitle: A\n---\n# B", "A"),
        ("---\ntitle: ''\n---\n## B\n# C", "C"),
        ("\ufeff# B", "B"),
        ("## B", None),
        ("", None),
    ],
)
def test_title(text: str, title: str | None) -> None:
    assert parse(text.encode()).title == title


def test_aliases() -> None:
    assert parse(b"---\naliases: [a, b c]\nalias: d\n---").aliases == ("a", "b c", "d")


@pytest.mark.parametrize(
    ("text", "blocks"),
    [
        ("para\nmore ^a", {"a": "para\nmore ^a"}),
        ("x ^a\nmore", {}),
        ("- x ^a\n  - y ^b\n- z", {"a": "- x ^a", "b": "- y ^b"}),
        ("- x\n\n\t- y ^a\n\t- z\n\n^b", {"a": "- y ^a", "b": "- x\n\n\t- y ^a\n\t- z"}),
        ("- x ^a\n\n  more\n\n- y", {"a": "- x ^a"}),
        ("> quote\n> more\n\n^a\n\nx", {"a": "> quote\n> more"}),
        ("> quote ^a", {"a": "quote ^a"}),
        ("| a |\n|---|\n| b |\n\n^a", {"a": "| a |\n|---|\n| b |"}),
        ("| a |\n|---|\n| b |\n^a", {"a": "| a |\n|---|\n| b |"}),
        ("```\ncode ^no\n```\n\n^a", {"a": "```\ncode ^no\n```"}),
        ("# H ^a", {"a": "# H ^a"}),
        ("- x\n- y\n\n^a", {"a": "- x\n- y"}),
        ("^a", {"a": "^a"}),
        ("x^a\n\nx ^a b\n\n`x ^c`\n\n%% x ^d\n%%", {}),
        ("- [ ] task ^a-1", {"a-1": "- [ ] task ^a-1"}),
    ],
)
def test_block_ids(text: str, blocks: dict[str, str]) -> None:
    for newline in ("\n", "\r\n"):
        content = text.replace("\n", newline).encode()
        found = parse(content).blocks
        assert {block.id: content[block.start : block.end].decode() for block in found} == {
            name: block.replace("\n", newline) for name, block in blocks.items()
        }
        assert all(content[block.id_start : block.id_end].decode() == f"^{block.id}" for block in found)


@pytest.mark.parametrize(
    ("text", "checkboxes"),
    [
        ("- [ ] a\n* [x] b\n+ [/] c\n1. [-] d\n2) [>] e", ["- [ ] a", "* [x] b", "+ [/] c", "1. [-] d", "2) [>] e"]),
        ("- a\n\t- [x] b\n> - [!] c\n> > - [?] d", ["\t- [x] b", "> - [!] c", "> > - [?] d"]),
        ("- [é] a\n- [🚀] b", ["- [é] a", "- [🚀] b"]),
        ("- [ ]\n- [x]", ["- [ ]", "- [x]"]),
        ("- [x](y.md)\n- [xy] z\n- [] z\n-[ ] z\n[ ] z", []),
        ("```\n- [ ] a\n```\n\n    - [ ] b\n\n%%\n- [ ] c\n%%", []),
        ("> [!todo]\n> - [ ] a", ["> - [ ] a"]),
    ],
)
def test_checkboxes(text: str, checkboxes: list[str]) -> None:
    for content in (text.encode(), text.replace("\n", "\r\n").encode()):
        found = parse(content).checkboxes
        assert [content[box.start : box.end].decode() for box in found] == checkboxes
        for box in found:
            assert content[box.status_start : box.status_end].decode() == box.status
            assert content[box.text_start : box.text_end] == content[box.status_end + 1 : box.end].lstrip()


def test_the_parts_of_a_checkbox() -> None:
    assert parse(b"x\n> 3) [-] done \r\n").checkboxes == (
        Checkbox(
            line=2,
            indent="> ",
            marker="3)",
            status="-",
            status_start=8,
            status_end=9,
            text_start=11,
            text_end=16,
            start=2,
            end=16,
        ),
    )


def test_positions_are_bytes_of_the_content_as_given() -> None:
    content = "\ufeff---\r\nüp: '[[ä]]'\r\n---\r\n\r\né [[b]] #ü\r\n".encode()
    first, second = parse(content).links
    assert first == Link(LinkKind.WIKILINK, "ä", "", None, 14, 20, 16, 18, in_frontmatter=True, line=2)
    assert (second.line, content[second.start : second.end]) == (5, b"[[b]]")
    assert content[second.target_start : second.target_end] == b"b"
    assert parse(content).tags[0].line == 5


def test_what_is_wrong_is_reported_and_the_rest_is_read() -> None:
    note = parse(b"---\na: [\n---\nok [[a]]\n\xff\xfe bad [[b\xff]]\n")
    assert summary(note) == ["a", "b?"]
    assert [problem.line for problem in note.problems][1] == 5
    assert "not valid UTF-8" in note.problems[1].message
    assert "not valid YAML" in note.problems[0].message


def test_body_text() -> None:
    content = "---\na: b\n---\ntext é".encode()
    assert body_text(content, parse(content)) == "text é"


HUGE = 150_000


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"x [[a]] #t " * (HUGE // 11), id="one long line"),
        pytest.param(b"[[a|" * (HUGE // 4), id="unclosed wikilinks with an alias"),
        pytest.param(b"[[" * (HUGE // 2), id="opening brackets"),
        pytest.param(b"![" * 20_000 + b"](a.png)" * 20_000, id="nested images"),
        pytest.param(b"[a](" * (HUGE // 4), id="unclosed destinations"),
        pytest.param(b"[a](<b " * (HUGE // 7), id="unclosed angle brackets"),
        pytest.param(b'[a](b "' * (HUGE // 7), id="unclosed titles"),
        pytest.param(b">" * HUGE, id="deep quotes"),
        pytest.param(b"\n".join(b" " * depth + b"- [ ] a ^b" for depth in range(0, 1500, 2)), id="deep lists"),
        pytest.param(b"%% ` " * (HUGE // 5), id="comments that tear code"),
        pytest.param(b"$$ $1 $x" * (HUGE // 8), id="prices"),
        pytest.param(b"a ^b\n\n" * (HUGE // 6), id="block ids"),
        pytest.param(b"^b\n" * (HUGE // 3), id="block ids in one paragraph"),
        pytest.param(b"> a ^b\n\n^c\n\n" * (HUGE // 12), id="block ids after quotes"),
        pytest.param(b"[a]:\n" * (HUGE // 5), id="definitions without destinations"),
        pytest.param(b"[a: b]\n" * (HUGE // 7) + b"]:", id="no definitions"),
        pytest.param(b"\\" * HUGE + b"[[a]]", id="backslashes"),
        pytest.param(b"\\[[" * (HUGE // 3), id="escaped brackets"),
        pytest.param(b"\0[[a]]\0" * (HUGE // 7), id="NUL"),
        pytest.param(b"\xff[[a\xff]]" * (HUGE // 7), id="invalid UTF-8"),
        pytest.param(b"#" * HUGE, id="hashes"),
        pytest.param(b"|a" * 3000 + b"\n" + b"|-" * 3000 + b"\n" + b"|b\n" * 3000, id="a wide table"),
    ],
)
def test_hostile_notes_take_linear_time(content: bytes) -> None:
    started = time.process_time()
    parse(content)
    # Half a second on a slow machine; minutes, if anything were quadratic.
    assert time.process_time() - started < 10


def test_ten_thousand_links() -> None:
    note = parse(b"".join(b"- [[note %d#h|alias]] #tag%d\n" % (number, number) for number in range(10_000)))
    assert (len(note.links), len(note.tags), note.links[-1].line) == (10_000, 10_000, 10_000)


@pytest.mark.skipif("WEAVE_BENCH_VAULT" not in os.environ, reason="WEAVE_BENCH_VAULT names no vault")
def test_a_real_vault_is_read() -> None:
    for path in Path(os.environ["WEAVE_BENCH_VAULT"]).rglob("*.md"):
        content = path.read_bytes()
        for link in parse(content).links:
            assert content[link.start : link.end].endswith((b"]]", b")")) or link.kind is LinkKind.REFERENCE
