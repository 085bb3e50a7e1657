"""What Obsidian finds in the frontmatter: links in string values, tags, aliases, the title."""

import re
from collections.abc import Iterator
from typing import NamedTuple

import yaml

from weave_nn.vault.frontmatter import Frontmatter, JsonValue
from weave_nn.vault.parse.inline import NOTHING, Wikilink, wikilinks

_TAG_SEPARATORS = re.compile(r"[\s,]+")


def property_links(content: bytes, head: Frontmatter) -> Iterator[Wikilink]:
    """The links in string values: where they are written, and what they say to YAML.

    A link that is not in quotes is a list in a list to YAML, and one behind `#` is a comment: neither is yielded.
    """
    if head.span is None or content.find(b"[[", *head.span) < 0:
        return
    strings = "\n".join(_strings_in(head.values)).encode(errors="replace")
    for written in wikilinks(content, *head.span, NOTHING):
        for meant in _meanings(content[written[0] : written[1]]):
            if meant in strings and (said := next(wikilinks(meant, 0, len(meant), NOTHING), None)):
                yield *written[:4], *said[4:]
                break


class Properties(NamedTuple):
    """The properties that mean something to Obsidian."""

    title: str | None
    aliases: tuple[str, ...]
    tags: tuple[str, ...]


def read_properties(head: Frontmatter) -> Properties:
    """Title, aliases and tags: `alias` and `tag` count too, and a single string in the place of a list.

    Tags in one string are separated by blanks or commas; they come without `#`.
    """
    title: str | None = None
    aliases: list[str] = []
    tags: list[str] = []
    for key, value in head.values.items():
        match key.lower():
            case "title":
                title = next((text for item in _texts(value) if (text := item.strip())), title)
            case "aliases" | "alias":
                aliases += (text for item in _texts(value) if (text := item.strip()))
            case "tags" | "tag":
                words = (word for item in _texts(value) for word in _TAG_SEPARATORS.split(item))
                names = (word.removeprefix("#").rstrip("/") for word in words)
                tags += (name for name in names if name and not name.isdecimal())
    return Properties(title, tuple(aliases), tuple(tags))


def _texts(value: JsonValue) -> list[str]:
    return [item for item in (value if isinstance(value, list) else [value]) if isinstance(item, str)]


def _strings_in(value: JsonValue) -> Iterator[str]:
    # A stack of its own, since the depth of the values is the writer's choice.
    waiting = [value]
    while waiting:
        match waiting.pop():
            case str() as text:
                yield text
            case list() as items:
                waiting.extend(items)
            case dict() as mapping:
                waiting.extend(mapping.values())


def _meanings(raw: bytes) -> Iterator[bytes]:
    """What the text of a link may mean, in plain, single-quoted and double-quoted YAML."""
    yield raw
    if b"''" in raw:
        yield raw.replace(b"''", b"'")
    if b"\\" in raw:
        try:
            meant = yaml.load(b'"' + raw + b'"', Loader=yaml.CBaseLoader)  # noqa: S506 - it makes strings only
        except yaml.YAMLError:
            # These escapes mean nothing in YAML, so the text is none of a double-quoted value.
            return
        if isinstance(meant, str):
            yield meant.encode(errors="replace")
