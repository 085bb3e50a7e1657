"""Which file each link leads to: kept true as files come and go.

Two files may be meant by the same link only if they have the same name (`name_key`), so a file that appears or vanishes
concerns the links of its name alone, wherever they are.
"""

from collections.abc import Collection, Iterable
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, select, update
from sqlalchemy.orm import Session

from weave_nn.services.sync.models import FileRow, LinkRow
from weave_nn.services.sync.repository.batches import batches
from weave_nn.vault.links import LinkResolver


class _Candidate(NamedTuple):
    source_id: int
    position: int
    source: str
    target: str
    target_key: str
    target_id: int | None


def relink(session: Session, vault_id: str, *, sources: Collection[int], keys: Collection[str]) -> None:
    """Resolve again the links of the notes `sources`, and all links of the vault to a name in `keys`."""
    links: dict[tuple[int, int], _Candidate] = {}
    for part in batches(list(sources)):
        links.update(_links(session, vault_id, LinkRow.source_id.in_(part)))
    for names in batches(list(keys)):
        links.update(_links(session, vault_id, LinkRow.target_key.in_(names)))
    if not links:
        return
    files = _files(session, vault_id, {link.target_key for link in links.values()})
    resolver = LinkResolver(files)
    changed: list[dict[str, Any]] = []
    for link in links.values():
        path = resolver.resolve(link.target, link.source)
        target_id = link.source_id if path == link.source else files.get(path or "")
        if target_id != link.target_id:
            changed.append({"source_id": link.source_id, "position": link.position, "target_id": target_id})
    if changed:
        session.execute(update(LinkRow), changed)


def _links(
    session: Session, vault_id: str, condition: ColumnElement[bool]
) -> Iterable[tuple[tuple[int, int], _Candidate]]:
    query = (
        select(
            LinkRow.source_id,
            LinkRow.position,
            FileRow.path,
            LinkRow.target,
            LinkRow.target_key,
            LinkRow.target_id,
        )
        .join(FileRow, FileRow.id == LinkRow.source_id)
        .where(FileRow.vault_id == vault_id, condition)
    )
    for row in session.execute(query):
        yield (row[0], row[1]), _Candidate(*row)


def _files(session: Session, vault_id: str, keys: Collection[str]) -> dict[str, int]:
    found: dict[str, int] = {}
    for part in batches(list(keys)):
        query = select(FileRow.path, FileRow.id).where(FileRow.vault_id == vault_id, FileRow.name_key.in_(part))
        found.update(session.execute(query).all())
    return found
