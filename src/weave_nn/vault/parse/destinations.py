"""Links in Markdown's own syntax: where their destination stands, and what it says."""

import html
import re
from typing import NamedTuple
from urllib.parse import unquote

from weave_nn.vault.text import decode_lossless

_MAX_TRIES = 8
_DESTINATION = rb"(?:<((?:[^<>\\\r\n]|\\.)*+)>|([^\s<][^\s]*?|))"
_TITLE = rb"(?:\s+(?:\"(?:[^\"\\]|\\.)*+\"|'(?:[^'\\]|\\.)*+'|\((?:[^()\\]|\\.)*+\)))?"
_INLINE = re.compile(rb"\]\(\s*+" + _DESTINATION + _TITLE + rb"\s*\)", re.DOTALL)
_DEFINITION = re.compile(rb"\[((?:[^\[\]\\]|\\.)*+)\]:\s*+(?:<((?:[^<>\\\r\n]|\\.)*+)>|(\S++))", re.DOTALL)
_EXTERNAL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:|//")
# A backslash or an ampersand makes of the mark an ordinary character.
_SUBPATH = re.compile(rb"(?<![\\&])#")
_ESCAPE = re.compile(r"\\([!-/:-@\[-`{-~])|&(?:#[0-9]+|#[xX][0-9a-fA-F]+|[A-Za-z0-9]+);")


class Destination(NamedTuple):
    """A path into the vault and its place in the text, without what encloses it; `text_end` is where the text ends."""

    target: str
    subpath: str
    start: int
    end: int
    text_end: int


def is_external(url: str) -> bool:
    """Whether the destination of a link has a scheme or a host of its own."""
    return _EXTERNAL.match(url) is not None


def inline_destination(view: bytes, start: int, end: int, url: str) -> Destination | None:
    """Where the destination of a link is written; None when it cannot be told with certainty."""
    at = end
    for _ in range(_MAX_TRIES):
        at = view.rfind(b"](", start, at)
        if at < 0:
            return None
        match = _INLINE.fullmatch(view, at, end)
        if match and (found := _read(view, *match.span(match.lastindex or 2), url, at)):
            return found
    return None


def definition_destination(view: bytes, start: int, end: int, url: str) -> tuple[Destination, bytes] | None:
    """The destination of `[label]: destination`, and the label."""
    match = _DEFINITION.match(view, start, end)
    if match is None:
        return None
    found = _read(view, *match.span(match.lastindex or 2), url, match.end(1))
    return (found, match[1]) if found else None


def _read(view: bytes, start: int, end: int, url: str, text_end: int) -> Destination | None:
    raw = view[start:end]
    if _unescaped(raw) != url:
        return None
    mark = _SUBPATH.search(raw)
    path_end = mark.start() if mark else len(raw)
    return Destination(
        unquote(_unescaped(raw[:path_end])), unquote(_unescaped(raw[path_end:])), start, start + path_end, text_end
    )


def _unescaped(raw: bytes) -> str:
    text = decode_lossless(raw)
    return _ESCAPE.sub(lambda match: match[1] or html.unescape(match[0]), text) if "\\" in text or "&" in text else text
