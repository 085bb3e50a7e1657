"""Expressions over the JSON of every note."""

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from weave_nn.services.sync.contract.results import Evaluated
from weave_nn.services.sync.repository.graph import GraphReader
from weave_nn.services.sync.repository.notes import NoteReader, StoredNote
from weave_nn.services.sync.service.jsonlogic import JsonLogic, is_truthy, variables
from weave_nn.services.sync.service.paging import checked_limit

RESULT_LIMIT = 10_000
_MILLISECOND_NS = 1_000_000


def evaluate(notes: NoteReader, graph: GraphReader, logic: Any, limit: int) -> tuple[Evaluated, ...]:
    """See `SyncContract.evaluate_logic`."""
    checked_limit(limit, RESULT_LIMIT)
    expression = JsonLogic(logic)
    found: list[Evaluated] = []
    for document in _documents(notes, graph, variables(logic)):
        result = expression.evaluate(document)
        if is_truthy(result):
            found.append(Evaluated(document["path"], result))
            if len(found) == limit:
                break
    return tuple(found)


def _documents(notes: NoteReader, graph: GraphReader, wanted: set[str]) -> Iterator[dict[str, Any]]:
    """Each note as clients of the Local REST API know it; what is costly only where it is asked for."""
    tags = notes.tags_of_all()
    everything = "" in wanted
    out: dict[int, list[str]] = defaultdict(list)
    back: dict[int, list[str]] = defaultdict(list)
    if everything or wanted & {"links", "backlinks"}:
        for source, source_path, target, target_path in graph.linked_paths():
            out[source].append(target_path)
            back[target].append(source_path)
    for note in notes.each():
        document = _document(note, tags.get(note.id, []))
        document |= {"links": out.get(note.id, []), "backlinks": back.get(note.id, [])}
        if everything or "content" in wanted:
            document["content"] = notes.texts([note.id])[note.id]
        yield document


def _document(note: StoredNote, tags: list[str]) -> dict[str, Any]:
    return {
        "path": note.path,
        "tags": tags,
        "frontmatter": note.frontmatter,
        "stat": {
            "ctime": note.created_ns // _MILLISECOND_NS,
            "mtime": note.mtime_ns // _MILLISECOND_NS,
            "size": note.size,
        },
    }
