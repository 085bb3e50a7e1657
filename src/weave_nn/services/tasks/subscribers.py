"""What the task service does when others announce something."""

from weave_nn.services.files.events import (
    FileCreated,
    FileDeleted,
    FileEdited,
    FileEditRejected,
    FileRenamed,
    FileUpdated,
    VaultReindexed,
)
from weave_nn.services.tasks.service import TaskSync
from weave_nn.shared.bus import Event, Subscription
from weave_nn.shared.db import UnitOfWork

QUEUE = "task_sync"
_TOPICS = (FileCreated, FileUpdated, FileDeleted, FileRenamed, FileEdited, FileEditRejected, VaultReindexed)
# A vault of many notes takes a while to read.
LEASE_SECONDS = 120.0


def subscriptions(sync: TaskSync) -> list[Subscription]:
    """The queue by which the tasks follow the notes."""

    def follow(work: UnitOfWork, event: Event) -> None:
        match event.type:
            case FileCreated.TYPE:
                sync.note_changed(work, FileCreated.from_event(event).path)
            case FileUpdated.TYPE:
                sync.note_changed(work, FileUpdated.from_event(event).path)
            case FileDeleted.TYPE:
                sync.note_changed(work, FileDeleted.from_event(event).path)
            case FileRenamed.TYPE:
                renamed = FileRenamed.from_event(event)
                sync.note_renamed(work, renamed.previous_path, renamed.path)
            case FileEdited.TYPE:
                made = FileEdited.from_event(event)
                sync.edit_made(work, made.edit_id, made.path)
            case FileEditRejected.TYPE:
                rejected = FileEditRejected.from_event(event)
                sync.edit_refused(work, rejected.edit_id, rejected.path, rejected.reason)
            case _:
                sync.vault_reindexed(work)

    topics = tuple(each.TYPE for each in _TOPICS)
    return [Subscription(queue=QUEUE, topics=topics, handle=follow, batch_size=1, lease_seconds=LEASE_SECONDS)]
