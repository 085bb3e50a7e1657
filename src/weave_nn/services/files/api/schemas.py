"""What requests and responses of the file service look like in JSON, beside the contract's own values."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    Base64Bytes,
    BaseModel,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    model_validator,
)

from weave_nn.services.files.contract import NoteView
from weave_nn.services.files.contract import Operation as BatchOperation
from weave_nn.shared.errors import InvalidInput
from weave_nn.vault.patch import Destination, Operation, Patch, Payload, Scope, TargetType, Value


def _encodable(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("it has half of a surrogate pair, which is no text") from None
    return text


Text = Annotated[str, AfterValidator(_encodable)]
"""JSON can write what no file can hold."""


class _Request(BaseModel):
    """A body that is refused when it says something that is not understood."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=False)


class Beside(_Request):
    """The place directly before or after another heading, by its address."""

    before: list[str] | None = None
    after: list[str] | None = None

    @model_validator(mode="after")
    def _one(self) -> "Beside":
        if (self.before is None) == (self.after is None):
            raise ValueError("give either before or after")
        return self


class MoveDestination(_Request):
    """Where a section is moved: the address of its new parent (empty for the root), and its place there."""

    parent: list[str] | None = None
    place: Literal["first", "last"] | Beside

    def parsed(self) -> Destination:
        """The value that a patch takes."""
        parent = tuple(self.parent or ())
        match self.place:
            case Beside(before=list() as sibling):
                return Destination(parent, "before", tuple(sibling))
            case Beside(after=list() as sibling):
                return Destination(parent, "after", tuple(sibling))
            case "first":
                return Destination(parent, "first")
        return Destination(parent, "last")


def _camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(word.capitalize() for word in others)


class PatchInstruction(_Request):
    """One edit of a note: an operation on a scope of a target.

    The payload is one of `content` (text), `value` (JSON for a frontmatter key, rows for a table) and `destination`
    (for a section that moves); to delete takes none. Heading levels in `content` are relative to the target. Every
    name may also be written as Obsidian's Local REST API writes it (`targetType`).
    """

    model_config = ConfigDict(alias_generator=_camel, populate_by_name=True)

    target_type: TargetType
    target: list[str] | str | None = Field(
        default=None,
        description="The address of a heading from the top down (empty: the whole text), a block id, or a key.",
    )
    operation: Operation
    scope: Scope = Scope.CONTENT
    within: int | None = Field(default=None, description="Which block of the section's own text; -1 is the last.")
    content: str | None = None
    value: Any = None
    destination: MoveDestination | None = None
    loose: bool = Field(default=False, description="A heading's name alone may stand for its address.")
    create_target_if_missing: bool = False
    reject_if_content_preexists: bool = False

    @model_validator(mode="after")
    def _one_payload(self) -> "PatchInstruction":
        given = self.model_fields_set & {"content", "value", "destination"}
        if len(given) > 1:
            raise ValueError(f"give one payload, not {' and '.join(sorted(given))}")
        if not given and self.operation is not Operation.DELETE:
            raise ValueError("give the payload: content, value or destination")
        return self

    def patch(self) -> Patch:
        """The value that the contract takes."""
        return Patch(
            target_type=self.target_type,
            target=(self.target,) if isinstance(self.target, str) else tuple(self.target or ()),
            operation=self.operation,
            payload=self._payload(),
            scope=self.scope,
            within=self.within,
            loose=self.loose,
            create_target_if_missing=self.create_target_if_missing,
            reject_if_content_preexists=self.reject_if_content_preexists,
        )

    def _payload(self) -> Payload:
        if "value" in self.model_fields_set:
            return Value(self.value)
        return self.content if self.destination is None else self.destination.parsed()


_Several = Annotated[list[PatchInstruction], Field(min_length=1, max_length=200)]
_SEVERAL: TypeAdapter[list[PatchInstruction]] = TypeAdapter(_Several)
PATCH_BODY: TypeAdapter[PatchInstruction | list[PatchInstruction]] = TypeAdapter(PatchInstruction | _Several)
"""The body of PATCH: one instruction, or several that are applied one after the other, all or none."""


class TextReplacement(_Request):
    """A piece of text and what to put in its place; nothing in either has a special meaning."""

    old: Text = Field(min_length=1)
    new: Text
    every: bool = Field(default=False, description="Replace all occurrences; else there must be exactly one.")


class MoveRequest(_Request):
    """A file or folder, and its new path; one that ends in `/` is a folder to move it into."""

    path: str
    destination: str
    overwrite: bool = False


class RestoreRequest(_Request):
    """A file of the trash, and where to put it if not where it was."""

    trash_path: str
    destination: str | None = None


class BatchItem(_Request):
    """One step of a batch. `content` is text; bytes that are no text are given in Base64 as `content_base64`."""

    kind: Literal["create", "update", "append", "move", "delete"]
    path: str
    content: Text | None = None
    content_base64: Base64Bytes | None = None
    destination: str = ""
    if_match: str | None = None

    @model_validator(mode="after")
    def _one_content(self) -> "BatchItem":
        if self.content is not None and self.content_base64 is not None:
            raise ValueError("give content or content_base64, not both")
        return self

    def parsed(self) -> BatchOperation:
        """The value that the contract takes."""
        content = self.content_base64 or (self.content or "").encode()
        return BatchOperation(self.kind, self.path, content, self.destination, (self.if_match or "").strip('"') or None)


class BatchRequest(_Request):
    """Operations that are all made, in order, or none."""

    operations: list[BatchItem] = Field(min_length=1, max_length=500)


class LinkOut(BaseModel):
    """A link; `start` and `end` are bytes of the note."""

    kind: str
    target: str
    subpath: str
    alias: str | None
    line: int
    start: int
    end: int


class HeadingOut(BaseModel):
    """A heading; `start` and `end` are bytes of the note."""

    level: int
    text: str
    line: int
    start: int
    end: int


class BlockOut(BaseModel):
    """A block with an id; `start` and `end` are bytes of the note."""

    id: str
    line: int
    start: int
    end: int


class CheckboxOut(BaseModel):
    """A list item with a checkbox; `status` is the character in its brackets."""

    line: int
    status: str
    text: str


class ProblemOut(BaseModel):
    """Something in the note that a person should mend."""

    line: int
    message: str


class NoteOut(BaseModel):
    """A note with what it says of itself. `content` shows bytes that are not UTF-8 as `\ufffd`."""

    path: str
    etag: str
    size: int
    created: datetime
    modified: datetime
    title: str | None
    content: str
    frontmatter: dict[str, Any]
    aliases: list[str]
    tags: list[str]
    links: list[LinkOut]
    headings: list[HeadingOut]
    blocks: list[BlockOut]
    checkboxes: list[CheckboxOut]
    problems: list[ProblemOut]

    @classmethod
    def of(cls, view: NoteView) -> "NoteOut":
        """The JSON form of a view."""
        note, info = view.note, view.info
        return cls(
            path=info.path,
            etag=info.etag,
            size=info.size,
            created=info.created,
            modified=info.modified,
            title=note.title,
            content=view.content.decode(errors="replace"),
            frontmatter=note.frontmatter.values,
            aliases=list(note.aliases),
            tags=list(note.tag_names),
            links=[LinkOut(**_some(LinkOut, link)) for link in note.links],
            headings=[HeadingOut(**_some(HeadingOut, heading)) for heading in note.headings],
            blocks=[BlockOut(**_some(BlockOut, block)) for block in note.blocks],
            checkboxes=[
                CheckboxOut(
                    line=box.line,
                    status=box.status,
                    text=view.content[box.text_start : box.text_end].decode(errors="replace"),
                )
                for box in note.checkboxes
            ],
            problems=[ProblemOut(line=problem.line, message=problem.message) for problem in note.problems],
        )


def _some(model: type[BaseModel], part: Any) -> dict[str, Any]:
    return {name: getattr(part, name) for name in model.model_fields}


def patches_of(body: bytes) -> list[Patch]:
    """The patches of a body, in order. Raises `InvalidInput` that names the member which was refused."""
    try:
        # Told apart here, so that what is refused is named without the alternatives that it was not meant to be.
        if body.lstrip()[:1] == b"[":
            return [instruction.patch() for instruction in _SEVERAL.validate_json(body)]
        return [PatchInstruction.model_validate_json(body).patch()]
    except ValidationError as error:
        raise refused(error) from error


def refused(error: ValidationError) -> InvalidInput:
    """The first thing that a body was refused for."""
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    where = ".".join(str(part) for part in first["loc"])
    reason = first["msg"].removeprefix("Value error, ")
    at = f" at {where}" if where else ""
    return InvalidInput(f"The patch was refused{at}: {reason}.", field=where or "body")
