"""Which line of a note is which task: identity that survives editing, moving and insertions.

Nothing is written into notes for it. A line is recognised by its 🆔, its block id, its exact text, its text and dates,
its text alone, and at last by likeness, for which less is enough where the neighbours are the same.
"""

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

LIKE_ENOUGH = 0.6
LIKE_ENOUGH_IN_PLACE = 0.3
MOST_COMPARISONS = 20_000


@dataclass(frozen=True, slots=True)
class Trait:
    """What lines are recognised by. `text` is the line as it is, or will be; `core` is its text with its dates.

    `former` is the line as it was before an edit that may not be made yet: it counts for a line that is nobody's
    `text`, or of two equal lines the one that is left would be taken for the one that was to go. With `exact`, only
    the text will do: the line was asked for and may not stand in the note yet.
    """

    text: str | None
    title: str
    core: Hashable
    reference: str | None
    block_id: str | None
    exact: bool = False
    former: str | None = None


def recognise(known: Sequence[Trait], seen: Sequence[Trait]) -> dict[int, int]:
    """Which `seen` line each known task is now: places in `seen` by places in `known`, both in the note's order."""
    pairs: dict[int, int] = {}
    if not known or not seen:
        return pairs
    loose = [place for place, trait in enumerate(known) if not trait.exact]
    if [trait.text for trait in known] == [trait.text for trait in seen]:
        return {place: place for place in range(len(known))}
    everything = range(len(known))
    _by_key(everything, known, seen, pairs, lambda trait: trait.reference)
    _by_key(everything, known, seen, pairs, lambda trait: trait.block_id)
    _by_key(everything, known, seen, pairs, lambda trait: trait.text)
    _by_key(everything, known, seen, pairs, lambda trait: trait.former or trait.text)
    _by_key(loose, known, seen, pairs, lambda trait: trait.core)
    _by_key(loose, known, seen, pairs, lambda trait: trait.title)
    _by_likeness(loose, known, seen, pairs)
    return pairs


def _by_key(
    candidates: Iterable[int],
    known: Sequence[Trait],
    seen: Sequence[Trait],
    pairs: dict[int, int],
    key_of: Callable[[Trait], Hashable],
) -> None:
    taken = set(pairs.values())
    places: dict[Hashable, list[int]] = {}
    for place, trait in enumerate(seen):
        if place not in taken and key_of(trait) is not None:
            places.setdefault(key_of(trait), []).append(place)
    for place in candidates:
        found = None if place in pairs else places.get(key_of(known[place]))
        if found:
            pairs[place] = found.pop(0)


def _by_likeness(
    candidates: Iterable[int], known: Sequence[Trait], seen: Sequence[Trait], pairs: dict[int, int]
) -> None:
    taken = set(pairs.values())
    lost = [place for place in candidates if place not in pairs]
    found = [place for place in range(len(seen)) if place not in taken]
    crowded = len(lost) * len(found) > MOST_COMPARISONS
    scores: list[tuple[float, int, int]] = []
    for old in lost:
        before = max((new for place, new in pairs.items() if place < old), default=-1)
        after = min((new for place, new in pairs.items() if place > old and new > before), default=len(seen))
        matcher = SequenceMatcher(None, b=known[old].title, autojunk=False)
        for new in found:
            in_place = before < new < after
            if crowded and not in_place:
                continue
            needed = LIKE_ENOUGH_IN_PLACE if in_place else LIKE_ENOUGH
            matcher.set_seq1(seen[new].title)
            if matcher.real_quick_ratio() >= needed and matcher.quick_ratio() >= needed:
                ratio = matcher.ratio()
                if ratio >= needed:
                    scores.append((ratio + 0.3 * in_place, old, new))
    for _, old, new in sorted(scores, key=lambda score: (-score[0], score[1], score[2])):
        if old not in pairs and new not in taken:
            pairs[old] = new
            taken.add(new)
