"""The status page, periodic notes, and what needs a screen."""

from typing import TYPE_CHECKING

import pytest

from integration.files_api.rows import MARKDOWN, Row, headed, name_of

if TYPE_CHECKING:
    from integration.files_api.conftest import Server


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
