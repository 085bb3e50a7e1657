"""The query language, as values: what `GET /search` and `weave search` take once it has been understood.

The language itself is described at `parser.parse`.
"""

from dataclasses import dataclass
from typing import Literal, TypeAlias

from weave_nn.shared.errors import InvalidInput

Operator = Literal["=", "!=", "<", "<=", ">", ">=", "exists"]
TextColumn = Literal["title", "heading"]
Feature = Literal[
    "aliases", "backlinks", "blocks", "embeds", "headings", "links", "properties", "tags", "tasks", "unresolved"
]


class QueryRefused(InvalidInput):
    """The query is not one of the language; `fields["position"]` and `["length"]` (characters) say where.

    Write `caret` under the detail on a terminal: it shows the query with the place marked.
    """

    code = "query_refused"
    title = "Query refused"

    def __init__(self, query: str, position: int, length: int, reason: str, *, hint: str | None = None) -> None:
        super().__init__(
            f"{reason} (at character {position + 1} of the query).",
            hint=hint,
            field="q",
            position=position,
            length=length,
        )
        self.query = query
        self.position = position
        self.length = max(1, length)

    @property
    def caret(self) -> str:
        """Two lines: the query, and a mark under what is wrong with it."""
        shown = self.query.replace("\n", " ").replace("\t", " ")
        return f"{shown}\n{' ' * self.position}{'^' * self.length}"


@dataclass(frozen=True, slots=True)
class Text:
    """Words that stand beside each other; `prefix` lets the last one be a beginning. No `column` means all of them."""

    text: str
    prefix: bool = False
    column: TextColumn | None = None


@dataclass(frozen=True, slots=True)
class PathIs:
    """The path holds `pattern` anywhere; with `*` or `?` in it, the whole path fits. Case does not matter."""

    pattern: str


@dataclass(frozen=True, slots=True)
class FileIs:
    """As `PathIs`, for the file's name alone."""

    pattern: str


@dataclass(frozen=True, slots=True)
class Tagged:
    """The note has the tag (without `#`), or one that is nested below it."""

    tag: str


@dataclass(frozen=True, slots=True)
class Has:
    """The note has at least one of these."""

    feature: Feature


@dataclass(frozen=True, slots=True)
class Literally:
    """A value as written, with what else it may mean: a `number`, an ISO 8601 `date` or a beginning of one."""

    text: str
    number: float | None = None
    date: str | None = None
    prefix: bool = False


@dataclass(frozen=True, slots=True)
class Property:
    """A frontmatter field compared with a value; of a list, one element must fit (`!=`: no element may equal it)."""

    name: str
    operator: Operator
    value: Literally | None = None


@dataclass(frozen=True, slots=True)
class Stat:
    """A fact of the file compared with a number: nanoseconds since 1970 (`modified`, `created`), or bytes (`size`)."""

    name: Literal["modified", "created", "size"]
    operator: Operator
    value: int


@dataclass(frozen=True, slots=True)
class Not:
    """What does not fit `operand`."""

    operand: "Condition"


@dataclass(frozen=True, slots=True)
class And:
    """What fits all of `operands` (two or more)."""

    operands: tuple["Condition", ...]


@dataclass(frozen=True, slots=True)
class Or:
    """What fits any of `operands` (two or more)."""

    operands: tuple["Condition", ...]


Condition: TypeAlias = Text | PathIs | FileIs | Tagged | Has | Property | Stat | Not | And | Or


def conjunction(operands: list[Condition]) -> Condition:
    """All of `operands` (at least one), without a needless layer."""
    return operands[0] if len(operands) == 1 else And(tuple(operands))


def disjunction(operands: list[Condition]) -> Condition:
    """Any of `operands` (at least one), without a needless layer."""
    return operands[0] if len(operands) == 1 else Or(tuple(operands))
