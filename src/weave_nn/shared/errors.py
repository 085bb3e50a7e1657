"""Expected failures, as types.

Every expected failure is a `WeaveError`. Code below the edges raises them and never renders them; each edge renders
all of them in one place: HTTP as problem details (RFC 9457), MCP as tool errors, the command line as one line on
stderr. Anything that is not a `WeaveError` is a defect and propagates.
"""

from http import HTTPStatus
from typing import Any, ClassVar


class WeaveError(Exception):
    """A failure that a caller can act upon.

    `detail` says what is wrong with which value; `hint` says how to mend it. `fields` are further facts for machines
    (such as `current_etag`), and become members of the problem document; they must be JSON values.
    """

    status: ClassVar[HTTPStatus] = HTTPStatus.INTERNAL_SERVER_ERROR
    code: ClassVar[str] = "internal"
    title: ClassVar[str] = "Internal error"

    def __init__(self, detail: str, *, hint: str | None = None, **fields: Any) -> None:
        super().__init__(detail)
        self.detail = detail
        self.hint = hint
        self.fields = fields

    def __str__(self) -> str:
        return f"{self.detail} {self.hint}" if self.hint else self.detail


class InvalidInput(WeaveError):
    """A value that can never be accepted; `fields["field"]` names it where there is one."""

    status = HTTPStatus.BAD_REQUEST
    code = "invalid_input"
    title = "Invalid input"


class Unauthenticated(WeaveError):
    """No credentials, or unknown ones."""

    status = HTTPStatus.UNAUTHORIZED
    code = "unauthenticated"
    title = "Authentication required"


class Forbidden(WeaveError):
    """The caller is known and may not do this (read-only mode, a foreign origin, a missing scope)."""

    status = HTTPStatus.FORBIDDEN
    code = "forbidden"
    title = "Not allowed"


class NotFound(WeaveError):
    """What was asked for is not there."""

    status = HTTPStatus.NOT_FOUND
    code = "not_found"
    title = "Not found"


class Conflict(WeaveError):
    """The request does not fit the present state (the note exists already, the move's target is taken)."""

    status = HTTPStatus.CONFLICT
    code = "conflict"
    title = "Conflict"


class PreconditionFailed(WeaveError):
    """The caller's version is stale; `fields["current_etag"]` is the present one, and nothing was changed."""

    status = HTTPStatus.PRECONDITION_FAILED
    code = "stale_version"
    title = "Stale version"


class TooLarge(WeaveError):
    """The content exceeds a limit; the detail names the limit."""

    status = HTTPStatus(413)
    code = "too_large"
    title = "Too large"


class UnsupportedMedia(WeaveError):
    """The content type is not one that this resource takes."""

    status = HTTPStatus.UNSUPPORTED_MEDIA_TYPE
    code = "unsupported_media"
    title = "Unsupported content type"


class Unavailable(WeaveError):
    """Something that we depend on does not answer now; the same request may succeed later."""

    status = HTTPStatus.SERVICE_UNAVAILABLE
    code = "unavailable"
    title = "Temporarily unavailable"
