"""What the git service does when the vault changes: it takes note. Committing is the committer's work."""

from weave_nn.services.files.events import FileCreated, FileDeleted, FileRenamed, FileUpdated, VaultReindexed
from weave_nn.services.git.service.committing import Committer
from weave_nn.shared.bus import Event, Subscription
from weave_nn.shared.db import UnitOfWork

QUEUE = "git_auto_commit"
_TOPICS = (FileCreated, FileUpdated, FileDeleted, FileRenamed, VaultReindexed)


def subscriptions(committer: Committer) -> list[Subscription]:
    """The queue by which commits follow the vault."""

    def note(work: UnitOfWork, event: Event) -> None:
        match event.type:
            case FileCreated.TYPE:
                paths: tuple[str, ...] = (FileCreated.from_event(event).path,)
            case FileUpdated.TYPE:
                paths = (FileUpdated.from_event(event).path,)
            case FileDeleted.TYPE:
                paths = (FileDeleted.from_event(event).path,)
            case FileRenamed.TYPE:
                renamed = FileRenamed.from_event(event)
                paths = (renamed.previous_path, renamed.path)
            case _:
                paths = ("",)
        committer.note(work, paths, event.id)

    return [Subscription(queue=QUEUE, topics=tuple(each.TYPE for each in _TOPICS), handle=note)]
