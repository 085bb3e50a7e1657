"""What a database can be short of, as errors."""

from http import HTTPStatus

from weave_nn.shared.errors import Unavailable, WeaveError

LOCK_WAIT_SECONDS = 15


class DatabaseTooNew(WeaveError):
    """The database was written by a later version of the program; nothing was changed."""

    status = HTTPStatus.SERVICE_UNAVAILABLE
    code = "database_too_new"
    title = "Database from a newer version"


class DatabaseMoving(WeaveError):
    """What was asked for has to wait until the database's move is over; nothing was changed."""

    status = HTTPStatus.SERVICE_UNAVAILABLE
    code = "database_moving"
    title = "Database is moving"


class DatabaseBusy(Unavailable):
    """Others held what was needed for longer than `LOCK_WAIT_SECONDS`; nothing was written."""

    code = "database_busy"
    title = "Database busy"


class DatabaseConflict(DatabaseBusy):
    """The database ended this transaction in favour of another one; nothing was written, and it may be repeated."""

    code = "database_conflict"
    title = "Transaction ended in favour of another"


class DatabaseUnusable(Unavailable):
    """The database cannot be reached, opened, read or written (permissions, a full or broken disk, no server)."""

    code = "database_unusable"
    title = "Database not usable"
