"""How a link is written anew when its file has moved: in the manner in which it was written before."""

import re
from urllib.parse import quote

from weave_nn.vault.links import LinkResolver, LinkStyle, fold, relative_path
from weave_nn.vault.parse import Link, LinkKind
from weave_nn.vault.paths import folder_of, join

_NOTE_SUFFIX = ".md"
_NEVER_IN_WIKILINKS = re.compile(r"[\[\]#|\r\n]")
# Between angle brackets blanks may stand; elsewhere they, and what could end or begin something else, may not.
_SPECIAL_IN_BRACKETS = re.compile(r"[<>\\%#&|`$\x00-\x1f\x7f]")
_SPECIAL = re.compile(r"[\s<>()\\%#&|`$?:\"'\x00-\x1f\x7f]")
_ENCODED_BEYOND_ASCII = re.compile(rb"%[89A-Fa-f][0-9A-Fa-f]")
_QUOTED = re.compile(rb"\"(?:[^\"\\]|\\.)*+(\"?)|'(?:[^']|'')*+('?)")


def new_target(link: Link, files: LinkResolver, *, old: str, new: str, old_source: str, source: str) -> str:
    """The text that leads to `new` as `link` led to `old`, once its note stands at `source`.

    A bare name stays bare where it is the only one; what is relative to the note, or a path from the root, stays so.
    With `.md` before, with `.md` after.
    """
    text = link.target
    with_suffix = fold(text).endswith(_NOTE_SUFFIX) and fold(old).endswith(_NOTE_SUFFIX)
    shown = new if with_suffix else new.removesuffix(_NOTE_SUFFIX)
    if "/" not in text:
        return files.shortest_link(new, source, with_suffix=with_suffix)
    candidates: list[str] = []
    if text.startswith("/"):
        candidates = [f"/{shown}"]
    elif text.startswith(("./", "../")):
        way = relative_path(shown, source)
        candidates = [f"./{way}" if text.startswith("./") and not way.startswith("../") else way, f"./{way}"]
    elif not _same(text, old):
        if _same(join(folder_of(old_source), text), old):
            return files.shortest_link(new, source, LinkStyle.RELATIVE, with_suffix=with_suffix)
        candidates = ["/".join(shown.split("/")[-(text.count("/") + 1) :])]
    found = (candidate for candidate in candidates if files.resolve(candidate, source) == new)
    return next(found, "") or files.shortest_link(new, source, LinkStyle.ABSOLUTE, with_suffix=with_suffix)


def written_target(link: Link, target: str, content: bytes) -> bytes | None:
    """The bytes to put between `link.target_start` and `link.target_end`; None when this kind of link cannot say it."""
    match link.kind:
        case LinkKind.WIKILINK | LinkKind.EMBED:
            if _NEVER_IN_WIKILINKS.search(target):
                return None
            return _in_yaml(link, target, content).encode() if link.in_frontmatter else target.encode()
        case LinkKind.MARKDOWN | LinkKind.IMAGE | LinkKind.REFERENCE:
            if content[link.target_start - 1 : link.target_start] == b"<":
                return _SPECIAL_IN_BRACKETS.sub(_percent, target).encode()
            if _ENCODED_BEYOND_ASCII.search(content, link.target_start, link.target_end):
                return quote(target, safe="/!*+,;=@~-._").encode()
            return _SPECIAL.sub(_percent, target).encode()


def _same(text: str, path: str) -> bool:
    return fold(text).removesuffix(_NOTE_SUFFIX) == fold(path).removesuffix(_NOTE_SUFFIX)


def _percent(match: re.Match[str]) -> str:
    return quote(match[0], safe="")


def _in_yaml(link: Link, target: str, content: bytes) -> str:
    """The target with the escapes of the kind of quotes that the link stands in."""
    line_start = content.rfind(b"\n", 0, link.start) + 1
    opened = b""
    for match in _QUOTED.finditer(content, line_start, link.start):
        opened = b"" if match[1] or match[2] else match[0][:1]
    if opened == b"'":
        return target.replace("'", "''")
    return target.replace("\\", "\\\\").replace('"', '\\"') if opened == b'"' else target
