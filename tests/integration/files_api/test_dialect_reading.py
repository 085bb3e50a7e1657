"""Reading through the dialect of Obsidian's Local REST API."""

from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest

from integration.files_api.rows import MARKDOWN, NOTE, PATH, URL, V1, V2, WHOLE_MAP, Row, check, headed, name_of
from weave_nn.services.files.api.local_rest import Relations
from weave_nn.vault.store import etag_of

if TYPE_CHECKING:
    from integration.files_api.conftest import MakeServer, Server

READING = [
    Row("GET", "/vault/", answer={"files": ["Folder/"]}),
    Row("GET", "/vault/Folder/", answer={"files": ["Note.md"]}),
    Row("GET", "/vault/Folder//", answer={"files": ["Note.md"]}),
    Row("GET", "/vault/Missing/", status=404, error=40400),
    Row("GET", "/vault/Folder/Note.md/", status=404, error=40400),
    Row("GET", "/vault/Folder", status=404, error=40400),
    Row("GET", "/vault/Missing.md", status=404, error=40400),
    Row("GET", "/vault/..%2Foutside.md", status=400, error=40021),
    Row("GET", "/vault/%FF.md", status=400, error=40000),
    Row(
        "GET",
        URL,
        answer=NOTE,
        sent={"Content-Type": "text/markdown; charset=utf-8", "ETag": f'"{etag_of(NOTE.encode())}"'},
    ),
    Row("GET", "/vault/Folder%2FNote.md", answer=NOTE),
    Row("GET", URL, {"Range": "bytes=0-2"}, status=206, answer="---"),
    Row("GET", URL, {"If-None-Match": f'"{etag_of(NOTE.encode())}"'}, status=304),
    Row("GET", f"{URL}/heading/Alpha/Sub", answer="\nSub text.\n\n"),
    Row("GET", f"{URL}/heading/Alpha/Sub", {"Target-Scope": "marker"}, answer="Sub"),
    Row("GET", f"{URL}/heading/Alpha/Sub", {"Target-Scope": "markerAndContent"}, answer="# Sub\n\nSub text.\n\n"),
    Row("GET", f"{URL}/heading/TODO%2FDONE", answer="\nSlashed.\n"),
    Row("GET", f"{URL}/heading/TODO/DONE", status=404, error=40400),
    Row("GET", f"{URL}/block/beta-block", answer="Beta text."),
    Row("GET", f"{URL}/frontmatter/priority", answer=3, sent={"Content-Type": "application/json; charset=utf-8"}),
    Row("GET", f"{URL}/frontmatter/tags", answer=["one"]),
    Row("GET", f"{URL}/frontmatter/missing", status=404, error=40400),
    Row("GET", f"{URL}/frontmatter/title", {"Accept": "text/html"}, status=400, error=40054),
    Row("GET", f"{URL}/heading/Alpha", {"Target-Scope": "all"}, status=400, error=40059),
    Row("GET", f"{URL}/heading/Alpha", {"Target": "Alpha"}, status=422, error=42200),
    Row(
        "GET",
        URL,
        V1 | headed(None, "heading", "Alpha::Sub"),
        answer="\nSub text.\n\n",
        sent={"Deprecation": 'true; sunset-version="6.0"'},
    ),
    Row("GET", URL, V1 | headed(None, "frontmatter", "title"), answer="A title"),
    Row("GET", URL, V1 | headed(None, "block", "missing"), status=404, error=40400),
    Row("GET", URL, V1 | headed(None, "heading", None), status=400, error=40055),
    Row("GET", URL, headed(None, "bogus", "Alpha"), status=400, error=40054),
    Row("GET", URL, V2 | headed(None, "heading", "Alpha"), status=400, error=40083),
    Row("GET", URL, {"Markdown-Patch-Version": "3", **WHOLE_MAP}, status=400, error=40082),
    Row(
        "GET",
        URL,
        WHOLE_MAP,
        answer={
            "headings": {"Alpha": {"Sub": {}}, "Beta": {}, "TODO/DONE": {}},
            "blocks": ["beta-block", "table"],
            "frontmatterFields": ["title", "tags", "priority"],
            "version": etag_of(NOTE.encode()),
        },
        sent={"Deprecation": None},
    ),
    Row(
        "GET",
        URL,
        V1 | WHOLE_MAP,
        answer={
            "headings": ["Alpha", "Alpha::Sub", "Beta", "TODO/DONE"],
            "blocks": ["^beta-block", "^table"],
            "frontmatterFields": ["title", "tags", "priority"],
        },
        sent={"Deprecation": 'true; sunset-version="6.0"'},
    ),
]


@pytest.mark.parametrize("row", READING, ids=name_of)
def test_rows(server: "Server", row: Row) -> None:
    check(server, row)


def test_note_json(make_server: "MakeServer") -> None:
    server = make_server(relations=lambda path: Relations(("A.md",), (f"to {path}",), ("Nowhere",)))
    server.write(PATH, NOTE)

    answer = server.client.get(URL, headers={"Accept": "application/vnd.olrapi.note+json"})

    note = answer.json()
    assert answer.headers["Content-Type"] == "application/vnd.olrapi.note+json; charset=utf-8"
    assert (note["path"], note["content"]) == (PATH, NOTE)
    assert note["frontmatter"] == {"title": "A title", "tags": ["one"], "priority": 3}
    assert note["tags"] == ["one", "inline"]
    assert note["stat"]["size"] == len(NOTE.encode())
    assert all(isinstance(note["stat"][name], int) and note["stat"][name] > 1.7e12 for name in ("ctime", "mtime"))
    assert (note["links"], note["backlinks"], note["unresolvedLinks"]) == (["A.md"], [f"to {PATH}"], ["Nowhere"])


def test_without_an_index_a_note_has_no_links(server: "Server") -> None:
    server.write(PATH, "[[A]]\n")

    note = server.client.get(URL, headers={"Accept": "application/vnd.olrapi.note+json"}).json()

    assert (note["links"], note["backlinks"], note["unresolvedLinks"]) == ([], [], [])


def test_html_leaves_the_frontmatter_out_and_may_run_nothing(server: "Server") -> None:
    server.write(PATH, "---\na: 1\n---\n# Title\n<script>alert(1)</script>\n")

    answer = server.client.get(URL, headers={"Accept": "text/html,application/xhtml+xml"})

    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert "<h1>Title</h1>" in answer.text
    assert "a: 1" not in answer.text
    assert "sandbox" in answer.headers["Content-Security-Policy"]


def test_a_folder_may_be_named_like_a_target(server: "Server") -> None:
    server.write("notes/heading/A.md", "a file\n")
    server.write("notes.md", "# A.md\n\na section\n")

    assert server.client.get("/vault/notes/heading/A.md").text == "a file\n"
    assert server.client.get("/vault/notes.md/heading/A.md").text == "\na section\n"
    assert server.client.put("/vault/notes/heading/B.md", content="new\n").status_code == 204
    assert server.read("notes/heading/B.md") == b"new\n"
    assert server.client.get("/vault/notes/heading/").json() == {"files": ["A.md", "B.md"]}


def test_a_name_in_another_unicode_form_makes_no_second_note(server: "Server") -> None:
    composed = "/vault/" + quote("é.md")
    decomposed = "/vault/" + quote("e\u0301.md")

    server.client.put(decomposed, content="one\n")
    server.client.post(composed, content="two\n", headers=MARKDOWN)

    assert list(server.everything().values()) == [b"one\ntwo\n"]
