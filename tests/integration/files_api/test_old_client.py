"""What the most used client of the plugin (mcp-obsidian 0.2.3) sends, request by request."""

from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest

if TYPE_CHECKING:
    from integration.files_api.conftest import Server

TEXT = {"Content-Type": "text/markdown; charset=utf-8"}
NOTE = "Földer/My note 🎉.md"
URL = f"/vault/{quote(NOTE)}"


def patched(server: "Server", target_type: str, target: str, content: str) -> tuple[int, int | None]:
    """Its PATCH names no version, quotes the target, and says a content type without a charset."""
    headers = {
        "Content-Type": "text/markdown",
        "Operation": "append",
        "Target-Type": target_type,
        "Target": quote(target),
    }
    answer = server.client.patch(URL, headers=headers, content=content.encode())
    return answer.status_code, answer.json()["errorCode"] if answer.status_code >= 400 else None


def test_its_notes(server: "Server") -> None:
    assert server.client.put(URL, headers=TEXT, content="# Outer\n\n## Inner ü\n\ntext\n".encode()).status_code == 204
    assert server.client.post(URL, headers=TEXT, content="- ü".encode()).status_code == 204
    assert server.client.get("/vault/").json()["files"] == ["Földer/"]
    assert server.client.get("/vault/F%C3%B6lder/").json()["files"] == ["My note 🎉.md"]
    read = server.client.get(URL)
    # It takes the text as Latin-1 when no charset is said.
    assert read.headers["Content-Type"] == "text/markdown; charset=utf-8"
    assert read.text == "# Outer\n\n## Inner ü\n\ntext\n- ü"
    assert server.client.delete(URL).status_code == 204


def test_its_patches_find_a_heading_by_its_name_or_its_whole_path(server: "Server") -> None:
    server.write(NOTE, "# Outer\n\n## Inner ü\n\ntext\n\n# Twice\n\n# Other\n\n## Twice\n")

    assert patched(server, "heading", "Inner ü", "one\n") == (200, None)
    assert patched(server, "heading", "Outer::Inner ü", "two\n") == (200, None)
    # It reads this code, looks for the heading in the note itself, and sends its whole path.
    assert patched(server, "heading", "inner ü", "three\n") == (400, 40080)
    assert patched(server, "heading", "Twice", "first\n") == (200, None)
    assert patched(server, "frontmatter", "missing", "x") == (400, 40080)
    assert server.read(NOTE).decode() == (
        "# Outer\n\n## Inner ü\n\ntext\n\none\ntwo\n# Twice\n\nfirst\n# Other\n\n## Twice\n"
    )


def test_its_frontmatter(server: "Server") -> None:
    server.write(NOTE, "---\nn: 1\n---\n")

    answer = server.client.get(URL, headers={"Accept": "application/vnd.olrapi.note+json"})

    assert answer.json()["frontmatter"] == {"n": 1}


@pytest.mark.parametrize("with_content", [True, False])
def test_its_recent_periodic_notes(server: "Server", with_content: bool) -> None:  # noqa: FBT001 - a table
    for day in ("2026-11-23", "2026-11-20", "2026-11-24", "2025-12-31"):
        server.write(f"{day}.md", f"# {day}\n")

    answer = server.client.get("/periodic/daily/recent", params={"limit": 3, "includeContent": str(with_content)})

    assert [note["path"] for note in answer.json()] == ["2026-11-23.md", "2026-11-20.md", "2025-12-31.md"]
    assert all(("content" in note) is with_content for note in answer.json())
