"""Which file each link leads to: kept true as files come and go.

Two files may be meant by the same link only if they have the same name (`name_key`), so a file that appears or vanishes
concerns the links of its name alone, wherever they are.
"""

from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from weave_nn.services.sync.models import FileRow, LinkRow
from weave_nn.services.sync.repository.batches import batches
from weave_nn.vault.links import LinkResolver


class Unresolved(NamedTuple):
    """A link as it is written in the note `source`."""

    source: str
    target: str
    target_key: str


def resolve(session: Session, vault_id: str, links: Sequence[Unresolved]) -> list[int | None]:
    """For each link the id of the file that it leads to."""
    files: dict[str, int] = {}
    for part in batches(list({link.target_key for link in links})):
        query = select(FileRow.path, FileRow.id).where(FileRow.vault_id == vault_id, FileRow.name_key.in_(part))
        files.update(session.execute(query).all())
    resolver = LinkResolver(files)
    return [files.get(resolver.resolve(link.target, link.source) or "") for link in links]


def relink(session: Session, vault_id: str, keys: Collection[str]) -> None:
    """Resolve again every link of the vault to a name in `keys`."""
    for part in batches(list(keys)):
        query = (
            select(
                LinkRow.source_id, LinkRow.position, LinkRow.target_id, FileRow.path, LinkRow.target, LinkRow.target_key
            )
            .join(FileRow, FileRow.id == LinkRow.source_id)
            .where(FileRow.vault_id == vault_id, LinkRow.target_key.in_(part))
        )
        links = session.execute(query).all()
        targets = resolve(session, vault_id, [Unresolved(*link[3:]) for link in links])
        changed: list[dict[str, Any]] = [
            {"source_id": link.source_id, "position": link.position, "target_id": target_id}
            for link, target_id in zip(links, targets, strict=True)
            if link.target_id != target_id
        ]
        if changed:
            session.execute(update(LinkRow), changed)
