"""From a box that is ticked to a commit: three services in one real process, and a real repository."""

import json
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx2
import pytest
from mcp.client import Client
from mcp.client.streamable_http import streamable_http_client

from e2e.server import WEAVE, Server, wait_until


def git(vault: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=vault, check=True, capture_output=True, text=True)
    return done.stdout


def subjects(vault: Path) -> list[str]:
    return git(vault, "log", "--format=%s").splitlines()


def events(server: Server, topic: str) -> list[dict[str, Any]]:
    done = subprocess.run(
        [WEAVE, "events", "tail", "-n", "1000", "--topic", topic, "--json", server.vault],
        env=server.env,
        check=True,
        capture_output=True,
        text=True,
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


def find(server: Server, title: str) -> dict[str, Any]:
    found = server.get("/tasks?limit=100").json["tasks"]
    return next(task for task in found if task["title"] == title)


@pytest.fixture
def repository(make_server: Callable[..., Server]) -> Server:
    server = make_server(WEAVE_GIT_QUIET_SECONDS="0.2", WEAVE_GIT_AUTHOR="Weave <weave@example.invalid>")
    git(server.vault, "init", "-q", "-b", "main")
    git(server.vault, "add", "-A")
    git(server.vault, "-c", "user.name=t", "-c", "user.email=t@example.invalid", "commit", "-qm", "as it was")
    return server.start()


@pytest.mark.compositions("embedded", "servers")
def test_a_box_ticked_in_a_file_is_told_and_committed(repository: Server) -> None:
    note = repository.vault / "Notes/Inbox.md"
    note.write_text(note.read_text().replace("- [ ] Ask the library", "- [x] Ask the library"))
    wait_until(lambda: find(repository, "Ask the library about the tide tables")["status"] == "DONE")
    assert len(events(repository, "task.completed")) == 1
    wait_until(lambda: len(subjects(repository.vault)) == 2)
    assert "Inbox" in git(repository.vault, "show", "--stat", "HEAD")
    assert git(repository.vault, "status", "--porcelain") == ""


async def test_a_task_completed_over_mcp_changes_its_line_and_is_committed(repository: Server) -> None:
    task = find(repository, "Replace the noisy fan")
    before = (repository.vault / "Projects/Home server.md").read_text().splitlines()
    headers = {"Authorization": f"Bearer {repository.key}"}
    async with (
        httpx2.AsyncClient(headers=headers, timeout=30) as http,
        Client(streamable_http_client(f"{repository.url}/mcp", http_client=http)) as client,
    ):
        result = await client.call_tool("complete_task", {"id": task["id"]})
        assert not result.is_error, result
    wait_until(lambda: "[x] Replace the noisy fan" in (repository.vault / "Projects/Home server.md").read_text())
    after = (repository.vault / "Projects/Home server.md").read_text().splitlines()
    assert sum(old != new for old, new in zip(before, after, strict=True)) == 1
    wait_until(lambda: len(subjects(repository.vault)) == 2)


def test_many_clients_make_many_tasks_and_none_is_lost_or_doubled(repository: Server) -> None:
    def make(client: int) -> None:
        for number in range(50):
            body = json.dumps({"title": f"made {client}-{number}", "note_path": "Notes/Inbox.md"}).encode()
            answer = repository.request("POST", "/tasks", body, Content_Type="application/json")
            assert answer.status == 201, answer.body

    with ThreadPoolExecutor(10) as pool:
        list(pool.map(make, range(10)))

    def lines() -> list[str]:
        text = (repository.vault / "Notes/Inbox.md").read_text()
        return sorted(line[6:] for line in text.splitlines() if line.startswith("- [ ] made "))

    expected = sorted(f"made {client}-{number}" for client in range(10) for number in range(50))
    wait_until(lambda: len(lines()) >= 500, seconds=120)
    assert lines() == expected
    wait_until(lambda: repository.get("/tasks?pending=true&limit=1").json["tasks"] == [])
    titles = [task["title"] for page in (0, 1) for task in _page(repository, page) if task["title"].startswith("made")]
    assert sorted(titles) == expected


def _page(server: Server, number: int) -> list[dict[str, Any]]:
    cursor = ""
    for _ in range(number):
        page = server.get(f"/tasks?text=made&limit=300{cursor}").json
        cursor = f"&cursor={page['next_cursor']}"
    return list(server.get(f"/tasks?text=made&limit=300{cursor}").json["tasks"])
