"""PATCH as clients of 4.x send it."""

from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest

from integration.files_api.rows import JSON, MARKDOWN, URL, Row, check, headed, name_of

if TYPE_CHECKING:
    from integration.files_api.conftest import Server

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


@pytest.mark.parametrize("row", VERSION_1, ids=name_of)
def test_rows(server: "Server", row: Row) -> None:
    check(server, row)
