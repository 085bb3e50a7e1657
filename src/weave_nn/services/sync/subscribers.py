"""What the sync service does when the vault changes."""

from collections.abc import Callable, Sequence
from typing import Protocol

from weave_nn.services.files.events import FileCreated, FileDeleted, FileRenamed, FileUpdated, VaultReindexed
from weave_nn.shared.bus import Event, Subscription
from weave_nn.shared.db import UnitOfWork

QUEUE = "mcp_sync"
TOPICS = ("vault.file.*", VaultReindexed.TYPE)


class Index(Protocol):
    """What makes the index say what is at some paths now; to be called before anything else in the transaction."""

    def look_at(self, work: UnitOfWork, paths: Sequence[str]) -> None:
        """Look at the paths in this transaction."""


def subscriptions(index: Index, vault_id: str, reconcile: Callable[[], None]) -> list[Subscription]:
    """The queue by which the index follows the vault; `reconcile` has the whole vault compared, and returns at once."""

    def follow(work: UnitOfWork, event: Event) -> None:
        if event.vault_id != vault_id:
            return
        match event.type:
            case FileCreated.TYPE:
                index.look_at(work, [FileCreated.from_event(event).path])
            case FileUpdated.TYPE:
                index.look_at(work, [FileUpdated.from_event(event).path])
            case FileDeleted.TYPE:
                index.look_at(work, [FileDeleted.from_event(event).path])
            case FileRenamed.TYPE:
                renamed = FileRenamed.from_event(event)
                index.look_at(work, [renamed.previous_path, renamed.path])
            case VaultReindexed.TYPE:
                # It takes many small transactions, and this is one. If the process dies before, the next start does it.
                reconcile()
            case _:
                return

    # Reading a note is slow, and must not happen while another message's transaction holds the write lock.
    return [Subscription(queue=QUEUE, topics=TOPICS, handle=follow, batch_size=1)]
