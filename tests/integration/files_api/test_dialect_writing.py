"""Writing, moving and deleting through the dialect of Obsidian's Local REST API."""

from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest

from integration.files_api.rows import JSON, MARKDOWN, PATH, URL, V1, V2, Row, check, headed, name_of

if TYPE_CHECKING:
    from integration.files_api.conftest import Server

WRITING = [
    Row("PUT", URL, MARKDOWN, "new\n", status=204, there=("new\n",), gone=("Alpha",)),
    Row("PUT", URL, {}, b"\x00\xff", status=204),
    Row("PUT", "/vault/Folder/", MARKDOWN, "x", status=405, error=40510, unchanged=True),
    Row("PUT", "/vault/Folder", MARKDOWN, "x", status=405, error=40510, unchanged=True),
    Row("PUT", "/vault/.obsidian/app.json", JSON, "{}", status=400, error=40021, unchanged=True),
    Row("PUT", URL, MARKDOWN | {"If-Match": '"stale"'}, "x", status=412, error=41200, unchanged=True),
    Row(
        "PUT",
        f"{URL}/heading/Alpha/Sub",
        MARKDOWN,
        "Replaced.",
        there=("## Sub\n\nReplaced.\n\n# Beta",),
        gone=("Sub text",),
    ),
    Row("PUT", f"{URL}/heading/Alpha/New", MARKDOWN, "Made.", there=("## New\nMade.\n\n# Beta",)),
    Row("PUT", f"{URL}/heading/Alpha", JSON, '["x"]', status=400, error=40081, unchanged=True),
    Row("PUT", f"{URL}/frontmatter/priority", JSON, "[1, 2]", there=("priority:\n  - 1\n  - 2\n---",)),
    Row("PUT", f"{URL}/frontmatter/fresh", MARKDOWN, "text", there=("fresh: text\n---",)),
    Row(
        "PUT",
        f"{URL}/block/table",
        JSON,
        '[["new A", "new | B"]]',
        there=("| new A | new \\| B |\n\n^table",),
        gone=("1 A",),
    ),
    Row(
        "PUT",
        URL,
        MARKDOWN | V1 | headed(None, "heading", "Beta"),
        "x\n",
        there=("# Beta\nx\n# TODO",),
        sent={"Deprecation": 'true; sunset-version="6.0"'},
    ),
    Row("PUT", URL, MARKDOWN | V2 | headed(None, "heading", "Beta"), "x\n", status=400, error=40083, unchanged=True),
    Row(
        "PUT",
        f"{URL}/heading/Beta",
        MARKDOWN | {"Target-Type": "heading"},
        "x",
        status=422,
        error=42200,
        unchanged=True,
    ),
    Row("PUT", f"{URL}/heading/Beta", {"Content-Type": "image/png"}, "x", status=400, error=40012, unchanged=True),
    Row("PUT", f"{URL}/heading/Beta", {}, "x", status=400, error=40011, unchanged=True),
    Row("PUT", f"{URL}/heading/Beta", MARKDOWN, b"\xff", status=400, error=40015, unchanged=True),
    Row("PUT", "/vault/Folder/Missing.md/heading/Beta", MARKDOWN, "x", status=404, error=40400, unchanged=True),
    Row("POST", URL, MARKDOWN, "appended", status=204, there=("Slashed.\nappended",)),
    Row("POST", URL, {"Content-Type": "text/markdown; charset=utf-8"}, "ü", status=204, there=("Slashed.\nü",)),
    Row("POST", URL, JSON, '{"a": 1}', status=400, error=40010, unchanged=True),
    Row("POST", "/vault/Folder/", MARKDOWN, "x", status=405, error=40510, unchanged=True),
    Row("POST", f"{URL}/heading/Alpha/Sub", MARKDOWN, "more", there=("Sub text.\n\nmore\n\n# Beta",)),
    Row("POST", f"{URL}/heading/Missing", MARKDOWN, "x", status=404, error=40400, unchanged=True),
    Row("POST", f"{URL}/heading/Fresh", MARKDOWN | {"Create-Target-If-Missing": "true"}, "x", there=("# Fresh\nx\n",)),
    Row(
        "POST",
        f"{URL}/block/table",
        JSON,
        '[["2 A", "2 B"]]',
        there=("| 1 A      | 1 B      |\n| 2 A | 2 B |\n\n^table",),
    ),
    Row("POST", f"{URL}/block/table", JSON, '[["one cell"]]', status=400, error=40081, unchanged=True),
    Row("POST", f"{URL}/frontmatter/tags", JSON, '["two"]', there=("  - one\n  - two\n",)),
    Row(
        "POST",
        f"{URL}/heading/Alpha/Sub",
        MARKDOWN | {"Reject-If-Content-Preexists": "true"},
        "Sub text.",
        status=409,
        error=40900,
        unchanged=True,
    ),
    Row("DELETE", f"{URL}/heading/Alpha", status=405, error=40510, unchanged=True),
    Row("DELETE", "/vault/Folder/", status=405, error=40510, unchanged=True),
    Row("DELETE", "/vault/Folder", status=405, error=40510, unchanged=True),
    Row("DELETE", "/vault/Missing.md", status=404, error=40400, unchanged=True),
]

MOVING = [
    Row("MOVE", URL, {"Destination": "Folder/B.md"}, status=204, sent={"Content-Location": "Folder/B.md"}),
    Row("MOVE", URL, {"Destination": quote("Ärger/ü.md")}, status=204, sent={"Content-Location": quote("Ärger/ü.md")}),
    Row("MOVE", URL, {"Destination": "New/Place/"}, status=204, sent={"Content-Location": "New/Place/Note.md"}),
    Row("MOVE", URL, {"Destination": PATH}, status=204, unchanged=True),
    Row("MOVE", URL, {}, status=400, error=40020, unchanged=True),
    Row("MOVE", URL, {"Destination": "%FF"}, status=400, error=40022, unchanged=True),
    Row("MOVE", URL, {"Destination": "../outside.md"}, status=400, error=40021, unchanged=True),
    Row("MOVE", URL, {"Destination": "/etc/passwd"}, status=400, error=40021, unchanged=True),
    Row("MOVE", "/vault/Folder/", {"Destination": "Other/"}, status=405, error=40510, unchanged=True),
    Row("MOVE", "/vault/Folder", {"Destination": "Other"}, status=405, error=40510, unchanged=True),
    Row("MOVE", "/vault/Missing.md", {"Destination": "B.md"}, status=404, error=40400, unchanged=True),
    Row("MOVE", URL, {"Destination": "B.md", "If-Match": '"stale"'}, status=412, error=41200, unchanged=True),
    Row(
        "COPY",
        URL,
        {"Destination": "Folder/B.md"},
        status=204,
        unchanged=True,
        sent={"Content-Location": "Folder/B.md"},
    ),
    Row("COPY", URL, {"Destination": "../B.md"}, status=400, error=40021, unchanged=True),
    Row("COPY", "/vault/Folder/", {"Destination": "B/"}, status=405, error=40510, unchanged=True),
]


@pytest.mark.parametrize("row", [*WRITING, *MOVING], ids=name_of)
def test_rows(server: "Server", row: Row) -> None:
    check(server, row)


def test_moving_updates_links_and_asks_before_overwriting(server: "Server") -> None:
    server.write("A.md", "a\n")
    server.write("B.md", "b\n")
    server.write("Links.md", "[[A]]\n")

    taken = server.client.request("MOVE", "/vault/A.md", headers={"Destination": "B.md"})
    done = server.client.request("MOVE", "/vault/A.md", headers={"Destination": "B.md", "Allow-Overwrite": "true"})
    copied = server.client.request("COPY", "/vault/B.md", headers={"Destination": "B.md"})

    assert (taken.status_code, taken.json()["errorCode"]) == (409, 40920)
    assert (done.status_code, copied.status_code) == (204, 409)
    everything = server.everything()
    assert (everything["B.md"], everything["Links.md"]) == (b"a\n", b"[[B]]\n")
    assert b"b\n" in everything.values(), "what was overwritten is in the trash"


def test_deleting_goes_to_the_trash_unless_it_is_permanent(server: "Server") -> None:
    server.write("A.md", "a\n")
    server.write("B.md", "b\n")

    assert server.client.delete("/vault/A.md").status_code == 204
    assert server.client.delete("/vault/A.md").status_code == 404
    assert server.client.delete("/vault/B.md?permanent=true").status_code == 204
    assert server.everything() == {".trash/A.md": b"a\n"}


def test_a_broken_frontmatter_is_not_edited(server: "Server") -> None:
    content = server.write(PATH, "---\na: [1\n---\ntext\n")

    for headers in (JSON | headed("replace", "frontmatter", "a"), JSON | V2 | headed("replace", "frontmatter", "a")):
        answer = server.client.patch(URL, headers=headers, content="2")
        assert (answer.status_code, answer.json()["errorCode"]) == (400, 40005)
    assert server.read(PATH) == content
