"""Notes as Dataview's queries see them."""

from collections.abc import Iterator
from datetime import datetime, tzinfo

from weave_nn.services.sync.repository.notes import NoteReader
from weave_nn.services.sync.service.dataview.evaluation import Row
from weave_nn.services.sync.service.times import instant
from weave_nn.vault.paths import folder_of, name_of


def rows_of(notes: NoteReader, zone: tzinfo | None) -> Iterator[Row]:
    """Every note, by path; its times are told in `zone`."""
    tags = notes.tags_of_all()
    for note in notes.each():
        name, _, extension = name_of(note.path).rpartition(".")
        own = tuple(tags.get(note.id, ()))
        created, modified = instant(note.created_ns).astimezone(zone), instant(note.mtime_ns).astimezone(zone)
        file = {
            "name": name,
            "path": note.path,
            "folder": folder_of(note.path),
            "ext": extension,
            "size": note.size,
            "ctime": created,
            "cday": _day(created),
            "mtime": modified,
            "mday": _day(modified),
            "tags": [f"#{tag}" for tag in own],
            "etags": [f"#{tag}" for tag in own],
            "aliases": note.aliases,
            "frontmatter": note.frontmatter,
        }
        yield Row(note.path, own, file, {key.lower(): value for key, value in note.frontmatter.items()})


def _day(moment: datetime) -> datetime:
    return moment.replace(hour=0, minute=0, second=0, microsecond=0)
