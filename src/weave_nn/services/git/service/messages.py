"""Commit messages: what changed, in one line, with bounded detail below it and the events as trailers."""

from collections.abc import Sequence
from posixpath import commonpath

from weave_nn.services.git.adapters.staging import Change
from weave_nn.vault.paths import folder_of, is_note, name_of

TRAILER = "Weave-Event"
MAX_TRAILERS = 20
_MAX_NAMES_LENGTH = 60
_MAX_LINES = 30
_ORDER = ("create", "update", "rename", "delete")


def compose(changes: Sequence[Change], prefix: str = "", event_ids: Sequence[str] = (), subject: str = "") -> str:
    """The message for changes with git paths; `prefix` is the vault's folder, `subject` overrides the first line."""
    shown = [
        Change(each.kind, _clean(each.path, prefix), _clean(each.previous_path, prefix) if each.previous_path else None)
        for each in changes
    ]
    parts = [subject or _subject(shown)]
    if len(shown) > 1:
        parts.append(_list(shown))
    if event_ids:
        parts.append("\n".join(f"{TRAILER}: {each}" for each in event_ids[:MAX_TRAILERS]))
    return "\n\n".join(parts) + "\n"


def _subject(changes: Sequence[Change]) -> str:
    counts = {kind: sum(each.kind == kind for each in changes) for kind in _ORDER}
    done = ", ".join(f"{kind} {count}" for kind, count in counts.items() if count)
    folders = [folder_of(each.path) for each in changes]
    folder = commonpath(folders) if all(folders) else ""
    place = f" in {folder}" if folder else ""
    return f"notes: {done}{place} ({_names([_title(each.path) for each in changes])})"


def _names(names: Sequence[str]) -> str:
    taken: list[str] = []
    for name in names:
        short = name if len(name) <= _MAX_NAMES_LENGTH else f"{name[:_MAX_NAMES_LENGTH]}…"
        if taken and sum(map(len, taken)) + len(short) > _MAX_NAMES_LENGTH:
            break
        taken.append(short)
    left = len(names) - len(taken)
    return ", ".join(taken) + (f" and {left} more" if left else "")


def _list(changes: Sequence[Change]) -> str:
    lines = [
        f"- {each.kind} {each.previous_path + ' -> ' if each.previous_path else ''}{each.path}"
        for each in changes[:_MAX_LINES]
    ]
    if len(changes) > _MAX_LINES:
        lines.append(f"- and {len(changes) - _MAX_LINES} more")
    return "\n".join(lines)


def _title(path: str) -> str:
    name = name_of(path)
    return name.rpartition(".")[0] or name if is_note(path) else name


def _clean(path: str, prefix: str) -> str:
    """A path on one line: names may hold line ends, and bytes that are no text."""
    text = path.removeprefix(prefix).encode(errors="replace").decode()
    return "".join(character if character.isprintable() else "?" for character in text)
