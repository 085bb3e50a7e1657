"""What a patch says: an operation on a scope of a target, as the Local REST API defines it."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, NamedTuple, TypeAlias

from weave_nn.shared.errors import Conflict, InvalidInput
from weave_nn.vault.frontmatter import JsonValue


class TargetType(StrEnum):
    """The kind of thing to edit; the root of the text is the heading with the empty address."""

    HEADING = "heading"
    BLOCK = "block"
    FRONTMATTER = "frontmatter"


class Operation(StrEnum):
    """What happens to the scope."""

    APPEND = "append"
    PREPEND = "prepend"
    REPLACE = "replace"
    DELETE = "delete"


class Scope(StrEnum):
    """Which part of the target is meant: its body, its label, both, or (headings only) its place in the tree."""

    CONTENT = "content"
    MARKER = "marker"
    MARKER_AND_CONTENT = "markerAndContent"
    PARENT = "parent"


class Style(StrEnum):
    """Who is responsible for white space and heading levels in what is written under a heading."""

    LITERAL = "literal"
    """The caller (version 1): the text goes in as it is; only line ends that are missing are supplied."""
    MANAGED = "managed"
    """We (version 2): blank lines separate blocks, and heading levels are relative to the target."""


class Value(NamedTuple):
    """A JSON value for a frontmatter key, or rows for a table."""

    value: JsonValue


class Destination(NamedTuple):
    """Where a section is moved: under `parent`; before or after the address `sibling`, or first or last."""

    parent: tuple[str, ...]
    place: Literal["first", "last", "before", "after"]
    sibling: tuple[str, ...] = ()


Payload: TypeAlias = str | Value | Destination | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Patch:
    """One edit of one note.

    `target` is a heading's address from the top down (empty for the root), or one block id or frontmatter key.
    `payload` is the text, the value or the destination; None only to delete. `within` picks the block of a section's
    own text by its index, from the end when negative. `loose` lets a bare heading name stand for its address.
    """

    target_type: TargetType
    target: tuple[str, ...]
    operation: Operation
    payload: Payload = None
    scope: Scope = Scope.CONTENT
    within: int | None = None
    style: Style = Style.MANAGED
    loose: bool = False
    create_target_if_missing: bool = False
    reject_if_content_preexists: bool = False
    trim_target_whitespace: bool = False

    @property
    def name(self) -> str:
        """The block id or frontmatter key. Raises `PatchInvalid` when there is not exactly one."""
        if len(self.target) != 1:
            raise PatchInvalid(f"A {self.target_type} target is one name, not {list(self.target)!r}.", field="target")
        return self.target[0]

    @property
    def text(self) -> str:
        """The payload as text. Raises `PatchInvalid` when it is none."""
        if not isinstance(self.payload, str):
            raise PatchInvalid(
                f"To {self.operation} the {self.scope} of a {self.target_type}, text is needed.",
                hint="Give it as `content`.",
                field="content",
            )
        return self.payload

    def impossible(self) -> "PatchInvalid":
        """The error for a combination of target, operation and scope that means nothing."""
        return PatchInvalid(
            f"The operation {self.operation} does not apply to the {self.scope} of a {self.target_type}"
            f"{'' if self.within is None else ' with `within`'}.",
            hint="Choose another operation or scope.",
            field="scope",
        )


@dataclass(frozen=True, slots=True)
class PatchWarning:
    """Something that a writer should know though the patch was applied."""

    code: str
    message: str


class Patched(NamedTuple):
    """The note after a patch."""

    content: bytes
    warnings: tuple[PatchWarning, ...] = ()


class PatchInvalid(InvalidInput):
    """The patch contradicts itself, lacks its payload, or its payload does not fit the target."""

    code = "patch_invalid"
    title = "Invalid patch"


class ContentPreexists(Conflict):
    """What was to be added is there already; nothing was changed."""

    code = "content_preexists"
    title = "Content preexists"


class TargetExists(Conflict):
    """The new name of a target is taken."""

    code = "target_exists"
    title = "Target exists"
