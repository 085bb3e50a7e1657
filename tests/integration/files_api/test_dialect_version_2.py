"""PATCH as clients of 5.x send it."""

import json
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote

import pytest

from integration.files_api.rows import (
    JSON,
    MARKDOWN,
    NOTE,
    PATH,
    URL,
    V2,
    WHOLE_MAP,
    Row,
    check,
    headed,
    instruction,
    name_of,
)
from weave_nn.vault.store import etag_of

if TYPE_CHECKING:
    from integration.files_api.conftest import Server

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


@pytest.mark.parametrize("row", VERSION_2, ids=name_of)
def test_rows(server: "Server", row: Row) -> None:
    check(server, row)


def test_a_second_heading_of_the_same_name_has_an_address_of_its_own(server: "Server") -> None:
    server.write(PATH, "# A\n\nfirst\n\n# A\n\nsecond\n")
    second = list(server.client.get(URL, headers=WHOLE_MAP).json()["headings"])[1]

    assert server.client.get(f"{URL}/heading/{quote(second)}").text == "\nsecond\n"
    appended = server.client.patch(
        URL, json={"targetType": "heading", "target": [second], "operation": "append", "content": "x"}
    )
    assert (appended.status_code, server.read(PATH)) == (200, b"# A\n\nfirst\n\n# A\n\nsecond\n\nx\n")


def test_what_a_writer_should_know_is_told_in_a_header(server: "Server") -> None:
    server.write(PATH, "# 1\n## 2\n### 3\n#### 4\n##### 5\n###### 6\n")
    deepest = {"targetType": "heading", "target": [*"123456"], "operation": "append", "content": "# ü"}

    answer = server.client.patch(URL, json=deepest)

    assert answer.status_code == 200
    (warning,) = json.loads(unquote(answer.headers["Markdown-Patch-Warnings"]))
    assert warning["code"] == "heading-depth-overflow"
    assert "ü" in warning["message"]
