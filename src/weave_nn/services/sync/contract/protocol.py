"""The questions that the sync service answers about the notes of a vault.

Every method reads one consistent state of the index, which follows the vault by a moment. Raises `NoteNotFound` for a
path that is not indexed, `InvalidInput` for a limit out of its range and for a cursor of another question.
"""

from typing import Any, Literal, Protocol

from weave_nn.services.sync.contract.results import (
    Evaluated,
    Graph,
    GraphPart,
    LinkPage,
    NoteCard,
    NotePage,
    PlainHit,
    SearchPage,
    Similar,
    TagCount,
    UnresolvedPage,
)
from weave_nn.shared.contracts import query

Completable = Literal["path", "tag", "heading"]


class SyncContract(Protocol):
    """Search, links, and the graph."""

    @query
    def search(
        self,
        q: str,
        *,
        limit: int = 20,
        cursor: str | None = None,
        snippet_chars: int = 240,
        semantic: bool = False,
    ) -> SearchPage:
        """Find notes by the query language of `contract.parser.parse`, best first; `limit` 1-100.

        Where more than 2,000 notes fit, they are told apart by title, aliases and headings alone, and those that have
        the words nowhere there follow with the score 0, the last modified first. A hit shows 20 matches at most.

        With `semantic` also notes that mean something similar without holding the query's single words, 100 at most;
        phrases, filters and exclusions hold for them too. Weak in Chinese, Japanese, Korean and Arabic: where hardly a
        word is known, words alone answer, and the page's `method` says so.

        Raises `QueryRefused` with the place of a mistake, `SemanticSearchMissing` where that is not installed.
        """
        ...

    @query
    def search_plain(self, text: str, *, context_chars: int = 100, limit: int = 1000) -> tuple[PlainHit, ...]:
        """Find notes that hold every word of `text`, or a word that begins so; there are no filters or operators."""
        ...

    @query
    def evaluate_logic(self, logic: Any, *, limit: int = 1000) -> tuple[Evaluated, ...]:
        """Evaluate a JsonLogic expression for each note, with `glob` and `regexp`; gives those where it holds.

        The expression sees `path`, `content`, `frontmatter`, `tags`, `stat` (`ctime` and `mtime` in milliseconds,
        `size`), `links`, `backlinks`. Raises `ExpressionRefused`.
        """
        ...

    @query
    def query_table(self, dql: str, *, limit: int = 1000) -> tuple[Evaluated, ...]:
        """Answer a Dataview TABLE query over frontmatter and `file.` fields; raises `ExpressionRefused` for others."""
        ...

    @query
    def describe_note(self, path: str) -> NoteCard:
        """What is known of one note, without its text."""
        ...

    @query
    def list_recent(self, *, limit: int = 20, cursor: str | None = None) -> NotePage:
        """Notes, the last modified first; `limit` 1-1000."""
        ...

    @query
    def list_backlinks(self, path: str, *, limit: int = 50, cursor: str | None = None) -> LinkPage:
        """Links from other notes to this file, by the path of the note; `limit` 1-1000."""
        ...

    @query
    def list_outgoing(self, path: str, *, limit: int = 50, cursor: str | None = None) -> LinkPage:
        """Links from this note, in the order of the text; `limit` 1-1000."""
        ...

    @query
    def find_neighbours(self, path: str, *, depth: int = 1, limit: int = 100) -> Graph:
        """Files that are at most `depth` (1-5) links away in either direction, the nearest first; `limit` 1-1000."""
        ...

    @query
    def find_path(self, source: str, target: str) -> tuple[str, ...]:
        """The fewest links between two notes, followed in either direction: all paths on the way; empty if none."""
        ...

    @query
    def list_unresolved(self, *, limit: int = 100, cursor: str | None = None) -> UnresolvedPage:
        """Files that are linked to and do not exist, those with the most links first; `limit` 1-1000."""
        ...

    @query
    def list_orphans(self, *, limit: int = 100, cursor: str | None = None) -> NotePage:
        """Notes that no link leads to or from, by path; `limit` 1-1000."""
        ...

    @query
    def read_graph(self, *, limit: int = 1000, cursor: str | None = None) -> GraphPart:
        """The whole graph, a part at a time, by path; `limit` 1-5000 files."""
        ...

    @query
    def find_similar(self, path: str, *, limit: int = 10) -> Similar:
        """Notes that resemble this one, also in meaning where semantic search is installed; `limit` 1-50."""
        ...

    @query
    def list_tags(self) -> tuple[TagCount, ...]:
        """Every tag by name, and those above it; a note counts for all tags above its own."""
        ...

    @query
    def list_related_tags(self, tag: str, *, limit: int = 20) -> tuple[TagCount, ...]:
        """Tags of notes that have `tag` or one below it, by how many of these notes have them; `limit` 1-100."""
        ...

    @query
    def complete(self, kind: Completable, prefix: str, *, limit: int = 20) -> tuple[str, ...]:
        """Paths, tags or headings that begin with, or else hold `prefix`, for completion; `limit` 1-100."""
        ...
