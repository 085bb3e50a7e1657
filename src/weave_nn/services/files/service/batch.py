"""Several operations as one: all are made, or none."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from weave_nn.services.files.contract import Moved, Operation, Trashed, Written
from weave_nn.services.files.service.line_edits import append_text
from weave_nn.services.files.service.moving import move_changes
from weave_nn.shared.errors import InvalidInput, TooLarge
from weave_nn.vault.changes import ABSENT, Applied, Change, Trash, Write
from weave_nn.vault.errors import NoteNotFound, StaleVersion, printable
from weave_nn.vault.paths import normalize
from weave_nn.vault.store import Vault

_MAX_OPERATIONS = 500

Result = Written | Moved | Trashed


@dataclass(frozen=True, slots=True)
class BatchPlan:
    """The changes of all operations in order, and for each operation how many are its own and what it answers."""

    changes: tuple[Change, ...]
    parts: tuple[tuple[int, Callable[[Sequence[Applied]], Result]], ...]

    def results(self, applied: Sequence[Applied]) -> tuple[Result, ...]:
        """What each operation led to."""
        answers: list[Result] = []
        start = 0
        for count, answer in self.parts:
            answers.append(answer(applied[start : start + count]))
            start += count
        return tuple(answers)


def plan_batch(vault: Vault, operations: Sequence[Operation], note_limit_bytes: int) -> BatchPlan:
    """Plan operations against the vault as it is now; each file may be named by one of them only.

    Raises `InvalidInput` when two operations touch the same file (a move touches every note that it relinks).
    """
    if not 1 <= len(operations) <= _MAX_OPERATIONS:
        raise InvalidInput(f"A batch has from 1 to {_MAX_OPERATIONS} operations, not {len(operations)}.")
    changes: list[Change] = []
    parts: list[tuple[int, Callable[[Sequence[Applied]], Result]]] = []
    touched: set[str] = set()
    for operation in operations:
        own, answer = _plan_one(vault, operation, note_limit_bytes)
        for path in {path for change in own for path in _paths(change)}:
            if path in touched:
                raise InvalidInput(
                    f"Two operations of the batch touch {printable(path)}.",
                    hint="Put them into requests of their own, one after the other.",
                )
        touched |= {path for change in own for path in _paths(change)}
        changes += own
        parts.append((len(own), answer))
    return BatchPlan(tuple(changes), tuple(parts))


def _plan_one(
    vault: Vault,
    operation: Operation,
    note_limit_bytes: int,
) -> tuple[Sequence[Change], Callable[[Sequence[Applied]], Result]]:
    path = normalize(operation.path)
    if len(operation.content) > note_limit_bytes:
        raise TooLarge(f"The content for {printable(path)} is larger than {note_limit_bytes} bytes.")
    match operation.kind:
        case "create":
            return [Write(path, operation.content, ABSENT)], _written
        case "update":
            return [Write(path, operation.content, operation.if_match)], _written
        case "append":
            return [_append(vault, path, operation)], _written
        case "delete":
            return [Trash(path, operation.if_match)], _trashed
        case "move":
            plan = move_changes(vault, path, operation.destination, if_match=operation.if_match, overwrite=False)
            return plan.changes, plan.result


def _append(vault: Vault, path: str, operation: Operation) -> Write:
    try:
        present = vault.read(path)
    except NoteNotFound:
        if operation.if_match is not None:
            raise StaleVersion(path, None) from None
        return Write(path, append_text(b"", operation.content), ABSENT)
    if operation.if_match not in {None, present.etag}:
        raise StaleVersion(path, present.etag)
    return Write(path, append_text(present.content, operation.content), present.etag)


def _paths(change: Change) -> set[str]:
    match change:
        case Write(path) | Trash(path):
            return {path}
        case _:
            return {getattr(change, "source", ""), getattr(change, "destination", "")}


def _written(applied: Sequence[Applied]) -> Written:
    (one,) = applied
    return Written(one.path, one.etag or "", one.stat.size if one.stat else 0, created=one.previous_etag is None)


def _trashed(applied: Sequence[Applied]) -> Trashed:
    (one,) = applied
    return Trashed(one.path, one.source or "", one.stat.size if one.stat else 0)
