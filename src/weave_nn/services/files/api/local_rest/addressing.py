"""What a URL of the dialect names: a file or a folder, and perhaps a part of a note."""

import itertools
from collections.abc import Callable, Sequence
from typing import NamedTuple
from urllib.parse import quote, unquote_to_bytes

from starlette.requests import Request

from weave_nn.shared.errors import InvalidInput
from weave_nn.vault.patch import TargetType
from weave_nn.vault.paths import is_note

_KINDS = frozenset(TargetType)


class Target(NamedTuple):
    """A part of a note; `address` has the heading's texts from the top down, or one block id or key."""

    type: TargetType
    address: tuple[str, ...]


class Address(NamedTuple):
    """A vault path as it was sent, not checked yet; `is_folder` if it ends in a slash."""

    path: str
    is_folder: bool
    target: Target | None


def segments_of(request: Request, prefix: int) -> list[str]:
    """The path's segments after the first `prefix` ones, each decoded on its own, so that `%2F` stays within one.

    A slash at the end makes the last one empty. Raises `InvalidInput` for bytes that are not UTF-8.
    """
    raw = request.scope.get("raw_path") or quote(request.scope["path"]).encode()
    try:
        return [unquote_to_bytes(segment).decode() for segment in raw.split(b"/")[prefix + 1 :]]
    except UnicodeDecodeError:
        raise InvalidInput("The path of the URL is not percent-encoded UTF-8.", field="path") from None


def address_of(segments: Sequence[str], exists: Callable[[str], bool]) -> Address:
    """What the segments name.

    A folder may be named `heading`: a file that `exists` with the whole path goes before a target, and among the ways
    to split the path, the first one that names an existing file counts, else the first that names a note.
    """
    names = list(segments)
    is_folder = not names or not names[-1]
    while names and not names[-1]:
        names.pop()
    whole = Address("/".join(names), is_folder, None)
    places = [place for place in range(1, len(names) - 1) if names[place] in _KINDS]
    if not places or (not is_folder and exists(whole.path)):
        return whole
    splits = [Address("/".join(names[:place]), is_folder=False, target=target_of(names[place:])) for place in places]
    named_notes = (split for split in splits if is_note(split.path))
    return next(itertools.chain((split for split in splits if exists(split.path)), named_notes), whole)


def target_of(segments: Sequence[str]) -> Target | None:
    """The target that a URL ends with, such as `heading/A/B`; None without one."""
    names = [*segments]
    while names and not names[-1]:
        names.pop()
    if len(names) < 2 or names[0] not in _KINDS:
        return None
    return Target(TargetType(names[0]), tuple(names[1:]))
