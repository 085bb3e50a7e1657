"""Which file a link means, and how Obsidian would write a link to a file.

A link text is, in this order: the exact path of a file; a file in the folder of the note that links (or below it, for
`folder/name`); the file with the shortest path that ends with the text, the first in the order of characters among
several. Notes need no `.md`, other files need their extension, and a file whose whole name is the text comes before the
note that lacks its `.md`. Upper and lower case, composed and decomposed letters, blanks and non-breaking blanks are
the same. Aliases are suggestions of an editor and lead nowhere. Observed on Obsidian 1.13.7, where sources disagree.
"""

import unicodedata
from bisect import bisect_left, insort
from collections.abc import Iterable
from enum import StrEnum

from weave_nn.vault.paths import folder_of, join

_NOTE_SUFFIX = ".md"
_BLANKS = str.maketrans("\u00a0\u202f", "  ")


class LinkStyle(StrEnum):
    """How the vault's settings want new links to be written ("New link format")."""

    SHORTEST = "shortest"
    """The name alone where no other file has it, else the path."""
    RELATIVE = "relative"
    """The path from the folder of the note that links."""
    ABSOLUTE = "absolute"
    """The path from the root of the vault."""


def fold(text: str) -> str:
    """The form in which link texts and paths are compared."""
    if text.isascii():
        return text.lower()
    # The small sigma depends on what follows it, and what follows differs between a name and a name with its suffix.
    return unicodedata.normalize("NFC", text).translate(_BLANKS).lower().replace("\u03c2", "\u03c3")


class LinkResolver:
    """The files of a vault, ready to be found by what links say. Keep it up to date with `add` and `remove`."""

    def __init__(self, paths: Iterable[str] = ()) -> None:
        self._by_path: dict[str, list[str]] = {}
        self._by_name: dict[str, list[tuple[int, str, str]]] = {}
        for path in paths:
            self.add(path)

    def add(self, path: str) -> None:
        """Make a file known; nothing happens when it is known already."""
        key = fold(path)
        same = self._by_path.setdefault(key, [])
        if path in same:
            return
        insort(same, path)
        insort(self._by_name.setdefault(key.rpartition("/")[2], []), (len(path), path, key))

    def remove(self, path: str) -> None:
        """Forget a file; nothing happens when it is unknown."""
        key = fold(path)
        same = self._by_path.get(key, [])
        if path not in same:
            return
        same.remove(path)
        if not same:
            del self._by_path[key]
        name = key.rpartition("/")[2]
        entries = self._by_name[name]
        del entries[bisect_left(entries, (len(path), path, key))]
        if not entries:
            del self._by_name[name]

    def resolve(self, target: str, source: str) -> str | None:
        """The path of the file that a link in the note `source` leads to; None when there is none.

        `target` is `Link.target`: the text before `#` and `|`, percent-encoding undone. Empty, it means `source`.
        """
        text = target.strip()
        if not text:
            return source
        if text.startswith(("./", "../", "/")):
            path = _absolute(text, source)
            return None if path is None else self._exact(path)
        if "//" in text:
            text = "/".join(part for part in text.split("/") if part)
        return self._exact(text) or self._exact(join(folder_of(source), text)) or self._shortest(text)

    def shortest_link(
        self, path: str, source: str, style: LinkStyle = LinkStyle.SHORTEST, *, with_suffix: bool = False
    ) -> str:
        """The link text that Obsidian would write in the note `source` for the file at `path`, in the given style.

        `with_suffix` keeps the `.md` of a note, as Markdown links need it. The text always leads to `path`, if that
        is known: it is made longer until it does.
        """
        texts = [path] if with_suffix or not path.endswith(_NOTE_SUFFIX) else [path.removesuffix(_NOTE_SUFFIX), path]
        match style:
            case LinkStyle.SHORTEST:
                unique = len(self._by_name.get(fold(path).rpartition("/")[2], ())) == 1
                candidates = [text.rpartition("/")[2] for text in texts] if unique else []
            case LinkStyle.RELATIVE:
                ways = [relative_path(text, source) for text in texts]
                candidates = [*ways, *(f"./{way}" for way in ways)]
            case LinkStyle.ABSOLUTE:
                candidates = []
        candidates += texts
        candidates += (f"/{text}" for text in texts)
        return next((text for text in candidates if self.resolve(text, source) == path), texts[-1])

    def _exact(self, text: str) -> str | None:
        key = fold(text)
        # A file system may hold names that differ only by case: the spelling decides then.
        for candidate, spelled in ((key, text), (key + _NOTE_SUFFIX, text + _NOTE_SUFFIX)):
            if same := self._by_path.get(candidate):
                return spelled if spelled in same else same[0]
        return None

    def _shortest(self, text: str) -> str | None:
        key = fold(text)
        for candidate, spelled in ((key, text), (key + _NOTE_SUFFIX, text + _NOTE_SUFFIX)):
            ending = f"/{candidate}"
            for _, path, folded in self._by_name.get(candidate.rpartition("/")[2], ()):
                if folded.endswith(ending):
                    return next((same for same in self._by_path[folded] if same.endswith(spelled)), path)
        return None


def _absolute(text: str, source: str) -> str | None:
    """The path from the root that a text with a leading `./`, `../` or `/` means; None when it is not in the vault."""
    folders = [] if text.startswith("/") else folder_of(source).split("/")
    parts = [part for part in folders if part]
    for part in text.split("/"):
        if part == ".." and not parts:
            return None
        if part == "..":
            parts.pop()
        elif part not in {"", "."}:
            parts.append(part)
    return "/".join(parts)


def relative_path(path: str, source: str) -> str:
    """The way from the folder of `source` to `path`."""
    here, there = [part for part in folder_of(source).split("/") if part], path.split("/")
    shared = 0
    while shared < min(len(here), len(there) - 1) and here[shared] == there[shared]:
        shared += 1
    return "/".join([*[".."] * (len(here) - shared), *there[shared:]])
