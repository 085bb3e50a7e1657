"""What can be wrong with a move, as errors."""

from http import HTTPStatus

from weave_nn.shared.errors import Unavailable, WeaveError


class MoveRefused(WeaveError):
    """What was asked for cannot be done in this phase, or with these databases; nothing was changed."""

    status = HTTPStatus.CONFLICT
    code = "move_refused"
    title = "Move refused"


class MoveBusy(Unavailable):
    """Another process works on the move, and did not let go of it in time."""

    code = "move_busy"
    title = "Another process moves the database"


class TargetAway(Unavailable):
    """PostgreSQL cannot be reached. Changes wait in the log; no write of a user is harmed."""

    code = "target_away"
    title = "PostgreSQL is away"


class Diverged(WeaveError):
    """The two databases differ where they must be equal; the detail names table, key and column."""

    status = HTTPStatus.INTERNAL_SERVER_ERROR
    code = "diverged"
    title = "The databases differ"
