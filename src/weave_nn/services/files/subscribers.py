"""What the file service does when others announce something."""

from collections.abc import Callable

from weave_nn.services.files.events import FileEdited, FileEditRejected, FileEditRequested
from weave_nn.services.files.service import EditLedger, FileService
from weave_nn.shared.bus import Event, Outbox, Subscription
from weave_nn.shared.db import UnitOfWork
from weave_nn.shared.errors import Conflict, Forbidden, InvalidInput, NotFound

QUEUE = "file_edits"

MakeService = Callable[[UnitOfWork], FileService]
MakeOutbox = Callable[[UnitOfWork], Outbox]


def subscriptions(service: MakeService, outbox: MakeOutbox, ledger: EditLedger) -> list[Subscription]:
    """The queue by which other services have lines of notes changed."""

    def edit(work: UnitOfWork, event: Event) -> None:
        request = FileEditRequested.from_event(event)
        try:
            path, etag = service(work).edit_note(
                request.path,
                request.edit_id,
                request.edits,
                ledger,
                create=request.create,
            )
        except (Conflict, Forbidden, InvalidInput, NotFound) as error:
            # These stay as they are however often the edit is tried; anything else is tried again.
            answer = FileEditRejected(edit_id=request.edit_id, path=request.path, reason=error.detail)
            outbox(work).announce(answer)
        else:
            outbox(work).announce(FileEdited(edit_id=request.edit_id, path=path, etag=etag))

    return [Subscription(queue=QUEUE, topics=(FileEditRequested.TYPE,), handle=edit, batch_size=1)]
