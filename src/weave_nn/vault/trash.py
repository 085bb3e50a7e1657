"""The vault's `.trash`: the names of what lies there, which alone say where each file came from.

A file keeps its path below `.trash`. Where that is taken, `.trashed-2` (3, …) goes before its suffix; a file whose own
name ends like that always gets one, so that taking off exactly one gives the original path. No list can be lost, and
what Obsidian itself moved to `.trash` can be restored as well.
"""

import re
from collections.abc import Iterator

from weave_nn.shared.errors import InvalidInput
from weave_nn.vault.errors import printable
from weave_nn.vault.paths import SEGMENT_LIMIT_BYTES, folder_of, join, name_of

TRASH = ".trash"
_MARKED = re.compile(r"(?P<stem>.*?)\.trashed-[0-9]+(?P<suffix>(?:\.[^.]*)?)", re.DOTALL)


def candidates(path: str) -> Iterator[str]:
    """Where `path` may go in the trash, best first, without end."""
    folder, name = join(TRASH, folder_of(path)) if folder_of(path) else TRASH, name_of(path)
    if not _MARKED.fullmatch(name):
        yield join(folder, name)
    stem, dot, suffix = name.rpartition(".")
    if not stem:
        stem, dot, suffix = name, "", ""
    number = 2
    while True:
        end = f".trashed-{number}{dot}{suffix}"
        # A name at the limit loses its last characters: restored without a destination, it comes back shorter.
        room = SEGMENT_LIMIT_BYTES - len(end.encode())
        yield join(folder, stem.encode()[:room].decode(errors="ignore").rstrip(". ") + end)
        number += 1


def original(trashed: str) -> str:
    """The path that a file in the trash had. Raises `InvalidInput` for a path that is not in the trash."""
    path = trashed.removeprefix(f"{TRASH}/")
    if path == trashed:
        raise InvalidInput(
            f"{printable(trashed)} is not in the trash.", hint=f"Give a path that begins with '{TRASH}/'."
        )
    name = name_of(path)
    if marked := _MARKED.fullmatch(name):
        name = marked["stem"] + marked["suffix"]
    return join(folder_of(path), name)
