"""Failures as the plugin reports them: `{message, errorCode}`, where the status is the code's first three digits."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from starlette.responses import Response

from weave_nn.shared.errors import InvalidInput
from weave_nn.shared.http import Dialect, Problem, json_body

# The plugin's codes, of those problems that it knows. A failure may also bring its own in the field `error_code`.
_CODES: Mapping[str, int] = {
    "frontmatter_not_editable": 40005,
    "path_refused": 40021,
    "period_disabled": 40060,
    "patch_invalid": 40081,
    "frontmatter_merge_impossible": 40081,
    "unauthenticated": 40101,
    "not_a_file": 40510,
    "already_exists": 40920,
}

_SCHEMA: Mapping[str, Any] = {
    "title": "Error",
    "type": "object",
    "required": ["message", "errorCode"],
    "properties": {
        "message": {"type": "string"},
        "errorCode": {"type": "integer", "description": "Five digits; the first three are the status."},
    },
}


class ConflictingTarget(InvalidInput):
    """A request names its target twice: in the URL, in headers or in its body."""

    status = HTTPStatus.UNPROCESSABLE_CONTENT if hasattr(HTTPStatus, "UNPROCESSABLE_CONTENT") else HTTPStatus(422)
    code = "conflicting_target"
    title = "Conflicting target"


def refusal(error_code: int, detail: str, *, hint: str | None = None) -> InvalidInput:
    """A failure with one of the plugin's own codes."""
    return InvalidInput(detail, hint=hint, error_code=error_code)


def _render(problem: Problem) -> Response:
    code = problem.fields.get("error_code") or _CODES.get(problem.code) or problem.status * 100
    message = f"{problem.detail} {problem.hint}" if problem.hint else problem.detail
    body = json_body({"message": message, "errorCode": code})
    return Response(body, code // 100, problem.headers, media_type="application/json")


DIALECT = Dialect(_render, "application/json", _SCHEMA)
"""For the path prefixes of the dialect. Failures with a field `error_code` are reported with that code."""
