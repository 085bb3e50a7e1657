"""Rows of requests in the dialect of Obsidian's Local REST API, and what has to come of each.

They follow the plugin's OpenAPI document (5.1) and what its clients send.
"""

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from weave_nn.vault.store import etag_of

if TYPE_CHECKING:
    from integration.files_api.conftest import Server

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


def tag(content: bytes) -> str:
    """The ETag header of a file with this content."""
    return f'"{etag_of(content)}"'


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


def name_of(row: Row) -> str:
    told = " ".join(f"{name}={value}" for name, value in row.headers.items())
    return f"{row.method} {row.url} {told} {row.status}"


def check(server: "Server", row: Row) -> None:
    """Send the row's request about a vault with one note, and compare everything that it says."""
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
