"""Prompts: what people ask an agent to do with their notes again and again.

A prompt names the notes that it is about as links to resources, so that they are read only where they are needed.
"""

from collections.abc import Callable, Iterable
from functools import wraps
from typing import ParamSpec, TypeVar

from mcp import MCPError
from mcp_types import INVALID_PARAMS, ResourceLink, TextContent

from weave_nn.services.sync.contract import SyncContract
from weave_nn.services.sync.tools.uris import uri_of
from weave_nn.shared.errors import InvalidInput, NotFound, WeaveError
from weave_nn.shared.mcp import VaultServer
from weave_nn.vault.media_types import media_type

LINKS = 20

_CAREFUL = (
    "Name the notes that you rely on by their paths. Say what you did not find. Change nothing without asking me first."
)

Message = list[TextContent | ResourceLink]
_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")


def register_prompts(server: VaultServer, sync: SyncContract) -> None:
    """Offer the prompts; their arguments are completed from the vault."""

    @server.prompt(description="Look back on a day and forward to the next")
    @_explained
    def daily_review(day: str = "today") -> Message:
        changed = [hit.path for hit in sync.search(f"modified:{day}", limit=LINKS).hits]
        return _message(
            f"Review my day ({day}). The notes that changed are linked; there may be more (search_notes: "
            f"modified:{day}). Tell me: what was done, what is open (search_notes: has:tasks), what was promised to "
            f"whom, and the three things that matter most next. {_CAREFUL}",
            changed,
        )

    @server.prompt(description="Where a project stands: a note, or a #tag")
    @_explained
    def summarise_project(project: str) -> Message:
        if project.startswith("#"):
            notes = [hit.path for hit in sync.search(f'tag:"{project[1:]}"', limit=LINKS).hits]
        else:
            graph = sync.find_neighbours(_note(sync, project), limit=LINKS)
            notes = [node.path for node in graph.nodes]
        return _message(
            f"Summarise the project {project}. Its notes are linked, the most important first; follow their links "
            "(get_links, explore_graph) as far as they belong to it. Give: its aim, its state, open tasks with dates, "
            f"decisions and their reasons, risks, and the next step. {_CAREFUL}",
            notes,
        )

    @server.prompt(description="Find what a note should be linked with")
    @_explained
    def connect_note(note: str) -> Message:
        path = _note(sync, note)
        similar = [near.path for near in sync.find_similar(path, limit=LINKS // 2).notes]
        return _message(
            f"Help me to connect the note '{path}', the first that is linked here. The others resemble it. See what it "
            "is linked with already (get_links), and search with its own words (search_notes). Propose at most five "
            f"links, each with the sentence that it would stand in and the reason. {_CAREFUL}",
            [path, *similar],
        )

    @server.prompt(description="What I should know before a meeting")
    @_explained
    def prepare_meeting(topic: str, people: str = "") -> Message:
        found = [hit.path for asked in (topic, people) if asked for hit in sync.search_plain(asked, limit=LINKS // 2)]
        attending = f" with {people}" if people else ""
        return _message(
            f"Prepare me for a meeting about {topic}{attending}. What the search found for it is linked; search for "
            "each person as well, and read what is most recent. Give: what was agreed last time, what is open on "
            f"either side, what changed since, and questions that I should ask. {_CAREFUL}",
            found,
        )


def _explained(prompt: Callable[_Arguments, _Result]) -> Callable[_Arguments, _Result]:
    """What the library raises of other errors loses their text."""

    @wraps(prompt)
    def render(*args: _Arguments.args, **kwargs: _Arguments.kwargs) -> _Result:
        try:
            return prompt(*args, **kwargs)
        except WeaveError as error:
            raise MCPError(INVALID_PARAMS, str(error)) from error

    return render


def _message(text: str, paths: Iterable[str]) -> Message:
    links = [
        ResourceLink(uri=uri_of(path), name=path, mime_type=media_type(path)) for path in list(dict.fromkeys(paths))
    ]
    return [TextContent(text=text), *links[:LINKS]]


def _note(sync: SyncContract, given: str) -> str:
    """The path of the note that a person means: its path, or a part of it that only one note has."""
    try:
        return sync.describe_note(given).path
    except (NotFound, InvalidInput):
        candidates = sync.complete("path", given, limit=LINKS)
        if len(candidates) == 1:
            return candidates[0]
        hint = f"One of these? {', '.join(candidates)}" if candidates else "Search for it first."
        raise NotFound(f"There is no one note {given!r}.", hint=hint) from None
