"""What the file service's Local REST API says of a note's links, asked of the sync service."""

from collections.abc import Callable, Iterator

from weave_nn.services.files.api.local_rest import Relations
from weave_nn.services.sync.contract import LinkInfo, LinkPage, SyncContract

_PAGE = 500
_MOST_LINKS = 5000

ListLinks = Callable[[str | None], LinkPage]


def relations(asked: Callable[[], SyncContract]) -> Callable[[str], Relations]:
    """The paths that a note links to, those of the notes that link to it, and its links that lead nowhere."""

    def of_note(path: str) -> Relations:
        sync = asked()
        outgoing = list(_all(lambda cursor: sync.list_outgoing(path, limit=_PAGE, cursor=cursor)))
        backlinks = _all(lambda cursor: sync.list_backlinks(path, limit=_PAGE, cursor=cursor))
        return Relations(
            links=tuple(dict.fromkeys(link.target for link in outgoing if link.target is not None)),
            backlinks=tuple(dict.fromkeys(link.source for link in backlinks)),
            unresolved=tuple(dict.fromkeys(link.text for link in outgoing if link.target is None)),
        )

    return of_note


def _all(page_at: ListLinks) -> Iterator[LinkInfo]:
    cursor: str | None = None
    for _ in range(_MOST_LINKS // _PAGE):
        page = page_at(cursor)
        yield from page.links
        cursor = page.next_cursor
        if cursor is None:
            return
