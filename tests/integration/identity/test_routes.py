"""Every route of the whole application, with every kind of key: who has no right to change the vault cannot."""

import hashlib
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
from fastapi.routing import iter_route_contexts
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient

from weave_nn.entrypoints import monolith
from weave_nn.shared.config import load, prepare
from weave_nn.shared.http.authentication import CONTRACT_SEGMENT
from weave_nn.shared.identity import Identity, scopes_of
from weave_nn.shared.identity.keyring import Keyring
from weave_nn.shared.identity.passing import HEADER, encode

ADMIN, SERVICE = "a" * 40, "s" * 40
UNAUTHORIZED, FORBIDDEN = 401, 403
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
OPEN = frozenset({"/health", "/ready", "/"})
VALUES = {"path": "Inbox.md", "filename": "Inbox.md", "period": "daily", "year": "2026", "month": "11", "day": "22"}
Answer = httpx2.Response


@dataclass(frozen=True)
class House:
    """The application, its vault, and keys by what they are for."""

    client: TestClient
    vault: Path
    keys: dict[str, str]
    operations: list[tuple[str, str]]
    calls: list[str]
    asking: frozenset[str]

    def request(self, method: str, path: str, key: str | None = None, **headers: str) -> Answer:
        if key is not None:
            headers["Authorization"] = f"Bearer {key}"
        body: dict[str, Any] = {"content": b"# changed", "headers": {"Content-Type": "text/markdown", **headers}}
        return self.client.request(method, path, **body)

    def files(self) -> dict[str, str]:
        """Every file and folder of the vault, with the digest of its bytes."""
        return {
            str(file.relative_to(self.vault)): hashlib.sha256(file.read_bytes()).hexdigest() if file.is_file() else ""
            for file in self.vault.rglob("*")
        }


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    folder = tmp_path_factory.mktemp("house")
    shutil.copytree(Path("examples/vault"), folder / "vault")
    (folder / "vault/Inbox.md").write_text("# Inbox\n")
    chosen = {"vault": folder / "vault", "data_dir": folder / "state", "watch": "off", "semantic": "off"}
    loaded = load(chosen | {"api_key": ADMIN, "service_key": SERVICE, "git_auto_commit": False}).settings
    built = monolith.build(loaded, prepare(loaded))
    built.start()
    try:
        keyring = Keyring(built.runtime.database)
        keys = {scope: keyring.create(scope, scopes_of([scope])).secret for scope in ("read", "write", "admin")}
        with TestClient(built.app, base_url="http://127.0.0.1") as client:
            document = client.get("/openapi.json", headers={"Authorization": f"Bearer {ADMIN}"}).json()
            operations = [
                (method.upper(), path.format(**{name: VALUES.get(name, "1") for name in _names(path)}))
                for path, item in document["paths"].items()
                for method in item
                if method.upper() in SAFE | {"POST", "PUT", "PATCH", "DELETE"}
            ]
            asking = frozenset().union(*(part.reading_paths for _, part in built.composed))
            calls = [
                path
                for each in iter_route_contexts(built.app.routes)
                if CONTRACT_SEGMENT in (path := each.path or "") and "{" not in path
            ]
            yield House(client, folder / "vault", keys, operations, calls, asking)
    finally:
        built.stop()


def _names(path: str) -> list[str]:
    return [part.split("}")[0].split(":")[0] for part in path.split("{")[1:]]


def test_there_are_as_many_operations_as_one_would_think(house: House) -> None:
    assert len(house.operations) > 60
    assert {method for method, _ in house.operations} >= {"GET", "POST", "PUT", "PATCH", "DELETE"}


def test_nobody_gets_in_without_a_key(house: House) -> None:
    before = house.files()
    for method, path in house.operations:
        for key in (None, "", "wrong", house.keys["read"][:-1], "weave_0123456789abcdef_" + "A" * 43, "a.b.c"):
            answer = house.request(method, path, key)
            assert (answer.status_code == UNAUTHORIZED) == (path not in OPEN), (method, path, key)
    assert house.files() == before


def test_a_reading_key_reads_everywhere_and_changes_nothing(house: House) -> None:
    before = house.files()
    for method, path in house.operations:
        status = house.request(method, path, house.keys["read"]).status_code
        asks = method in SAFE or path in OPEN or any(path.startswith(prefix) for prefix in house.asking)
        assert (status == FORBIDDEN) == (not asks), (method, path, status)
        assert status != UNAUTHORIZED
    assert house.files() == before


def test_a_service_is_held_to_the_scopes_of_whoever_it_calls_for(house: House) -> None:
    before = house.files()
    reader = encode(Identity("ada", scopes_of(["read"])))
    nobody = encode(Identity("nobody", frozenset()))
    for method, path in house.operations:
        if method in SAFE or path in OPEN or any(path.startswith(prefix) for prefix in house.asking):
            continue
        for passed_on in (reader, nobody):
            answer = house.request(method, path, SERVICE, **{HEADER: passed_on})
            assert answer.status_code == FORBIDDEN, (method, path)
        assert house.request(method, path, SERVICE, **{HEADER: "forged"}).status_code == UNAUTHORIZED
    assert house.files() == before


def test_nobody_becomes_another_by_saying_so(house: House) -> None:
    before = house.files()
    admin = encode(Identity("admin", scopes_of(["admin"])))
    for name in (HEADER, HEADER.lower(), HEADER.upper()):
        for method, path in house.operations:
            if method not in SAFE and path not in OPEN and not any(path.startswith(each) for each in house.asking):
                answer = house.request(method, path, house.keys["read"], **{name: admin})
                assert answer.status_code == FORBIDDEN, (method, path)
                assert house.request(method, path, None, **{name: admin}).status_code == UNAUTHORIZED
    assert house.files() == before


def test_calls_between_services_are_for_services(house: House) -> None:
    path = "/files/-/contract/anything"
    for key in (house.keys["read"], house.keys["write"]):
        assert house.request("POST", path, key).status_code == FORBIDDEN
    reader = encode(Identity("ada", scopes_of(["read"])))
    assert house.request("POST", path, SERVICE, **{HEADER: reader}).status_code == FORBIDDEN


@given(
    st.sampled_from(["Bearer {}", "bearer {}", "Basic {}", "Digest {}", "{}", "Bearer  {} x", "Bearer,{}", "Token {}"]),
    st.text(max_size=40) | st.sampled_from(["read", "admin"]),
)
@settings(max_examples=100)
def test_only_a_whole_key_in_the_right_scheme_opens(house: House, scheme: str, credential: str) -> None:
    text = scheme.format(house.keys.get(credential, credential))
    header = text.encode("utf-8", "surrogatepass").replace(b"\n", b"").replace(b"\r", b"")
    answer = house.client.get("/files", headers=[(b"Authorization", header)])
    opens = credential in house.keys and scheme.lower() == "bearer {}"
    assert answer.status_code == (200 if opens else UNAUTHORIZED)


def test_a_writing_key_writes(house: House) -> None:
    answer = house.request("PUT", "/files/Notes/By%20key.md", house.keys["write"], **{"If-None-Match": "*"})
    assert answer.status_code == 201, answer.text
    assert (house.vault / "Notes/By key.md").read_text() == "# changed"


def test_calls_that_change_something_need_a_service_that_calls_for_a_writer(house: House) -> None:
    reader, writer = ({HEADER: encode(Identity("ada", scopes_of([scope])))} for scope in ("read", "write"))
    assert len(house.calls) > 30
    before = house.files()
    statuses = {}
    for path in (*house.calls, "/files/-/contract/unknown", "/git/-/contract/unknown"):
        assert house.request("POST", path).status_code == UNAUTHORIZED
        for scope in ("read", "write"):
            assert house.request("POST", path, house.keys[scope]).status_code == FORBIDDEN
            assert house.request("POST", path, house.keys[scope], **writer).status_code == FORBIDDEN
        statuses[path] = house.request("POST", path, SERVICE, **reader).status_code
    assert statuses["/files/-/contract/read_file"] != FORBIDDEN
    assert statuses["/files/-/contract/delete_file"] == FORBIDDEN
    # What is sent is no call of it, so that getting through changes nothing either.
    through = house.request("POST", "/files/-/contract/delete_file", SERVICE, **writer)
    assert through.status_code not in {FORBIDDEN, UNAUTHORIZED}
    for method in ("PUT", "POST", "PATCH", "DELETE", "GET"):
        assert house.request(method, "/files/-/contract/unknown", SERVICE, **writer).status_code == 404
    assert house.files() == before
