"""Routes about more than one file: moving, copying, the trash, batches, periodic notes."""

from datetime import date
from typing import Annotated

from fastapi import APIRouter, Body, Path
from starlette.responses import Response

from weave_nn.services.files.api.content import seen_version
from weave_nn.services.files.api.documented import CREATED, NOT_FOUND, STALE, WRITTEN
from weave_nn.services.files.api.schemas import BatchRequest, MoveRequest, RestoreRequest
from weave_nn.services.files.contract import FilesContract, Moved, Trashed, Written
from weave_nn.shared.http import ETag, IfMatch
from weave_nn.vault.periodic import Period

Day = Annotated[date, Path(description="A day of the period, as `2026-11-23`.")]


def add_operations(reads: APIRouter, writes: APIRouter, contract: FilesContract) -> None:
    """Add the routes; `writes` are those that a read-only server refuses."""
    _add_moving(writes, contract)
    _add_trash(reads, writes, contract)
    _add_periodic(reads, writes, contract)

    @writes.post("/.batch", summary="Do several operations, all or none", responses=NOT_FOUND | STALE | WRITTEN)
    def run_batch(body: Annotated[BatchRequest, Body()]) -> list[Written | Moved | Trashed]:
        return list(contract.run_batch([item.parsed() for item in body.operations]))


def _add_moving(writes: APIRouter, contract: FilesContract) -> None:
    @writes.post(
        "/.move", summary="Rename or move a file or folder, and rewrite every link to it", responses=NOT_FOUND | WRITTEN
    )
    def move_file(body: Annotated[MoveRequest, Body()], if_match: IfMatch, response: Response) -> Moved:
        seen = seen_version(if_match, contract, body.path)
        moved = contract.move_file(body.path, body.destination, if_match=seen, overwrite=body.overwrite)
        if moved.etag:
            response.headers["ETag"] = str(ETag(moved.etag))
        return moved

    @writes.post("/.copy", summary="Copy a file", responses=CREATED | NOT_FOUND | WRITTEN)
    def copy_file(body: Annotated[MoveRequest, Body()], response: Response) -> Written:
        written = contract.copy_file(body.path, body.destination, overwrite=body.overwrite)
        return _told(written, response)


def _add_trash(reads: APIRouter, writes: APIRouter, contract: FilesContract) -> None:
    @reads.get("/.trash", summary="List what can be restored, latest first")
    def list_trash() -> list[Trashed]:
        return list(contract.list_trash())

    @writes.post("/.restore", summary="Put a trashed file back", status_code=201, responses=NOT_FOUND | WRITTEN)
    def restore_file(body: Annotated[RestoreRequest, Body()], response: Response) -> Written:
        written = contract.restore_file(body.trash_path, destination=body.destination)
        return _told(written, response)


def _add_periodic(reads: APIRouter, writes: APIRouter, contract: FilesContract) -> None:
    @reads.get("/.periodic/{period}/{day}", summary="Name the periodic note of a day; it need not exist")
    def periodic_path(period: Period, day: Day) -> str:
        return contract.periodic_path(period, day)

    @writes.post(
        "/.periodic/{period}/{day}",
        summary="Make the periodic note of a day from its template, if missing",
        responses=CREATED | WRITTEN,
    )
    def open_periodic(period: Period, day: Day, response: Response) -> Written:
        written = contract.open_periodic(period, day)
        return _told(written, response)


def _told(written: Written, response: Response) -> Written:
    response.status_code = 201 if written.created else 200
    response.headers["ETag"] = str(ETag(written.etag))
    return written
