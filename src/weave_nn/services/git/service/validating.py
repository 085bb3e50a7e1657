"""Looking at notes before they are committed: broken links, unreadable frontmatter. It reports, and blocks nothing."""

import time
from collections.abc import Iterable, Iterator, Sequence

from weave_nn.services.git.contract import Finding
from weave_nn.shared.errors import WeaveError
from weave_nn.vault.links import LinkResolver
from weave_nn.vault.parse import Note, parse
from weave_nn.vault.paths import is_note
from weave_nn.vault.store import Vault

MAX_NOTES = 200
_MAX_BYTES = 1024 * 1024
_REMEMBERED_SECONDS = 600.0


class NoteChecker:
    """Finds what should be mended in notes. It remembers which files there are, for a while."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault
        self._links: LinkResolver | None = None
        self._links_until = 0.0

    def check(self, paths: Sequence[str]) -> tuple[Finding, ...]:
        """The findings in these notes (vault paths), at most `MAX_NOTES` of them; missing ones are passed over."""
        wanted = [path for path in paths if is_note(path)][:MAX_NOTES]
        parsed = {path: note for path in wanted if (note := self._parsed(path)) is not None}
        links = self._resolver() if any(note.links for note in parsed.values()) else None
        return tuple(finding for path, note in parsed.items() for finding in _check(path, note, links))

    def changed(self, appeared: Iterable[str], gone: Iterable[str]) -> None:
        """Keep in step with files that came and went."""
        if self._links is not None:
            for path in gone:
                self._links.remove(path)
            for path in appeared:
                self._links.add(path)

    def _parsed(self, path: str) -> Note | None:
        try:
            return parse(self._vault.read(path, limit_bytes=_MAX_BYTES).content)
        except WeaveError:
            return None

    def _resolver(self) -> LinkResolver | None:
        # Listing a large vault takes longer than a commit. Files that git ignores come and go unnoticed for so long.
        if self._links is None or time.monotonic() > self._links_until:
            try:
                self._links = LinkResolver(self._vault.scan().files)
            except WeaveError:
                return None
            self._links_until = time.monotonic() + _REMEMBERED_SECONDS
        return self._links


def _check(path: str, note: Note, links: LinkResolver | None) -> Iterator[Finding]:
    for problem in note.problems:
        yield Finding(path, problem.line, problem.message)
    for link in note.links if links else ():
        if links and links.resolve(link.target, path) is None:
            yield Finding(path, link.line, f"the link to {link.target!r} leads to no note")
