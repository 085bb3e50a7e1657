"""Tags, with the tags above them."""

from collections.abc import Iterable

from weave_nn.services.sync.contract.results import TagCount


def rolled_up(tagged: Iterable[tuple[int, str, str]]) -> tuple[TagCount, ...]:
    """Every tag and every tag above one, by name; given the id of a note, a tag's key and its spelling."""
    notes: dict[str, set[int]] = {}
    spelling: dict[str, str] = {}
    for note_id, key, tag in tagged:
        parts, spelled = key.split("/"), tag.split("/")
        for depth in range(1, len(parts) + 1):
            above = "/".join(parts[:depth])
            notes.setdefault(above, set()).add(note_id)
            written = "/".join(spelled[:depth])
            spelling[above] = min(spelling.get(above, written), written)
    return tuple(TagCount(spelling[key], len(notes[key])) for key in sorted(notes))
