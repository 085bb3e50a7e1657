"""What can go wrong with a vault, as types that a caller can tell apart."""

import errno
from http import HTTPStatus

from weave_nn.shared.errors import Conflict, InvalidInput, NotFound, PreconditionFailed, Unavailable, WeaveError


class PathRefused(InvalidInput):
    """The path can never name something in a vault, whatever is on the disk."""

    code = "path_refused"
    title = "Path refused"

    def __init__(self, path: str, reason: str, *, hint: str | None = None) -> None:
        super().__init__(f"The path {printable(path)} {reason}.", hint=hint, field="path")


class NoteNotFound(NotFound):
    """No such file or folder in the vault. A path that leaves the vault through a link looks the same."""

    def __init__(self, path: str) -> None:
        super().__init__(
            f"There is no {printable(path)} in the vault.", hint="List its folder to see what is there.", path=path
        )


class AlreadyExists(Conflict):
    """Something stands at the path already, and nothing was changed."""

    code = "already_exists"
    title = "Already exists"

    def __init__(self, path: str) -> None:
        super().__init__(
            f"{printable(path)} exists already.",
            hint="Choose another path, or update the existing file with the ETag of its present version.",
            path=path,
        )


class NotAFile(Conflict):
    """The path names a folder or a special file where a file is needed."""

    code = "not_a_file"
    title = "Not a file"

    def __init__(self, path: str, what: str = "a folder") -> None:
        super().__init__(f"{printable(path)} is {what}, not a file.", hint="Give the path of a file.", path=path)


class NotAFolder(Conflict):
    """The path names a file where a folder is needed."""

    code = "not_a_folder"
    title = "Not a folder"

    def __init__(self, path: str) -> None:
        super().__init__(
            f"A file stands where {printable(path)} needs a folder.", hint="Choose another folder.", path=path
        )


class StaleVersion(PreconditionFailed):
    """The file is not the version that the writer saw; `fields["current_etag"]` is the present one, None when gone."""

    def __init__(self, path: str, current_etag: str | None) -> None:
        state = "was changed by somebody else" if current_etag else "is not there any more"
        super().__init__(
            f"{printable(path)} {state}; nothing was written.",
            hint="Read it again, merge your change, and write with the new ETag.",
            path=path,
            current_etag=current_etag,
        )


class VaultUnusable(WeaveError):
    """The vault folder is missing, not a folder, unreadable or unwritable."""

    status = HTTPStatus.SERVICE_UNAVAILABLE
    code = "vault_unusable"
    title = "The vault cannot be used"


class ScanFailed(Unavailable):
    """The vault could not be listed completely. Never take what is missing for deleted: keep the last known state."""

    code = "scan_failed"
    title = "The vault could not be listed"


class StorageFull(WeaveError):
    """The disk or the quota is full; everything is as it was."""

    status = HTTPStatus.INSUFFICIENT_STORAGE
    code = "storage_full"
    title = "No space left"


class WriteFailed(WeaveError):
    """The file system refused a change; the detail says whether everything is as it was."""

    code = "write_failed"
    title = "The file system refused the change"


def printable(path: str) -> str:
    """The path, quoted for a message: one line, whatever characters it holds, and never longer than a line."""
    shown = path if len(path) <= 200 else f"{path[:200]}…"
    return "'" + shown.encode("unicode_escape" if not shown.isprintable() else "utf-8", "replace").decode() + "'"


def from_os_error(error: OSError, path: str) -> WeaveError:
    """The typed form of a failure that the file system reported while it changed `path`."""
    match error.errno:
        case errno.ENOSPC | errno.EDQUOT | errno.EFBIG:
            return StorageFull(
                f"There is no room to write {printable(path)}; nothing was changed.", hint="Free some disk space."
            )
        case errno.EEXIST:
            return AlreadyExists(path)
        case errno.ENOTDIR:
            return NotAFolder(path)
        case errno.ENOENT:
            return NoteNotFound(path)
        case errno.ENAMETOOLONG:
            return PathRefused(path, "is longer than this file system allows")
        case _:
            return WriteFailed(
                f"{printable(path)} could not be changed ({error.strerror}); everything is as it was.",
                hint="Check the permissions of the file and of its folder, and that the disk is healthy.",
            )
