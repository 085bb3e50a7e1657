"""The dialect of Obsidian's Local REST API: each row is a request, and what has to come of it.

The rows follow the plugin's OpenAPI document (5.1) and what its clients send.
"""

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

from weave_nn.services.files.api.local_rest import Relations
from weave_nn.vault.store import etag_of

if TYPE_CHECKING:
    from integration.files_api.conftest import MakeServer, Server

NOTE = """---
title: A title
tags:
  - one
priority: 3
---

# Alpha

Alpha text #inline.

Second paragraph.

## Sub

Sub text.

# Beta

Beta text. ^beta-block

| Column A | Column B |
| -------- | -------- |
| 1 A      | 1 B      |

^table

# TODO/DONE

Slashed.
"""
PATH = "Folder/Note.md"
URL = "/vault/Folder/Note.md"
MARKDOWN = {"Content-Type": "text/markdown"}
JSON = {"Content-Type": "application/json"}
V1 = {"Markdown-Patch-Version": "1"}
V2 = {"Markdown-Patch-Version": "2"}
WHOLE_MAP = {"Accept": "application/vnd.olrapi.document-map+json"}


@dataclass(frozen=True)
class Row:
    """`gone` and `there` are texts that the note may not, or must, have afterwards; `error` is the error's code."""

    method: str
    url: str
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | str | None = None
    status: int = 200
    error: int | None = None
    answer: Any = None
    sent: dict[str, str | None] = field(default_factory=dict)
    there: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()
    unchanged: bool = False


def instruction(**members: Any) -> str:
    return json.dumps(members)


def headed(operation: str | None, kind: str | None, target: str | None, **others: str) -> dict[str, str]:
    named = {"Operation": operation, "Target-Type": kind, "Target": target}
    return {name: value for name, value in named.items() if value is not None} | {
        name.replace("_", "-"): value for name, value in others.items()
    }


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

# What clients of 4.x send: everything in headers, no version.
VERSION_1 = [
    Row(
        "PATCH",
        URL,
        MARKDOWN | headed("append", "heading", "Alpha::Sub"),
        "more\n",
        there=("Sub text.\n\nmore\n# Beta",),
        sent={"Deprecation": 'true; sunset-version="6.0"'},
    ),
    Row(
        "PATCH",
        URL,
        MARKDOWN | headed("prepend", "heading", "Alpha::Sub"),
        "first\n",
        there=("## Sub\nfirst\n\nSub text.",),
    ),
    Row(
        "PATCH",
        URL,
        MARKDOWN | headed("replace", "heading", "Alpha"),
        "all\n",
        there=("# Alpha\nall\n# Beta",),
        gone=("Sub",),
    ),
    Row(
        "PATCH",
        URL,
        MARKDOWN | headed("append", "heading", "Sub"),
        "found by its name\n",
        there=("found by its name\n# Beta",),
    ),
    Row(
        "PATCH",
        URL,
        MARKDOWN | headed("append", "heading", "Alpha//Sub", Target_Delimiter="//"),
        "more\n",
        there=("more\n# Beta",),
    ),
    Row(
        "PATCH",
        URL,
        MARKDOWN | headed("append", "heading", quote("TODO/DONE", safe="")),
        "ü\n",
        there=("Slashed.\nü\n",),
    ),
    Row("PATCH", URL, MARKDOWN | headed("append", "heading", "Missing"), "x", status=400, error=40080, unchanged=True),
    Row(
        "PATCH",
        URL,
        MARKDOWN | headed("append", "heading", "Fresh", Create_Target_If_Missing="true"),
        "x\n",
        there=("# Fresh\nx\n",),
    ),
    Row(
        "PATCH",
        URL,
        MARKDOWN | headed("append", "heading", "Alpha::Sub", Trim_Target_Whitespace="true"),
        "\nmore\n",
        there=("Sub text.\nmore\n# Beta",),
    ),
    Row(
        "PATCH",
        URL,
        MARKDOWN | headed("append", "heading", "Alpha", Reject_If_Content_Preexists="true"),
        "Sub text.",
        status=400,
        error=40080,
        unchanged=True,
    ),
    Row(
        "PATCH",
        URL,
        MARKDOWN | headed("append", "block", "beta-block"),
        " more",
        there=("Beta text. more ^beta-block",),
    ),
    Row("PATCH", URL, MARKDOWN | headed("replace", "block", "^beta-block"), "New.", there=("New. ^beta-block",)),
    Row(
        "PATCH", URL, JSON | headed("append", "block", "table"), '[["2 A", "2 B"]]', there=("| 2 A | 2 B |\n\n^table",)
    ),
    Row("PATCH", URL, JSON | headed("replace", "frontmatter", "title"), '"New title"', there=("title: New title\n",)),
    Row("PATCH", URL, MARKDOWN | headed("replace", "frontmatter", "title"), "New title", there=("title: New title\n",)),
    Row("PATCH", URL, JSON | headed("append", "frontmatter", "tags"), '["two"]', there=("  - one\n  - two\n",)),
    Row(
        "PATCH", URL, JSON | headed("append", "frontmatter", "title"), '" goes on"', there=("title: A title goes on\n",)
    ),
    Row("PATCH", URL, JSON | headed("replace", "frontmatter", "missing"), "1", status=400, error=40080, unchanged=True),
    Row(
        "PATCH",
        URL,
        JSON | headed("replace", "frontmatter", "title"),
        "{broken",
        status=400,
        error=40015,
        unchanged=True,
    ),
    Row("PATCH", URL, MARKDOWN | headed(None, "heading", "Beta"), "x", status=400, error=40056, unchanged=True),
    Row("PATCH", URL, MARKDOWN | headed("obliterate", "heading", "Beta"), "x", status=400, error=40057, unchanged=True),
    Row("PATCH", URL, MARKDOWN | headed("delete", "heading", "Beta"), "", status=400, error=40057, unchanged=True),
    Row("PATCH", URL, MARKDOWN | headed("append", None, "Beta"), "x", status=400, error=40053, unchanged=True),
    Row("PATCH", URL, MARKDOWN | headed("append", "paragraph", "Beta"), "x", status=400, error=40054, unchanged=True),
    Row("PATCH", URL, MARKDOWN | headed("append", "heading", None), "x", status=400, error=40055, unchanged=True),
    Row("PATCH", URL, MARKDOWN | headed("append", "heading", "%FF"), "x", status=400, error=40058, unchanged=True),
    Row("PATCH", URL, headed("append", "heading", "Beta"), "x", status=400, error=40011, unchanged=True),
    Row(
        "PATCH",
        URL,
        {"Content-Type": "image/png"} | headed("append", "heading", "Beta"),
        "x",
        status=400,
        error=40012,
        unchanged=True,
    ),
    Row(
        "PATCH",
        "/vault/Folder/",
        MARKDOWN | headed("append", "heading", "Beta"),
        "x",
        status=405,
        error=40510,
        unchanged=True,
    ),
    Row(
        "PATCH",
        "/vault/Missing.md",
        MARKDOWN | headed("append", "heading", "Beta"),
        "x",
        status=404,
        error=40400,
        unchanged=True,
    ),
]

SUB = {"targetType": "heading", "target": ["Alpha", "Sub"]}
VERSION_2 = [
    Row(
        "PATCH",
        URL,
        JSON,
        instruction(**SUB, operation="append", content="more"),
        there=("Sub text.\n\nmore\n\n# Beta",),
        sent={"Deprecation": None},
    ),
    Row(
        "PATCH",
        URL,
        {"Content-Type": "application/vnd.olrapi.patch-instruction+json"},
        instruction(**SUB, operation="append", content="more"),
        there=("\nmore\n",),
    ),
    Row(
        "PATCH",
        URL,
        JSON,
        instruction(**SUB, operation="replace", scope="marker", content="Renamed"),
        there=("## Renamed\n\nSub text.",),
    ),
    Row(
        "PATCH",
        URL,
        JSON,
        instruction(**SUB, operation="delete", scope="markerAndContent"),
        gone=("Sub",),
        there=("Second paragraph.\n\n# Beta",),
    ),
    Row("PATCH", URL, JSON, instruction(**SUB, operation="append", content="# Below"), there=("### Below\n",)),
    Row(
        "PATCH",
        URL,
        JSON,
        instruction(**SUB, operation="replace", scope="parent", destination={"parent": ["Beta"], "place": "last"}),
        there=("^table\n\n## Sub\n\nSub text.\n\n# TODO",),
    ),
    Row(
        "PATCH",
        URL,
        JSON,
        instruction(
            **SUB, operation="replace", scope="parent", destination={"parent": None, "place": {"before": ["Beta"]}}
        ),
        there=("# Sub\n\nSub text.\n\n# Beta",),
    ),
    Row(
        "PATCH",
        URL,
        JSON,
        instruction(targetType="heading", target=None, operation="append", content="last"),
        there=("Slashed.\n\nlast\n",),
    ),
    Row(
        "PATCH",
        URL,
        JSON,
        instruction(targetType="heading", target=["Alpha"], within=0, operation="append", content=" goes on"),
        there=("Alpha text #inline. goes on\n",),
    ),
    Row(
        "PATCH",
        URL,
        JSON,
        instruction(targetType="block", target="beta-block", operation="append", content="!"),
        there=("Beta text.! ^beta-block",),
    ),
    Row(
        "PATCH",
        URL,
        JSON,
        instruction(targetType="block", target="table", operation="prepend", value=[["0 A", "0 B"]]),
        there=("| 0 A | 0 B |\n| 1 A",),
    ),
    Row(
        "PATCH",
        URL,
        JSON,
        instruction(targetType="frontmatter", target="priority", operation="replace", value=None),
        there=("priority:",),
        gone=("priority: 3",),
    ),
    Row(
        "PATCH",
        URL,
        JSON,
        instruction(
            targetType="frontmatter", target="fresh", operation="append", value=["x"], createTargetIfMissing=True
        ),
        there=("fresh:\n  - x\n---",),
    ),
    Row(
        "PATCH",
        URL,
        JSON,
        instruction(**SUB, operation="append", content="x", ifMatch=etag_of(NOTE.encode())),
        there=("\nx\n",),
    ),
    Row(
        "PATCH",
        URL,
        JSON,
        instruction(**SUB, operation="append", content="x", ifMatch="stale"),
        status=412,
        error=41200,
        unchanged=True,
    ),
    Row(
        "PATCH",
        URL,
        JSON,
        instruction(**SUB, operation="append", content="Sub text.", rejectIfContentPreexists=True),
        status=409,
        error=40900,
        unchanged=True,
    ),
    Row(
        "PATCH",
        URL,
        JSON,
        instruction(targetType="heading", target=["Sub"], operation="append", content="x"),
        status=404,
        error=40400,
        unchanged=True,
    ),
    Row(
        "PATCH",
        URL,
        JSON,
        instruction(**SUB, operation="append", scope="parent", content="x"),
        status=400,
        error=40081,
        unchanged=True,
    ),
    Row("PATCH", URL, JSON, instruction(**SUB, operation="append"), status=400, error=40081, unchanged=True),
    Row(
        "PATCH",
        URL,
        JSON,
        instruction(**SUB, operation="append", content="x", value=1),
        status=400,
        error=40081,
        unchanged=True,
    ),
    Row("PATCH", URL, JSON, '["no object"]', status=400, error=40081, unchanged=True),
    Row("PATCH", URL, JSON, "{broken", status=400, error=40081, unchanged=True),
    Row("PATCH", URL, MARKDOWN, "text without a target", status=400, error=40081, unchanged=True),
    # Raw content: the instruction in the URL or in headers, and the body as it is.
    Row(
        "PATCH", f"{URL}/heading/Alpha/Sub", MARKDOWN | {"Operation": "append"}, "more", there=("Sub text.\n\nmore\n",)
    ),
    Row("PATCH", f"{URL}/heading/Alpha/Sub", {"Operation": "delete"}, None, gone=("Sub text",), there=("## Sub\n",)),
    Row("PATCH", f"{URL}/heading/TODO%2FDONE", MARKDOWN | {"Operation": "replace"}, "y", there=("# TODO/DONE\n\ny\n",)),
    Row(
        "PATCH",
        f"{URL}/heading/Alpha/Sub",
        MARKDOWN | {"Operation": "replace", "Target-Scope": "marker"},
        "Renamed",
        there=("## Renamed\n",),
    ),
    Row(
        "PATCH",
        f"{URL}/heading/Alpha",
        MARKDOWN | {"Operation": "append", "Within": "-1"},
        " goes on",
        there=("Second paragraph. goes on\n",),
    ),
    Row(
        "PATCH",
        f"{URL}/heading/Alpha",
        MARKDOWN | {"Operation": "append", "Within": "first"},
        "x",
        status=400,
        error=40023,
        unchanged=True,
    ),
    Row(
        "PATCH",
        f"{URL}/heading/Alpha/Sub",
        {"Operation": "replace", "Target-Scope": "parent", "Destination": quote('{"parent":["Beta"],"place":"first"}')},
        None,
        there=("## Sub\n\nSub text.\n\n# TODO",),
    ),
    Row(
        "PATCH",
        f"{URL}/heading/Alpha/Sub",
        {"Operation": "replace", "Target-Scope": "parent", "Destination": "nowhere"},
        None,
        status=400,
        error=40022,
        unchanged=True,
    ),
    Row("PATCH", f"{URL}/block/table", JSON | {"Operation": "append"}, '[["2 A", "2 B"]]', there=("| 2 A | 2 B |",)),
    Row("PATCH", f"{URL}/frontmatter/title", JSON | {"Operation": "replace"}, '"New"', there=("title: New\n",)),
    Row(
        "PATCH",
        URL,
        MARKDOWN | V2 | headed("append", "heading", quote('["Alpha","Sub"]')),
        "more",
        there=("Sub text.\n\nmore\n",),
    ),
    Row("PATCH", URL, MARKDOWN | V2 | headed("append", "heading", "null"), "last", there=("Slashed.\n\nlast\n",)),
    Row(
        "PATCH",
        URL,
        MARKDOWN | V2 | headed("append", "heading", "Alpha::Sub"),
        "x",
        status=400,
        error=40058,
        unchanged=True,
    ),
    Row(
        "PATCH",
        URL,
        MARKDOWN | V2 | headed("append", "heading", "null", Target_Delimiter="::"),
        "x",
        status=400,
        error=40081,
        unchanged=True,
    ),
    Row(
        "PATCH",
        f"{URL}/heading/Beta",
        MARKDOWN | {"Operation": "append", "If-Match": etag_of(NOTE.encode())},
        "x",
        there=("\nx\n",),
    ),
    Row(
        "PATCH",
        f"{URL}/heading/Beta",
        MARKDOWN | {"Operation": "append", "If-Match": "000000"},
        "x",
        status=412,
        error=41200,
        unchanged=True,
    ),
    Row(
        "PATCH",
        f"{URL}/heading/Beta",
        MARKDOWN | {"Operation": "replace"},
        None,
        status=400,
        error=40081,
        unchanged=True,
    ),
    Row(
        "PATCH",
        f"{URL}/heading/Beta",
        MARKDOWN | {"Operation": "append", "Target-Type": "heading"},
        "x",
        status=422,
        error=42200,
        unchanged=True,
    ),
    Row(
        "PATCH",
        f"{URL}/heading/Beta",
        {"Content-Type": "application/vnd.olrapi.patch-instruction+json"},
        instruction(**SUB, operation="append", content="x"),
        status=422,
        error=42200,
        unchanged=True,
    ),
    Row("PATCH", f"{URL}/heading/Beta", MARKDOWN, "x", status=400, error=40056, unchanged=True),
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


def name_of(row: Row) -> str:
    told = " ".join(f"{name}={value}" for name, value in row.headers.items())
    return f"{row.method} {row.url} {told} {row.status}"


@pytest.mark.parametrize("row", [*READING, *WRITING, *VERSION_1, *VERSION_2, *MOVING], ids=name_of)
def test_dialect(server: "Server", row: Row) -> None:
    server.write(PATH, NOTE)

    answer = server.client.request(row.method, row.url, headers=row.headers, content=row.body)

    assert answer.status_code == row.status, answer.text
    if row.error is not None:
        assert answer.headers["Content-Type"] == "application/json"
        assert set(answer.json()) == {"message", "errorCode"}
        assert answer.json()["errorCode"] == row.error, answer.text
    if row.answer is not None:
        assert (
            answer.text
            if isinstance(row.answer, str) and "json" not in answer.headers["Content-Type"]
            else answer.json()
        ) == row.answer
    for name, value in row.sent.items():
        assert answer.headers.get(name) == value
    if row.unchanged:
        assert server.read(PATH) == NOTE.encode()
    if row.there or row.gone:
        after = server.read(PATH).decode()
        assert all(text in after for text in row.there), after
        assert not any(text in after for text in row.gone), after
    if row.status == 200 and row.method != "GET":
        assert answer.content == server.read(PATH)
        assert answer.headers["ETag"] == f'"{etag_of(answer.content)}"'


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


def test_a_second_heading_of_the_same_name_has_an_address_of_its_own(server: "Server") -> None:
    server.write(PATH, "# A\n\nfirst\n\n# A\n\nsecond\n")
    second = list(server.client.get(URL, headers=WHOLE_MAP).json()["headings"])[1]

    assert server.client.get(f"{URL}/heading/{quote(second)}").text == "\nsecond\n"
    appended = server.client.patch(
        URL, json={"targetType": "heading", "target": [second], "operation": "append", "content": "x"}
    )
    assert (appended.status_code, server.read(PATH)) == (200, b"# A\n\nfirst\n\n# A\n\nsecond\n\nx\n")


def test_a_name_in_another_unicode_form_makes_no_second_note(server: "Server") -> None:
    composed = "/vault/" + quote("é.md")
    decomposed = "/vault/" + quote("e\u0301.md")

    server.client.put(decomposed, content="one\n")
    server.client.post(composed, content="two\n", headers=MARKDOWN)

    assert list(server.everything().values()) == [b"one\ntwo\n"]


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


def test_the_status_page_needs_no_key_and_tells_whether_it_is_right(server: "Server") -> None:
    known = server.client.get("/").json()
    unknown = server.client.get("/", headers={"Authorization": ""}).json()
    wrong = server.client.get("/", headers={"Authorization": "Bearer wrong"}).json()

    assert (known["status"], known["service"]) == ("OK", "Obsidian Local REST API")
    assert [each["authenticated"] for each in (known, unknown, wrong)] == [True, False, False]
    refused = server.client.get("/vault/", headers={"Authorization": "Bearer wrong"})
    assert (refused.status_code, refused.json()["errorCode"]) == (401, 40101)


@pytest.mark.parametrize(
    "url", ["/active", "/active/", "/active/heading/A", "/commands/", "/commands/x/", "/open/A.md"]
)
def test_what_needs_a_screen_says_so(server: "Server", url: str) -> None:
    for method in ("GET", "PUT", "POST", "PATCH", "DELETE"):
        answer = server.client.request(method, url)
        assert (answer.status_code, answer.json()["errorCode"]) == (404, 40400)
        assert "screen" in answer.json()["message"]


PERIODIC = [
    Row("GET", "/periodic/daily/", status=404, error=40461),
    Row("GET", "/periodic/hourly/", status=404, error=40460),
    Row("GET", "/periodic/weekly/", status=400, error=40060),
    Row("GET", "/periodic/daily/2026/13/01/", status=400, error=40000),
    Row("GET", "/periodic/daily/nonsense", status=404, error=40400),
    Row("GET", "/periodic/daily/2026/01/02/", answer="# Old\n", sent={"Content-Location": "Days/2026-01-02.md"}),
    Row("GET", "/periodic/daily/2026/1/2", answer="# Old\n"),
    Row("GET", "/periodic/daily/2026/01/02/heading/Old", answer=""),
    Row("DELETE", "/periodic/daily/", status=404, error=40461),
    Row("DELETE", "/periodic/daily/2026/01/02/", status=204),
]


@pytest.mark.parametrize("row", PERIODIC, ids=name_of)
def test_periodic_notes_are_found(server: "Server", row: Row) -> None:
    server.write(".obsidian/daily-notes.json", '{"folder": "Days"}')
    server.write("Days/2026-01-02.md", "# Old\n")

    answer = server.client.request(row.method, row.url)

    assert answer.status_code == row.status, answer.text
    if row.error is not None:
        assert answer.json()["errorCode"] == row.error
    assert row.answer is None or answer.text == row.answer
    assert all(answer.headers[name] == value for name, value in row.sent.items())


def test_writing_to_a_periodic_note_makes_it_from_its_template(server: "Server") -> None:
    server.write(".obsidian/daily-notes.json", '{"folder": "Days", "template": "T"}')
    server.write("T.md", "# Log\n")
    today = "Days/2026-11-23.md"

    appended = server.client.post("/periodic/daily/", content="- one", headers=MARKDOWN)
    patched = server.client.patch(
        "/periodic/daily/", content="- two\n", headers=MARKDOWN | headed("append", "heading", "Log")
    )
    targeted = server.client.patch(
        "/periodic/daily/heading/Log", content="- three", headers=MARKDOWN | {"Operation": "append"}
    )

    assert (appended.status_code, appended.headers["Content-Location"]) == (204, today)
    assert (patched.status_code, targeted.status_code) == (200, 200)
    assert server.read(today) == b"# Log\n- one\n- two\n\n- three\n"
    assert server.client.put("/periodic/daily/", content="all new\n", headers=MARKDOWN).status_code == 204
    assert server.read(today) == b"all new\n"
    recent = server.client.get("/periodic/daily/recent", params={"limit": 5, "includeContent": "False"}).json()
    assert [(note["path"], "content" in note) for note in recent] == [(today, False)]
