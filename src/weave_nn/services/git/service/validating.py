"""Looking at notes before they are committed: broken links, unreadable frontmatter. It reports, and blocks nothing."""

from collections.abc import Iterator, Sequence

from weave_nn.services.git.contract import Finding
from weave_nn.shared.errors import WeaveError
from weave_nn.vault.links import LinkResolver
from weave_nn.vault.parse import Note, parse
from weave_nn.vault.paths import is_note
from weave_nn.vault.store import Vault

MAX_NOTES = 200
_MAX_BYTES = 1024 * 1024


def check_notes(vault: Vault, paths: Sequence[str]) -> tuple[Finding, ...]:
    """What should be mended in these notes (vault paths), at most `MAX_NOTES` of them; missing ones are passed over."""
    parsed = {path: note for path in paths[:MAX_NOTES] if is_note(path) and (note := _parsed(vault, path)) is not None}
    links = _links(vault) if any(note.links for note in parsed.values()) else None
    return tuple(finding for path, note in parsed.items() for finding in _check(path, note, links))


def _parsed(vault: Vault, path: str) -> Note | None:
    try:
        return parse(vault.read(path, limit_bytes=_MAX_BYTES).content)
    except WeaveError:
        return None


def _links(vault: Vault) -> LinkResolver | None:
    try:
        return LinkResolver(vault.scan().files)
    except WeaveError:
        return None


def _check(path: str, note: Note, links: LinkResolver | None) -> Iterator[Finding]:
    for problem in note.problems:
        yield Finding(path, problem.line, problem.message)
    for link in note.links if links else ():
        if links and links.resolve(link.target, path) is None:
            yield Finding(path, link.line, f"the link to {link.target!r} leads to no note")
