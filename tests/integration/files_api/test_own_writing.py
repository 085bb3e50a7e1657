"""Changing the vault through the service's own API."""

import base64
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import TYPE_CHECKING, Any

import pytest

from integration.files_api.rows import tag
from weave_nn.vault.store import etag_of

if TYPE_CHECKING:
    from integration.files_api.conftest import MakeServer, Server


def test_a_stale_version_is_refused_with_the_present_one(server: "Server") -> None:
    first = server.write("Note.md", "first\n")
    second = server.write("Note.md", "second, by somebody else\n")

    answer = server.client.put("/files/Note.md", content=b"mine\n", headers={"If-Match": tag(first)})

    assert answer.status_code == 412
    assert answer.json()["current_etag"] == etag_of(second)
    assert answer.headers["ETag"] == tag(second)
    assert server.read("Note.md") == second


@pytest.mark.parametrize(
    ("condition", "present", "status"),
    [
        ("*", True, 200),
        ("*", False, 412),
        ('"other", {tag}', True, 200),
        ("W/{tag}", True, 412),
        ("{tag}", False, 412),
        ("not quoted", True, 400),
    ],
)
def test_conditions_of_a_write(server: "Server", condition: str, present: bool, status: int) -> None:  # noqa: FBT001 - a table
    if present:
        server.write("Note.md", "old\n")
    before = server.everything()

    header = condition.format(tag=tag(b"old\n"))
    answer = server.client.put("/files/Note.md", content=b"new\n", headers={"If-Match": header})

    assert answer.status_code == status, answer.text
    assert server.everything() == ({"Note.md": b"new\n"} if status == 200 else before)


@pytest.mark.parametrize("verb", ["PUT", "POST", "PATCH", "DELETE", "replace", "move"])
def test_no_verb_goes_over_a_version_that_was_not_seen(server: "Server", verb: str) -> None:
    content = server.write("Note.md", "# A\n\ntext\n")
    headers = {"If-Match": '"stale"'}
    requests: dict[str, Any] = {
        "PUT": {"method": "PUT", "url": "/files/Note.md", "content": b"x"},
        "POST": {"method": "POST", "url": "/files/Note.md", "content": b"x"},
        "PATCH": {
            "method": "PATCH",
            "url": "/files/Note.md",
            "json": {"target_type": "heading", "target": ["A"], "operation": "append", "content": "x"},
        },
        "DELETE": {"method": "DELETE", "url": "/files/Note.md"},
        "replace": {"method": "POST", "url": "/files/.replace/Note.md", "json": {"old": "text", "new": "x"}},
        "move": {"method": "POST", "url": "/files/.move", "json": {"path": "Note.md", "destination": "B.md"}},
    }

    answer = server.client.request(**requests[verb], headers=headers)

    assert (answer.status_code, answer.json()["current_etag"]) == (412, etag_of(content))
    assert server.everything() == {"Note.md": content}


def test_of_many_writers_with_the_same_version_one_wins_and_nothing_is_lost(server: "Server") -> None:
    seen = tag(server.write("Counter.md", "0"))
    writers = 8
    together = Barrier(writers)

    def write(number: int) -> tuple[int, bytes]:
        together.wait()
        body = f"{number}".encode()
        answer = server.client.put("/files/Counter.md", content=body, headers={"If-Match": seen})
        return answer.status_code, body

    with ThreadPoolExecutor(writers) as threads:
        answers = list(threads.map(write, range(1, writers + 1)))

    winners = [body for status, body in answers if status == 200]
    assert len(winners) == 1
    assert sorted({status for status, _ in answers}) == [200, 412]
    assert server.read("Counter.md") == winners[0]


def test_appends_at_the_same_time_all_arrive(server: "Server") -> None:
    lines = [f"line {number}" for number in range(12)]

    with ThreadPoolExecutor(6) as threads:
        statuses = set(threads.map(lambda line: server.client.post("/files/Log.md", content=line).status_code, lines))

    assert statuses <= {200, 201}
    assert sorted(server.read("Log.md").decode().splitlines()) == sorted(lines)


def test_create_never_overwrites(server: "Server") -> None:
    made = server.client.post("/files", params={"path": "New/Note.md"}, content=b"first\n")
    again = server.client.post("/files", params={"path": "New/Note.md"}, content=b"second\n")
    guarded = server.client.put("/files/New/Note.md", content=b"third\n", headers={"If-None-Match": "*"})

    assert (made.status_code, made.headers["Location"]) == (201, "/files/New/Note.md")
    assert (again.status_code, again.json()["type"]) == (409, "urn:weave-nn:problem:already_exists")
    assert (guarded.status_code, guarded.json()["current_etag"]) == (412, etag_of(b"first\n"))
    assert server.read("New/Note.md") == b"first\n"
    assert server.client.put("/files/X.md", content=b"x", headers={"If-None-Match": "*"}).status_code == 201


def test_patches_are_applied_one_after_the_other_all_or_none(server: "Server") -> None:
    server.write("Note.md", "---\nn: 1 # one\n---\n# A\n\ntext\n")
    good = [
        {"target_type": "heading", "target": ["A"], "operation": "append", "content": "- more"},
        {"targetType": "frontmatter", "target": "n", "operation": "replace", "value": 2},
    ]

    answer = server.client.patch("/files/Note.md", json=good)
    failed = server.client.patch(
        "/files/Note.md",
        json=[good[0], {"target_type": "heading", "target": ["Nowhere"], "operation": "delete"}],
    )

    assert (answer.status_code, answer.json()["created"]) == (200, False)
    assert server.read("Note.md") == b"---\nn: 2 # one\n---\n# A\n\ntext\n\n- more\n"
    assert (failed.status_code, failed.json()["type"]) == (404, "urn:weave-nn:problem:target_not_found")
    assert server.read("Note.md").count(b"more") == 1


@pytest.mark.parametrize(
    ("patch", "word"),
    [
        ({"target_type": "heading", "operation": "append"}, "payload"),
        ({"target_type": "heading", "operation": "append", "content": "x", "value": 1}, "one payload"),
        ({"target_type": "nothing", "operation": "append", "content": "x"}, "target_type"),
        ({"target_type": "heading", "operation": "append", "content": "x", "colour": "red"}, "colour"),
        ([], "at least 1"),
        ("text", "refused"),
    ],
)
def test_a_patch_that_says_nothing_sensible_is_refused(server: "Server", patch: Any, word: str) -> None:
    server.write("Note.md", "# A\n")

    answer = server.client.patch("/files/Note.md", json=patch)

    assert answer.status_code == 400
    assert word in answer.json()["detail"].replace("targetType", "target_type")


def test_text_is_replaced_literally(server: "Server") -> None:
    server.write("Note.md", "cost: $1\ncost: $1\n")
    replace = "/files/.replace/Note.md"

    ambiguous = server.client.post(replace, json={"old": "$1", "new": "$&"})
    every = server.client.post(replace, json={"old": "$1", "new": r"$& \1", "every": True})

    assert (ambiguous.status_code, ambiguous.json()["lines"]) == (409, [1, 2])
    assert (every.status_code, every.headers["ETag"]) == (200, tag(server.read("Note.md")))
    assert server.read("Note.md") == b"cost: $& \\1\ncost: $& \\1\n"


def test_moving_rewrites_the_links(server: "Server") -> None:
    server.write("A.md", "# A\n")
    server.write("B.md", "[[A|alias]] and [[A#A]]\n")

    answer = server.client.post("/files/.move", json={"path": "A.md", "destination": "Folder/C d.md"})

    assert answer.status_code == 200
    assert (answer.json()["path"], answer.json()["rewritten"], answer.json()["links"]) == ("Folder/C d.md", ["B.md"], 2)
    assert answer.json()["moved"] == [["A.md", "Folder/C d.md"]]
    assert server.read("B.md") == b"[[C d|alias]] and [[C d#A]]\n"
    assert server.client.post("/files/.move", json={"path": "B.md", "destination": "Folder/C d.md"}).status_code == 409


def test_copy_trash_and_restore(server: "Server") -> None:
    server.write("A.md", "a\n")

    assert server.client.post("/files/.copy", json={"path": "A.md", "destination": "B.md"}).status_code == 201
    assert server.client.post("/files/.copy", json={"path": "A.md", "destination": "B.md"}).status_code == 409
    trashed = server.client.delete("/files/A.md")
    assert (trashed.status_code, trashed.json()["trash_path"]) == (200, ".trash/A.md")
    assert [each["path"] for each in server.client.get("/files/.trash").json()] == ["A.md"]
    assert server.client.get("/files/.trash/A.md").status_code == 400
    restored = server.client.post("/files/.restore", json={"trash_path": ".trash/A.md"})
    assert (restored.status_code, restored.json()["path"]) == (201, "A.md")
    assert server.client.delete("/files/B.md", params={"permanent": True}).status_code == 204
    assert server.everything() == {"A.md": b"a\n"}


def test_a_batch_is_all_or_nothing(server: "Server") -> None:
    server.write("A.md", "a\n")
    picture = base64.b64encode(b"\x89PNG\x00").decode()
    operations = [
        {"kind": "create", "path": "B.md", "content": "b\n"},
        {"kind": "create", "path": "c.png", "content_base64": picture},
        {"kind": "append", "path": "A.md", "content": "more"},
    ]

    done = server.client.post("/files/.batch", json={"operations": operations})
    failed = server.client.post(
        "/files/.batch",
        json={"operations": [{"kind": "delete", "path": "A.md"}, {"kind": "create", "path": "B.md"}]},
    )

    assert (done.status_code, [each["path"] for each in done.json()]) == (200, ["B.md", "c.png", "A.md"])
    assert failed.status_code == 409
    assert server.everything() == {"A.md": b"a\nmore", "B.md": b"b\n", "c.png": b"\x89PNG\x00"}


def test_periodic_notes(server: "Server") -> None:
    server.write(".obsidian/daily-notes.json", '{"folder": "Days", "template": "T"}')
    server.write("T.md", "# {{title}}\n")

    assert server.client.get("/files/.periodic/daily/2026-11-23").json() == "Days/2026-11-23.md"
    made = server.client.post("/files/.periodic/daily/2026-11-23")
    again = server.client.post("/files/.periodic/daily/2026-11-23")

    assert (made.status_code, again.status_code, again.json()["created"]) == (201, 200, False)
    assert server.read("Days/2026-11-23.md") == b"# 2026-11-23\n"
    assert server.client.get("/files/.periodic/daily/tomorrow").status_code == 422
    assert server.client.get("/files/.periodic/weekly/2026-11-23").status_code == 404


def test_text_is_bounded_and_attachments_by_their_own_limit(server: "Server") -> None:
    large = b"x" * 1_000_001

    assert server.client.post("/files/Note.md", content=large).status_code == 413
    assert server.client.put("/files/Note.md", content=large).status_code == 413
    assert server.client.put("/files/picture.png", content=large).status_code == 201
    assert server.client.get("/files/.note/picture.png").status_code == 413
    assert list(server.everything()) == ["picture.png"]


def test_a_read_only_server_reads_and_refuses_every_write(make_server: "MakeServer") -> None:
    server = make_server(read_only=True)
    server.write("Note.md", "# A\n")
    before = server.everything()
    writes: list[tuple[str, str]] = [
        *((method, "/files/Note.md") for method in ("PUT", "POST", "PATCH", "DELETE")),
        *(("POST", f"/files{path}") for path in ("", "/.move", "/.copy", "/.restore", "/.batch", "/.replace/Note.md")),
        ("POST", "/files/.periodic/daily/2026-11-23"),
        *((method, "/vault/Note.md") for method in ("PUT", "POST", "PATCH", "DELETE", "MOVE", "COPY")),
        *((method, "/periodic/daily/") for method in ("PUT", "POST", "PATCH", "DELETE")),
    ]

    for method, url in writes:
        answer = server.client.request(method, url, params={"path": "X.md"}, json=_valid_body(url))
        assert answer.status_code == 403, (method, url, answer.text)
        assert "WEAVE_READ_ONLY" in answer.text
    assert server.client.get("/files/Note.md").status_code == 200
    assert server.client.get("/vault/Note.md").status_code == 200
    assert server.everything() == before


def _valid_body(url: str) -> dict[str, Any]:
    match url.rpartition("/")[2]:
        case ".restore":
            return {"trash_path": ".trash/a.md"}
        case ".batch":
            return {"operations": [{"kind": "delete", "path": "Note.md"}]}
        case "Note.md":
            return {"old": "a", "new": "b"}
    return {"path": "Note.md", "destination": "B.md"}


@pytest.mark.parametrize(
    ("method", "url", "body"),
    [
        ("POST", "/files/.move", r'{"path": "\ud800.md", "destination": "B.md"}'),
        ("POST", "/files/.replace/Note.md", r'{"old": "\ud800", "new": "x"}'),
        ("POST", "/files/.replace/Note.md", r'{"old": "A", "new": "\ud800"}'),
        ("POST", "/files/.batch", r'{"operations": [{"kind": "update", "path": "Note.md", "content": "\ud800"}]}'),
        ("PATCH", "/files/Note.md", r'{"target_type":"heading","operation":"append","content":"\ud800"}'),
        (
            "PATCH",
            "/files/Note.md",
            r'{"target_type":"frontmatter","target":"a\ud800","operation":"replace","value":1}',
        ),
        ("PATCH", "/files/Note.md", "[" * 100_000),
        ("POST", "/files/.batch", "[" * 100_000),
        ("POST", "/files/.move", b"\xff"),
    ],
)
def test_json_that_is_no_text_is_refused(server: "Server", method: str, url: str, body: str | bytes) -> None:
    content = server.write("Note.md", "# A\n")

    answer = server.client.request(method, url, content=body, headers={"Content-Type": "application/json"})

    assert answer.status_code in {400, 422}, answer.text
    assert server.everything() == {"Note.md": content}


def test_a_patch_tells_what_its_writer_should_know(server: "Server") -> None:
    server.write("Note.md", "# 1\n## 2\n### 3\n#### 4\n##### 5\n###### 6\n")
    deepest = {"target_type": "heading", "target": [*"123456"], "operation": "append", "content": "# deeper"}

    (warning,) = server.client.patch("/files/Note.md", json=deepest).json()["warnings"]

    assert warning["code"] == "heading-depth-overflow"
