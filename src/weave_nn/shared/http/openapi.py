"""What the OpenAPI document says beyond the routes themselves: the key, and the problems that each route may answer.

Routers document what they return; which failures are possible follows from the operation and is added here.
"""

from collections.abc import Collection
from typing import Any

from weave_nn.shared.http.problems import PROBLEM_SCHEMA, Dialects

SECURITY_SCHEME = "ApiKey"

_DESCRIPTIONS = {
    "400": "A value that cannot be accepted",
    "401": "No API key, or an unknown one",
    "403": "Not allowed: read-only mode, a foreign origin, a missing scope",
    "404": "Not there",
    "405": "This method is not for this path",
    "408": "The body stopped coming",
    "409": "It does not fit the present state",
    "412": "Stale version; nothing was changed",
    "413": "The body is too large",
    "415": "This content type is not taken",
    "416": "The range is outside of the content",
    "421": "The Host header names another server",
    "422": "A parameter or the body does not have the documented shape",
    "500": "A defect; the log has it under the request id",
    "503": "Something needed does not answer now; try again",
}


def complete(document: dict[str, Any], *, public_paths: Collection[str], dialects: Dialects) -> dict[str, Any]:
    """Add to FastAPI's document, in place: the security scheme, and the possible problems of every operation."""
    components = document.setdefault("components", {})
    components.setdefault("securitySchemes", {})[SECURITY_SCHEME] = {
        "type": "http",
        "scheme": "bearer",
        "description": "The server's API key.",
    }
    schemas = components.setdefault("schemas", {})
    schemas.pop("HTTPValidationError", None)
    schemas.pop("ValidationError", None)
    schemas["Problem"] = dict(PROBLEM_SCHEMA)
    for path, item in document.get("paths", {}).items():
        for method, operation in item.items():
            public = path in public_paths
            operation["security"] = [{}, {SECURITY_SCHEME: []}] if public else [{SECURITY_SCHEME: []}]
            dialect = dialects.at(path)
            responses = operation["responses"]
            # FastAPI documents a shape of its own for 422, which is never sent.
            responses.pop("422", None)
            for status in sorted(_statuses(method, path, operation, public=public)):
                content = {dialect.media_type: {"schema": dict(dialect.schema)}}
                responses.setdefault(status, {"description": _DESCRIPTIONS[status], "content": content})
    return document


def _statuses(method: str, path: str, operation: dict[str, Any], *, public: bool) -> set[str]:
    parameters = {parameter["name"].lower() for parameter in operation.get("parameters", ())}
    found = {"403", "421", "500"}
    if not public:
        found |= {"400", "401", "503"}
    if parameters or "requestBody" in operation:
        found.add("422")
    if "{" in path:
        found.add("404")
    if method != "get":
        # Any request may carry a body, declared or not, and all bodies are bounded.
        found |= {"408", "409", "413"}
    if "requestBody" in operation:
        found.add("415")
    if "if-match" in parameters:
        found.add("412")
    if "range" in parameters:
        found.add("416")
    return found
