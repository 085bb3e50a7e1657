"""Reading through the service's own API, and the names that a URL can hold."""

import unicodedata
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

from integration.files_api.rows import tag
from weave_nn.vault.store import etag_of

if TYPE_CHECKING:
    from integration.files_api.conftest import Server

NOTE = "---\ntags: [a/b]\nup: '[[Home]]'\n---\n# Plan\n\nText #c [[Other|o]].\n\n## Next\n\n- [ ] one ^id1\n"


NAMES = [
    "Note.md",
    "Folder/With spaces/Deep note.md",
    "100% sure?.md",
    "C# & F#; a+b=c, [x] (y) 'z'.md",
    "Résumé.md",
    "日記/二〇二六年.md",
    "🎉 party 👩‍👩‍👧.md",
    "heading/block/frontmatter.md",
    "move",
    "-.md",
    "a%2Fb.md",
    "a%252Fb.md",
    "x" * 200 + ".md",
]


@pytest.mark.parametrize("path", NAMES)
def test_any_name_makes_the_round_trip(server: "Server", path: str) -> None:
    url = f"/files/{quote(path)}"

    made = server.client.put(url, content=b"one\n")
    read = server.client.get(url)

    assert (made.status_code, made.json()["path"], made.headers["Location"]) == (201, path, url)
    assert made.headers["ETag"] == read.headers["ETag"] == tag(b"one\n")
    assert (read.status_code, read.content) == (200, b"one\n")
    assert server.read(path) == b"one\n"
    assert server.client.get(f"/files/.note/{quote(path)}").json()["path"] == path


def test_a_name_in_another_unicode_form_is_the_same_note(server: "Server") -> None:
    decomposed, composed = unicodedata.normalize("NFD", "Ärger.md"), "Ärger.md"
    server.write(decomposed, "old\n")

    assert server.client.get(f"/files/{quote(composed)}").content == b"old\n"
    assert server.client.put(f"/files/{quote(composed)}", content=b"new\n").status_code == 200
    assert server.client.get(f"/files/{quote(decomposed)}").content == b"new\n"
    assert len(server.everything()) == 1


@pytest.mark.parametrize(
    "url",
    [
        "/files/%2E%2E/outside.md",
        "/files/a/%2E%2E/%2E%2E/outside.md",
        "/files/%2Fetc/passwd",
        "/files//etc/passwd",
        "/files/C%3A%5Cx.md",
        "/files/a%00b.md",
        "/files/.obsidian/app.json",
        "/files/.git/config",
        "/files/.GIT/config",
        "/files/NUL",
        "/files/%FF.md",
        "/files/",
    ],
)
def test_what_is_no_vault_path_is_refused_for_every_verb(server: "Server", url: str) -> None:
    server.write("note.md", "x")
    server.write(".obsidian/app.json", "{}")
    before = server.everything()

    for method in ("GET", "PUT", "POST", "PATCH", "DELETE"):
        body = b'{"targetType":"heading","target":[],"operation":"append","content":"x"}'
        answer = server.client.request(method, url, content=None if method in {"GET", "DELETE"} else body)
        assert answer.status_code == 400, (method, answer.text)
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert answer.json()["detail"]
    assert server.everything() == before


def test_a_link_out_of_the_vault_looks_missing(server: "Server", tmp_path: Any) -> None:
    (tmp_path / "secret.md").write_text("secret")
    (server.root / "door.md").symlink_to(tmp_path / "secret.md")
    (server.root / "way").symlink_to(tmp_path)

    assert server.client.get("/files/door.md").status_code == 404
    assert server.client.get("/files/way/secret.md").status_code == 404
    assert server.client.put("/files/way/secret.md", content=b"x").status_code == 404
    assert (tmp_path / "secret.md").read_text() == "secret"


def test_a_read_says_what_and_when(server: "Server") -> None:
    content = server.write("Plan.md", NOTE)

    answer = server.client.get("/files/Plan.md")

    assert answer.content == content
    assert answer.headers["Content-Type"] == "text/markdown; charset=utf-8"
    assert answer.headers["ETag"] == tag(content)
    assert answer.headers["Last-Modified"].endswith("GMT")
    assert answer.headers["Content-Length"] == str(len(content))
    head = server.client.head("/files/Plan.md")
    assert (head.status_code, head.content, head.headers["ETag"]) == (200, b"", tag(content))
    assert server.client.get("/files/Plan.md", headers={"If-None-Match": tag(content)}).status_code == 304
    assert server.client.get("/files/Plan.md", headers={"If-None-Match": '"other"'}).status_code == 200


@pytest.mark.parametrize(
    ("name", "media_type"),
    [
        ("a.png", "image/png"),
        ("a.PDF", "application/pdf"),
        ("a.canvas", "application/json"),
        ("a.webp", "image/webp"),
        ("a.svg", "image/svg+xml"),
        ("a.unknown", "application/octet-stream"),
        ("a.tar.gz", "application/octet-stream"),
        ("noextension", "application/octet-stream"),
    ],
)
def test_an_attachment_has_the_type_of_its_name(server: "Server", name: str, media_type: str) -> None:
    server.write(name, b"\x00\xff")

    assert server.client.get(f"/files/{name}").headers["Content-Type"] == media_type


@pytest.mark.parametrize(
    ("asked", "status", "content", "content_range"),
    [
        ("bytes=0-3", 206, b"0123", "bytes 0-3/10"),
        ("bytes=5-", 206, b"56789", "bytes 5-9/10"),
        ("bytes=-2", 206, b"89", "bytes 8-9/10"),
        ("bytes=2-100", 206, b"23456789", "bytes 2-9/10"),
        ("bytes=10-", 416, None, "bytes */10"),
        ("bytes=0-1,3-4", 200, b"0123456789", None),
        ("lines=1-2", 200, b"0123456789", None),
    ],
)
def test_ranges(server: "Server", asked: str, status: int, content: bytes | None, content_range: str | None) -> None:
    server.write("digits.bin", b"0123456789")

    answer = server.client.get("/files/digits.bin", headers={"Range": asked})

    assert (answer.status_code, answer.headers.get("Content-Range")) == (status, content_range)
    assert content is None or answer.content == content


def test_a_part_is_only_sent_of_the_version_that_the_client_has(server: "Server") -> None:
    content = server.write("digits.bin", b"0123456789")

    same = server.client.get("/files/digits.bin", headers={"Range": "bytes=0-3", "If-Range": tag(content)})
    other = server.client.get("/files/digits.bin", headers={"Range": "bytes=0-3", "If-Range": '"old"'})

    assert (same.status_code, same.content) == (206, b"0123")
    assert (other.status_code, other.content) == (200, content)


def test_a_note_is_shown_with_what_it_says_of_itself(server: "Server") -> None:
    content = server.write("Plan.md", NOTE)

    view = server.client.get("/files/.note/Plan.md")

    note = view.json()
    assert view.headers["ETag"] == tag(content)
    assert (note["path"], note["etag"], note["content"]) == ("Plan.md", etag_of(content), NOTE)
    assert note["frontmatter"] == {"tags": ["a/b"], "up": "[[Home]]"}
    assert note["tags"] == ["a/b", "c"]
    assert [(link["target"], link["alias"]) for link in note["links"]] == [("Home", None), ("Other", "o")]
    assert [(heading["level"], heading["text"]) for heading in note["headings"]] == [(1, "Plan"), (2, "Next")]
    assert [block["id"] for block in note["blocks"]] == ["id1"]
    assert [box["status"] for box in note["checkboxes"]] == [" "]
    unchanged = server.client.get("/files/.note/Plan.md", headers={"If-None-Match": tag(content)})
    assert unchanged.status_code == 304


@pytest.mark.parametrize(
    "content",
    [b"---\na: [1\n---\nx", b"\xff\xfe broken", b"---\na: .nan\nb: 1e999\n---\n", b'---\na: "\\ud800"\n---\n', b""],
)
def test_a_broken_note_is_shown_all_the_same(server: "Server", content: bytes) -> None:
    server.write("Broken.md", content)

    assert server.client.get("/files/.note/Broken.md").status_code == 200
    note_json = {"Accept": "application/vnd.olrapi.note+json"}
    assert server.client.get("/vault/Broken.md", headers=note_json).status_code == 200
    assert server.client.get("/files/Broken.md").content == content


def test_listing_goes_on_page_by_page(server: "Server") -> None:
    for number in range(7):
        server.write(f"Folder/{number}.md", "x" * number)
    server.write("Other.md", "x")
    server.notice()

    found: list[str] = []
    params: dict[str, Any] = {"glob": "Folder/*.md", "sort": "-size", "limit": 3}
    while True:
        page = server.client.get("/files", params=params).json()
        found += [file["path"] for file in page["files"]]
        if page["next_cursor"] is None:
            break
        params["cursor"] = page["next_cursor"]

    assert found == [f"Folder/{number}.md" for number in range(6, -1, -1)]
    assert server.client.get("/files", params={"limit": 0}).status_code == 422
    assert server.client.get("/files", params={"cursor": "nonsense"}).status_code == 400
    assert server.client.get("/files/.folders/").json()["folders"] == ["Folder"]
    assert len(server.client.get("/files/.folders/Folder").json()["files"]) == 7
    assert server.client.get("/files/.stat/Other.md").json()["size"] == 1
    assert server.client.get("/files/Folder").status_code == 409
