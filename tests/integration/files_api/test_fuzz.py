"""Requests made from the OpenAPI document, sensible and not.

Whatever is sent: no failure of the server, no undocumented answer, and nothing outside of the vault changes.
"""

from typing import TYPE_CHECKING, Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

if TYPE_CHECKING:
    from integration.files_api.conftest import Server

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
HEADERS = {"Authorization": "Bearer a-key-of-the-tests", "Host": "127.0.0.1"}
FILES = {
    "0.md": b"---\n'0': 0\ntags: [x]\n---\n# 0\n\ntext [[0]] ^0\n\n## 0\n- [ ] 0\n",
    "0/0/0.md": b"[[0.md]]",
    "broken.md": b"---\na: [\n---\n\xff",
}
OPERATIONS = [
    *(f"{method} /files/{{path}}" for method in ("GET", "PUT", "POST", "PATCH", "DELETE")),
    *(f"{method} /vault/{{path}}" for method in ("GET", "PUT", "POST", "PATCH", "DELETE")),
    *(f"GET /files{path}" for path in ("", "/.trash", "/.periodic/{period}/{day}")),
    *(f"GET /files/{view}/{{path}}" for view in (".folders", ".stat", ".note")),
    *(f"POST /files{path}" for path in ("", "/.move", "/.copy", "/.restore", "/.batch", "/.replace/{path}")),
    "POST /files/.periodic/{period}/{day}",
    "GET /",
]


@pytest.fixture(scope="module")
def schema(lasting_server: "Server") -> Any:
    return schemathesis.openapi.from_asgi("/openapi.json", lasting_server.app, headers=HEADERS)


def test_every_operation_is_fuzzed(schema: Any) -> None:
    labels = {result.ok().label for result in schema.get_all_operations()}

    assert labels - {f"GET /{name}" for name in ("health", "ready", "metrics")} == set(OPERATIONS)


@pytest.mark.parametrize("label", OPERATIONS)
def test_every_answer_is_documented(schema: Any, server: "Server", label: str) -> None:
    operation = schema.find_operation_by_label(label)
    outside = _outside(server)
    modes = [GenerationMode.POSITIVE, GenerationMode.NEGATIVE]
    strategies = [operation.as_strategy(generation_mode=mode) for mode in modes]

    @given(data=st.data())
    @settings(
        max_examples=40,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def fuzz(data: st.DataObject) -> None:
        case = data.draw(st.one_of(strategies))
        case.call_and_validate(headers=HEADERS, checks=CHECKS)

    for path, content in FILES.items():
        server.write(path, content)
    fuzz()
    assert _outside(server) == outside


def _outside(server: "Server") -> set[str]:
    """Every file beside the vault but those of the database."""
    beside = (file for file in server.root.parent.rglob("*") if not file.is_relative_to(server.root))
    return {str(file) for file in beside if not file.name.startswith("weave.db")}
