"""Move a section to another place among the headings."""

from weave_nn.vault.document import Document, Section
from weave_nn.vault.patch import splice
from weave_nn.vault.patch.instruction import Destination, Operation, Patch, Patched, PatchInvalid
from weave_nn.vault.patch.lines import ends_line, is_blank_line, shift_levels, visible_end
from weave_nn.vault.text import TextStyle


def move_section(document: Document, patch: Patch, section: Section) -> Patched:
    """Put the section with all below it under another parent; its headings get the levels of that place."""
    if patch.operation is not Operation.REPLACE:
        raise patch.impossible()
    if not isinstance(patch.payload, Destination):
        raise PatchInvalid("A move needs a destination.", hint="Give `destination`.", field="destination")
    at, level = _place(document, patch.payload, section, loose=patch.loose)
    if at == section.end:
        at = section.start
    content, newline = document.content, TextStyle.of(document.content).newline.encode()
    cut = splice.cut_start(document, section)
    if at <= section.start:
        before, after = content[:at], content[at : max(at, cut)] + content[section.end :]
    else:
        before, after = content[:cut] + content[section.end : at], content[at:]
    if not ends_line(before, len(before)):
        before += newline
    if splice.faces_text(document, at):
        before += newline
    moved = content[section.start : visible_end(content, section.start, section.end)]
    moved, warnings = shift_levels(moved if moved.endswith(b"\n") else moved + newline, level - section.level)
    if after and not is_blank_line(after, 0):
        moved += newline
    return Patched(before + moved + after, warnings)


def _place(document: Document, destination: Destination, section: Section, *, loose: bool) -> tuple[int, int]:
    """The byte at which to put the section, and the level it has there."""
    parent = document.section(destination.parent, loose=loose)
    if parent.address[: len(section.address)] == section.address:
        raise PatchInvalid("A section cannot be moved into itself.", field="destination")
    siblings = [child for child in document.children(parent) if child is not section]
    if destination.place in {"before", "after"}:
        sibling = document.section(destination.sibling, loose=loose)
        if sibling not in siblings:
            raise PatchInvalid(
                f"{list(destination.sibling)!r} is no other heading directly under {list(destination.parent)!r}.",
                hint="Give as `parent` the address that the sibling's begins with.",
                field="destination",
            )
        return (sibling.start if destination.place == "before" else sibling.end), sibling.level
    if destination.place == "first" and siblings:
        return siblings[0].start, siblings[0].level
    return parent.end, siblings[-1].level if siblings else parent.level + 1
