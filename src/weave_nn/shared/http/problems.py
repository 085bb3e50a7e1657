"""Every failure that HTTP clients see, rendered in one place (RFC 9457, `application/problem+json`).

A route raises; nothing below this module knows how a failure looks on the wire. `Problem.of` turns an exception into
a value, a `Dialect` turns the value into a response. Most paths speak `PROBLEM_JSON`; a router that must answer as
another product does (Obsidian's Local REST API: `{message, errorCode}`) brings a dialect for its own path prefix.
"""

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from weave_nn.shared import context
from weave_nn.shared.errors import PreconditionFailed, Unauthenticated, Unavailable, WeaveError
from weave_nn.shared.http.conditional import ETag
from weave_nn.shared.http.prefixes import ByPrefix
from weave_nn.shared.http.ranges import RangeNotSatisfiable

TYPE_PREFIX = "urn:weave-nn:problem:"
"""`type` of a problem is this and its `code`; it never changes, so that clients may compare it."""

_VALUE_LENGTH = 200
_LOCATIONS = {"query": "query parameter", "path": "path", "header": "header", "body": "body", "cookie": "cookie"}


@dataclass(frozen=True, slots=True)
class Problem:
    """A failure as clients see it; `fields` are further members of the document, `headers` go with the response."""

    status: int
    code: str
    title: str
    detail: str
    instance: str
    hint: str | None = None
    fields: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, error: Exception, path: str) -> "Problem":
        """Describe any exception that a request to `path` ended with; an unexpected one reveals nothing of itself."""
        match error:
            case WeaveError():
                return cls(
                    status=int(error.status),
                    code=error.code,
                    title=error.title,
                    detail=error.detail,
                    instance=path,
                    hint=error.hint,
                    fields=error.fields,
                    headers=_headers(error),
                )
            case RequestValidationError():
                return _invalid_request(error, path)
            case HTTPException():
                return _http(error, path)
            case _:
                return cls(
                    status=500,
                    code=WeaveError.code,
                    title=WeaveError.title,
                    detail="The server failed in an unexpected way.",
                    instance=path,
                    hint="The server's log has the cause under this request id.",
                )

    def document(self) -> dict[str, Any]:
        """The members of the problem document, in the order in which people read them."""
        standard = {
            "type": TYPE_PREFIX + self.code,
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
            "hint": self.hint,
            "instance": self.instance,
            "request_id": context.request_id.get(),
        }
        present = {name: value for name, value in standard.items() if value is not None}
        return present | {name: value for name, value in self.fields.items() if name not in standard}


@dataclass(frozen=True, slots=True)
class Dialect:
    """How problems look under a path prefix: the renderer, and what the OpenAPI document says of its body."""

    render: Callable[[Problem], Response]
    media_type: str
    schema: Mapping[str, Any]


class Dialects(ByPrefix[Dialect]):
    """The dialect of each path: what its router brought for a prefix, else `PROBLEM_JSON`."""

    def __init__(self, by_prefix: Mapping[str, Dialect] | None = None) -> None:
        super().__init__(by_prefix or {}, PROBLEM_JSON)

    def respond(self, error: Exception, path: str) -> Response:
        """The response for `error`, in the dialect of `path`."""
        return self.at(path).render(Problem.of(error, path))


def json_body(document: Any) -> bytes:
    """Encode as JSON whatever an error may quote: undecodable file names and lone surrogates become escapes."""
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"), default=str).encode(
        "utf-8", "backslashreplace"
    )


def _render_problem(problem: Problem) -> Response:
    return Response(
        json_body(problem.document()),
        status_code=problem.status,
        headers=problem.headers,
        media_type="application/problem+json",
    )


PROBLEM_SCHEMA: Mapping[str, Any] = {
    "title": "Problem",
    "description": "A failure (RFC 9457). `detail` says what is wrong with which value, `hint` how to mend it.",
    "type": "object",
    "required": ["type", "title", "status", "detail", "instance"],
    "properties": {
        "type": {"type": "string", "format": "uri", "examples": [TYPE_PREFIX + "not_found"]},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "hint": {"type": "string"},
        "instance": {"type": "string", "description": "The path that was asked for."},
        "request_id": {"type": "string", "description": "Also in the X-Request-ID header and in the server's log."},
        "current_etag": {"type": ["string", "null"], "description": "With 412: the version that is there now."},
        "errors": {
            "type": "array",
            "description": "With 422: each value that was refused.",
            "items": {
                "type": "object",
                "required": ["in", "field", "reason"],
                "properties": {"in": {"type": "string"}, "field": {"type": "string"}, "reason": {"type": "string"}},
            },
        },
    },
    "additionalProperties": True,
}

PROBLEM_JSON = Dialect(_render_problem, "application/problem+json", {"$ref": "#/components/schemas/Problem"})


def _headers(error: WeaveError) -> dict[str, str]:
    match error:
        case Unauthenticated():
            return {"WWW-Authenticate": 'Bearer realm="weave-nn"'}
        case PreconditionFailed() if isinstance(current := error.fields.get("current_etag"), str):
            return {"ETag": str(ETag.from_text(current))}
        case RangeNotSatisfiable():
            return {"Content-Range": f"bytes */{error.fields['size']}"}
        case Unavailable():
            return {"Retry-After": str(math.ceil(error.fields.get("retry_after_seconds", 1)))}
        case _ if error.status == HTTPStatus.TOO_MANY_REQUESTS:
            return {"Retry-After": str(error.fields["retry_after_seconds"])}
        case _:
            return {}


def _http(error: HTTPException, path: str) -> Problem:
    """What the framework refuses by itself: unknown paths and methods, bodies that cannot be read."""
    try:
        status = HTTPStatus(error.status_code)
    except ValueError:
        status = HTTPStatus.INTERNAL_SERVER_ERROR
    details = {
        404: f"Nothing is served at {path}.",
        405: f"{path} does not answer this method; see the Allow header.",
    }
    said = str(error.detail)
    return Problem(
        status=error.status_code,
        code=status.name.lower(),
        title=status.phrase,
        detail=details.get(error.status_code, said) if said == status.phrase else said,
        instance=path,
        headers=error.headers or {},
    )


def _invalid_request(error: RequestValidationError, path: str) -> Problem:
    """422: a parameter or the body does not have the documented shape (a value that fits none is 400)."""
    errors = [_refused(one) for one in error.errors()]
    first = errors[0] if errors else {"in": "body", "field": "", "reason": "it is not valid"}
    where = _LOCATIONS.get(first["in"], first["in"])
    name = f" {first['field']!r}" if first["field"] else ""
    shown = f" has the value {first['value']!r}, which was refused" if "value" in first else " was refused"
    return Problem(
        status=422,
        code="invalid_request",
        title="Invalid request",
        detail=f"The {where}{name}{shown}: {first['reason']}.",
        instance=path,
        fields={"errors": errors},
    )


def _refused(error: Mapping[str, Any]) -> dict[str, Any]:
    location, *names = error["loc"] or ("body",)
    reason = str(error["msg"]).removeprefix("Value error, ").removesuffix(".")
    found: dict[str, Any] = {"in": str(location), "field": ".".join(map(str, names)), "reason": reason}
    # The value of something missing is the whole of what lacks it, and an unreadable body is no value at all.
    if error["type"] not in {"missing", "json_invalid"}:
        found["value"] = _shown(error.get("input"))
    return found


def _shown(value: Any) -> Any:
    if value is None or isinstance(value, bool | int) or (isinstance(value, float) and math.isfinite(value)):
        return value
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) <= _VALUE_LENGTH else text[:_VALUE_LENGTH] + "…"
