"""What the sync service answers, as values. Paths are vault paths; positions count the characters of a note's text."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

FoundBy = Literal["words", "meaning"]


@dataclass(frozen=True, slots=True)
class Match:
    """A place in a note's text that fits the query: `start` up to `end`, in `line` (from 1)."""

    start: int
    end: int
    line: int


@dataclass(frozen=True, slots=True)
class Hit:
    """A note that fits a query.

    `score` is comparable within one answer only: the highest is the best, 0 where the query holds no text. `snippet` is
    a piece of the note's text as it stands there, from `snippet_start` on; `matches` are the first places in the whole
    text, so `match.start - snippet_start` is a place in the snippet. There are none if only title or tags fit.
    `found_by` is what found it; by meaning alone, the snippet is the passage that is nearest in meaning.
    """

    path: str
    title: str
    score: float
    snippet: str
    snippet_start: int
    matches: tuple[Match, ...]
    etag: str
    modified: datetime
    found_by: tuple[FoundBy, ...] = ("words",)


@dataclass(frozen=True, slots=True)
class SearchPage:
    """Some of the hits, best first; `next_cursor` asks for the following ones and is None at the end.

    `method` says how they were looked for.
    """

    hits: tuple[Hit, ...]
    next_cursor: str | None
    method: Literal["words", "words and meaning"] = "words"


@dataclass(frozen=True, slots=True)
class PlainMatch:
    """A place in a note's text, or (`source` is "filename") in its name, with the text around it."""

    start: int
    end: int
    source: Literal["content", "filename"]
    context: str


@dataclass(frozen=True, slots=True)
class PlainHit:
    """A note that holds all of some words."""

    path: str
    score: float
    matches: tuple[PlainMatch, ...]


@dataclass(frozen=True, slots=True)
class Evaluated:
    """A note for which an expression gave `result`, a JSON value that is not empty, zero or false."""

    path: str
    result: Any


@dataclass(frozen=True, slots=True)
class NoteSummary:
    """One note in a list."""

    path: str
    title: str
    modified: datetime


@dataclass(frozen=True, slots=True)
class NotePage:
    """Some of the notes; `next_cursor` asks for the following ones and is None at the end."""

    notes: tuple[NoteSummary, ...]
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class HeadingInfo:
    """One heading: `level` from 1, `line` from 1."""

    level: int
    text: str
    line: int


@dataclass(frozen=True, slots=True)
class NoteCard:
    """What is known of a note without its text. `size` in bytes; `blocks` are the ids of named blocks."""

    path: str
    title: str
    etag: str
    size: int
    created: datetime
    modified: datetime
    aliases: tuple[str, ...]
    tags: tuple[str, ...]
    frontmatter: dict[str, Any]
    headings: tuple[HeadingInfo, ...]
    blocks: tuple[str, ...]
    tasks: int
    open_tasks: int
    outgoing: int
    backlinks: int


@dataclass(frozen=True, slots=True)
class LinkInfo:
    """One link from `source`. `target` is the path it leads to, None while there is no such file; `text` is as written.

    `kind` is wikilink, embed, markdown, image or reference; `context` is the text of the line around it.
    """

    source: str
    target: str | None
    text: str
    subpath: str
    alias: str | None
    kind: str
    line: int
    start: int
    end: int
    context: str


@dataclass(frozen=True, slots=True)
class LinkPage:
    """Some of the links; `total` counts all, `next_cursor` asks for the following ones and is None at the end."""

    links: tuple[LinkInfo, ...]
    total: int
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class UnresolvedTarget:
    """A file that is linked to and does not exist: how many links there are, and some of the notes that link."""

    target: str
    links: int
    sources: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class UnresolvedPage:
    """Some of the missing targets, those with the most links first."""

    targets: tuple[UnresolvedTarget, ...]
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class GraphNode:
    """A file in the graph; `depth` is how many links it is away from where the question began."""

    path: str
    title: str
    depth: int = 0


@dataclass(frozen=True, slots=True)
class GraphEdge:
    """`links` links lead from `source` to `target`."""

    source: str
    target: str
    links: int


@dataclass(frozen=True, slots=True)
class Graph:
    """A part of the graph; `truncated` says that there is more than was asked for."""

    nodes: tuple[GraphNode, ...]
    edges: tuple[GraphEdge, ...]
    truncated: bool


@dataclass(frozen=True, slots=True)
class GraphPart:
    """Some of the vault's files with all links from them; `next_cursor` asks for the following, None at the end."""

    nodes: tuple[GraphNode, ...]
    edges: tuple[GraphEdge, ...]
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class TagCount:
    """A tag, and how many notes have it or a tag below it."""

    tag: str
    notes: int


@dataclass(frozen=True, slots=True)
class SimilarNote:
    """A note that resembles another: `reasons` says by what, such as `links`, `tag area/home`, `word sourdough`."""

    path: str
    title: str
    score: float
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Similar:
    """Notes that resemble one, best first.

    `method` says how that was found out: "links, tags and rare words", or "meaning, links, tags and rare words".
    """

    method: str
    notes: tuple[SimilarNote, ...]
