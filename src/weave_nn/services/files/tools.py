"""The vault's files as MCP tools, for a language model: few, terse to list, and careful with its context window."""

from datetime import date
from typing import Annotated, Any, Literal

from mcp.server.mcpserver import Context
from mcp_types import ToolAnnotations
from pydantic import BaseModel, Field

from weave_nn.services.files.contract import FilesContract, NoteView, SortKey, Written
from weave_nn.shared.errors import InvalidInput, WeaveError
from weave_nn.shared.mcp import Progress, VaultServer
from weave_nn.vault.errors import NoteNotFound
from weave_nn.vault.patch import Operation, Patch, TargetType, Value
from weave_nn.vault.paths import normalize
from weave_nn.vault.periodic import Period
from weave_nn.vault.text import lines_of

MAX_NOTES = 20
MAX_CHARACTERS = 40_000

READS = ToolAnnotations(read_only_hint=True, idempotent_hint=True, open_world_hint=False)
ADDS = ToolAnnotations(read_only_hint=False, destructive_hint=False, idempotent_hint=False, open_world_hint=False)
CHANGES = ToolAnnotations(read_only_hint=False, destructive_hint=True, idempotent_hint=False, open_world_hint=False)

Path = Annotated[str, Field(description="vault path, e.g. 'Projects/Plan.md'")]
Etag = Annotated[str | None, Field(description="etag you read; refused if the note changed since")]


class ListedNote(BaseModel):
    """One file of a listing."""

    path: str
    size: int
    modified: str


class Listing(BaseModel):
    """Some files, and how to get the next ones."""

    notes: list[ListedNote]
    next_cursor: str | None


class FolderListing(BaseModel):
    """One level of the vault."""

    folders: list[str]
    files: list[str]


class ReadNote(BaseModel):
    """A part of a note: lines `start_line` to `end_line` of `total_lines`, or why it could not be read."""

    path: str
    etag: str = ""
    content: str = ""
    start_line: int = 0
    end_line: int = 0
    total_lines: int = 0
    error: str | None = None


class ReadNotes(BaseModel):
    """The notes asked for, in order; `more` says how to go on when not all of the text fitted."""

    notes: list[ReadNote]
    more: str | None = None


class WrittenNote(BaseModel):
    """The note's new version."""

    path: str
    etag: str
    created: bool


class MovedNote(BaseModel):
    """Where the note is now, and which notes had links to it rewritten."""

    path: str
    rewritten: list[str]
    broken: list[str]


class DeletedNote(BaseModel):
    """Where the note can be restored from."""

    path: str
    trash_path: str


def register_tools(server: VaultServer, files: FilesContract, *, read_only: bool) -> None:
    """Offer the tools; with `read_only`, those that change nothing."""
    _register_reading(server, files)
    if not read_only:
        _register_writing(server, files)
        _register_editing(server, files)
        _register_moving(server, files)


def _register_reading(server: VaultServer, files: FilesContract) -> None:
    @server.tool(annotations=READS)
    def list_notes(
        glob: Annotated[str, Field(description="e.g. 'Projects/**/*.md'")] = "**/*.md",
        sort: SortKey = "path",
        limit: Annotated[int, Field(ge=1, le=500)] = 100,
        cursor: str | None = None,
    ) -> Listing:
        """List notes by path pattern; sort '-modified' for the latest."""
        page = files.list_files(glob=glob, sort=sort, limit=limit, cursor=cursor)
        notes = [
            ListedNote(path=file.path, size=file.size, modified=file.modified.isoformat(timespec="seconds"))
            for file in page.files
        ]
        return Listing(notes=notes, next_cursor=page.next_cursor)

    @server.tool(annotations=READS)
    def list_folder(path: Annotated[str, Field(description="'' is the root")] = "") -> FolderListing:
        """List the folders and files directly in a folder."""
        folder = files.list_folder(path)
        return FolderListing(folders=list(folder.folders), files=list(folder.files))

    @server.tool(annotations=READS)
    def read_notes(
        context: Context[Any, Any],
        paths: Annotated[list[Path], Field(min_length=1, max_length=MAX_NOTES)],
        start_line: Annotated[int, Field(ge=1)] = 1,
        max_lines: Annotated[int, Field(ge=1, le=2000)] = 400,
        outline: Annotated[bool, Field(description="only headings, with their lines")] = False,
    ) -> ReadNotes:
        """Read notes with their etags. For a long note ask for its outline first, then for the lines you need."""
        progress = Progress(context, len(paths))
        return _read(files, paths, start_line, max_lines, progress, outline=outline)


def _register_writing(server: VaultServer, files: FilesContract) -> None:
    @server.tool(annotations=CHANGES)
    def write_note(path: Path, content: str, etag: Etag = None) -> WrittenNote:
        """Create a note; refused if it exists. To replace a whole note, give its etag."""
        encoded = content.encode()
        if etag is None:
            return _written(files.create_file(path, encoded))
        return _written(files.write_file(path, encoded, if_match=etag))

    @server.tool(annotations=ADDS)
    def append_to_note(
        path: Path,
        content: str,
        heading: Annotated[str | None, Field(description="section to append to; default: end of note")] = None,
    ) -> WrittenNote:
        """Add text to a note (made if missing), at its end or at the end of a section."""
        return _written(files.append_file(path, content.encode(), heading=heading))

    @server.tool(annotations=ADDS)
    def periodic_note(
        period: Literal["daily", "weekly", "monthly", "quarterly", "yearly"] = "daily",
        day: Annotated[str | None, Field(description="YYYY-MM-DD, default today")] = None,
    ) -> WrittenNote:
        """Find the daily (weekly, …) note, making it from the vault's template if missing."""
        return _written(files.open_periodic(Period(period), _day(day)))


def _register_editing(server: VaultServer, files: FilesContract) -> None:
    @server.tool(annotations=CHANGES)
    def patch_note(
        path: Path,
        target_type: Literal["heading", "block", "frontmatter"],
        target: Annotated[str, Field(description="heading ('A::B' if ambiguous), block id, or property name")],
        operation: Literal["append", "prepend", "replace", "delete"],
        content: Annotated[str | None, Field(description="text to write under a heading or into a block")] = None,
        value: Annotated[str | int | float | bool | list[str] | None, Field(description="property's value")] = None,
        etag: Etag = None,
    ) -> WrittenNote:
        """Change one section, block or property of a note; the rest stays byte for byte."""
        kind = TargetType(target_type)
        payload = None if operation == "delete" else Value(value) if kind is TargetType.FRONTMATTER else content
        patch = Patch(
            target_type=kind,
            target=tuple(target.split("::")) if kind is TargetType.HEADING else (target,),
            operation=Operation(operation),
            payload=payload,
            loose=True,
            create_target_if_missing=kind is TargetType.FRONTMATTER and operation != "delete",
        )
        return _written(files.patch_file(path, [patch], if_match=etag))

    @server.tool(annotations=CHANGES)
    def replace_text(
        path: Path,
        old: Annotated[str, Field(description="exact text, unique unless every")],
        new: str,
        every: bool = False,
        etag: Etag = None,
    ) -> WrittenNote:
        """Replace a piece of a note's text, literally."""
        return _written(files.replace_text(path, old, new, every=every, if_match=etag))


def _register_moving(server: VaultServer, files: FilesContract) -> None:
    @server.tool(annotations=CHANGES)
    def move_note(path: Path, destination: Path, etag: Etag = None) -> MovedNote:
        """Rename or move a note, attachment or folder, and rewrite every link to it."""
        moved = files.move_file(path, destination, if_match=etag)
        broken = [f"{link.path}:{link.line} [[{link.target}]]" for link in moved.unwritable]
        return MovedNote(path=moved.path, rewritten=list(moved.rewritten), broken=broken)

    @server.tool(annotations=CHANGES)
    def delete_note(path: Path, etag: Etag = None) -> DeletedNote:
        """Move a note, attachment or folder to the vault's trash."""
        trashed = files.delete_file(path, if_match=etag)
        return DeletedNote(path=path, trash_path=trashed.trash_path if trashed else "")

    @server.tool(annotations=ADDS)
    def restore_note(path: Annotated[str, Field(description="the path it had, or its trash_path")]) -> WrittenNote:
        """Bring the latest deleted version of a note back."""
        trashed = files.list_trash()
        wanted = normalize(path, hidden=True)
        for item in trashed:
            if wanted in {item.path, item.trash_path}:
                return _written(files.restore_file(item.trash_path))
        latest = ", ".join(item.path for item in trashed[:10]) or "nothing"
        raise (
            NoteNotFound(path)
            if not trashed
            else InvalidInput(f"{path!r} is not in the trash.", hint=f"In it: {latest}.")
        )


def _read(
    files: FilesContract, paths: list[str], start_line: int, max_lines: int, progress: Progress, *, outline: bool
) -> ReadNotes:
    notes: list[ReadNote] = []
    room = MAX_CHARACTERS
    for number, path in enumerate(paths):
        if room <= 0:
            return ReadNotes(notes=notes, more=f"Text limit reached; ask again for: {', '.join(paths[number:])}")
        progress.step(path)
        try:
            view = files.view_note(path)
        except WeaveError as error:
            notes.append(ReadNote(path=path, error=str(error)))
            continue
        note = _outline(view) if outline else _part(view, start_line, max_lines, room)
        room -= len(note.content)
        notes.append(note)
    cut = [note for note in notes if not outline and note.error is None and note.end_line < note.total_lines]
    more = f"Go on with start_line={cut[0].end_line + 1} for {cut[0].path}." if cut else None
    return ReadNotes(notes=notes, more=more)


def _part(view: NoteView, start_line: int, max_lines: int, room: int) -> ReadNote:
    """Whole lines as far as they fit; of a line longer than all the room, its beginning."""
    lines = lines_of(view.content.decode(errors="replace"))
    taken: list[str] = []
    for line in lines[start_line - 1 : start_line - 1 + max_lines]:
        if len(line) > room:
            if not taken:
                taken.append(line[:room] + " […]")
            break
        taken.append(line)
        room -= len(line)
    first = min(start_line, len(lines) + 1)
    return ReadNote(
        path=view.info.path,
        etag=view.info.etag,
        content="".join(taken),
        start_line=first,
        end_line=first + len(taken) - 1,
        total_lines=len(lines),
    )


def _outline(view: NoteView) -> ReadNote:
    headings = "\n".join(f"{heading.line}: {'#' * heading.level} {heading.text}" for heading in view.note.headings)
    total = len(lines_of(view.content.decode(errors="replace")))
    content = headings[:MAX_CHARACTERS]
    return ReadNote(
        path=view.info.path, etag=view.info.etag, content=content, start_line=1, end_line=total, total_lines=total
    )


def _day(day: str | None) -> date:
    if day is None:
        return date.today()  # noqa: DTZ011 - the day where the vault's owner is
    try:
        return date.fromisoformat(day)
    except ValueError as error:
        raise InvalidInput(f"{day!r} is not a date.", hint="Write it as YYYY-MM-DD.", field="day") from error


def _written(written: Written) -> WrittenNote:
    return WrittenNote(path=written.path, etag=written.etag, created=written.created)
