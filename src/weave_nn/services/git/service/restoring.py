"""Going back to a version: read from the history, written through the file service like any other change."""

from collections.abc import Sequence

from weave_nn.services.files.contract import FilesContract, Operation
from weave_nn.services.git.contract import GitContract, NotInVersion, Restored
from weave_nn.shared.errors import Conflict, WeaveError
from weave_nn.vault.errors import NotAFile, NoteNotFound, StaleVersion, printable
from weave_nn.vault.paths import normalize, normalize_folder

_BATCH = 100


class NotKept(Conflict):
    """What is there now is not in the history, so that there would be no way back; nothing was changed."""

    code = "not_kept"
    title = "The present version is not in the history"


class Restoring:
    """Implements `RestoreContract` over the contracts of both services; it opens no transaction of its own."""

    def __init__(self, git: GitContract, files: FilesContract) -> None:
        self._git = git
        self._files = files

    def restore(self, path: str, *, revision: str, if_match: str | None = None) -> Restored:
        """Restore a note or a folder; a folder of more than 100 changed files in several steps, each all or nothing."""
        path = normalize_folder(path)
        reason = self._keep_present(path)
        if path:
            try:
                version = self._git.show(path, revision=revision)
            except NotInVersion:
                if not self._git.list_version(revision=revision, folder=path):
                    raise
            else:
                operation = self._operation(path, version.content, if_match, reason)
                return self._write(version.commit, [operation], ())
        if if_match is not None:
            raise NotAFile(path or "the vault")
        return self._restore_folder(path, revision, reason)

    def _restore_folder(self, folder: str, revision: str, reason: WeaveError | None) -> Restored:
        commit, operations = "", list[Operation | None]()
        then = self._git.list_version(revision=revision, folder=folder)
        for path in then:
            version = self._git.show(normalize(path), revision=revision)
            commit = version.commit
            operations.append(self._operation(path, version.content, None, reason))
        now = self._git.list_version(revision="HEAD", folder=folder)
        return self._write(commit, operations, tuple(sorted(set(now) - set(then))))

    def _write(self, commit: str, operations: Sequence[Operation | None], kept: tuple[str, ...]) -> Restored:
        wanted = [operation for operation in operations if operation is not None]
        for start in range(0, len(wanted), _BATCH):
            self._files.run_batch(wanted[start : start + _BATCH])
        written = tuple(operation.path for operation in wanted)
        return Restored(commit, written, len(operations) - len(written), kept)

    def _operation(
        self, path: str, content: bytes, if_match: str | None, reason: WeaveError | None
    ) -> Operation | None:
        """How to write a file; None if it is like that already."""
        try:
            present = self._files.read_file(path)
        except NoteNotFound:
            if if_match is not None:
                raise StaleVersion(path, None) from None
            return Operation("create", path, content)
        if if_match not in {None, present.info.etag}:
            raise StaleVersion(path, present.info.etag)
        if present.content == content:
            return None
        if if_match is None and not self._is_kept(path, present.content):
            raise reason or NotKept(
                f"What {printable(path)} holds now is not in the history, and would be lost.",
                hint="Commit it, or give the ETag of the version that may be replaced as If-Match.",
                path=path,
            )
        return Operation("update", path, content, if_match=present.info.etag)

    def _keep_present(self, path: str) -> WeaveError | None:
        """Commit what is there; gives why that was impossible."""
        try:
            self._git.checkpoint(f"notes: before restoring {path or 'the vault'}", path=path)
        except WeaveError as error:
            return error
        return None

    def _is_kept(self, path: str, content: bytes) -> bool:
        try:
            latest = self._git.show(path, revision="HEAD").content
        except WeaveError:
            return False
        # The history may keep line ends in another form than the disk.
        return latest.replace(b"\r\n", b"\n") == content.replace(b"\r\n", b"\n")
