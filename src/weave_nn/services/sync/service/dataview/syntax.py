"""Dataview queries: from text to a syntax tree."""

import re
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

from weave_nn.services.sync.contract.errors import ExpressionRefused

QUERY_LIMIT_CHARS = 4000
NESTING_LIMIT = 30
_LONGEST_LIMIT = 1_000_000
_WHOLE_DIGITS = 18
FUNCTIONS = frozenset(
    {"contains", "date", "default", "dur", "icontains", "length", "lower", "startswith", "endswith", "upper"}
)
_UNSUPPORTED = ("LIST", "TASK", "CALENDAR", "GROUP", "FLATTEN")
_TOKEN = re.compile(
    r"""\s*(?:(?P<text>"(?:\\.|[^"\\])*")|(?P<number>\d+(?:\.\d+)?)|(?P<tag>\#[^\s,()\[\]"]+)
    |(?P<link>!?\[\[[^\]]*\]\])|(?P<name>[^\W\d][\w-]*(?:\.[^\W\d][\w-]*)*)|(?P<sign><=|>=|!=|[-+*/=<>!&|(),]))""",
    re.VERBOSE,
)


@dataclass(frozen=True, slots=True)
class Value:
    """A literal: text, number, boolean or null."""

    value: Any


@dataclass(frozen=True, slots=True)
class Field:
    """A field of the note, such as `file.mtime` or `status`."""

    name: str


@dataclass(frozen=True, slots=True)
class Call:
    """A function with its arguments; `date` and `dur` take the words between their parentheses as one text."""

    function: str
    arguments: tuple["Expression", ...]


@dataclass(frozen=True, slots=True)
class Operation:
    """An operator between two expressions; `!` has only the left one."""

    operator: str
    left: "Expression"
    right: "Expression"


@dataclass(frozen=True, slots=True)
class Folder:
    """A source: the notes of a folder, or one note."""

    path: str


@dataclass(frozen=True, slots=True)
class Tag:
    """A source: the notes with a tag or one below it."""

    name: str


@dataclass(frozen=True, slots=True)
class Sources:
    """Sources combined by `and`, `or`, or negated by `!` (then only `left` counts)."""

    operator: str
    left: "Source"
    right: "Source"


Expression: TypeAlias = Value | Field | Call | Operation
Source: TypeAlias = Folder | Tag | Sources


class Column(NamedTuple):
    """A column of the table: its name (as written, or after AS) and its expression."""

    name: str
    expression: Expression


@dataclass(frozen=True, slots=True)
class Table:
    """A TABLE query; `order` holds expressions and whether each is descending."""

    columns: tuple[Column, ...]
    source: Source | None
    conditions: tuple[Expression, ...]
    order: tuple[tuple[Expression, bool], ...]
    limit: int | None


def parse_table(query: str) -> Table:
    """Understand a TABLE query; raises `ExpressionRefused`, which names what is not supported and where it stands."""
    if len(query) > QUERY_LIMIT_CHARS:
        raise ExpressionRefused(f"The query is longer than {QUERY_LIMIT_CHARS} characters.")
    return _Parser(query).table()


class _Token(NamedTuple):
    kind: str
    text: str
    start: int
    end: int


class _Parser:
    def __init__(self, query: str) -> None:
        self.query = query
        self.tokens = self._tokens()
        self.position = 0
        self.depth = 0

    def table(self) -> Table:
        if not self.word("TABLE"):
            raise self.refusal("Only TABLE queries are answered")
        if self.word("WITHOUT"):
            self.expect_word("ID")
        columns = self.columns()
        source: Source | None = None
        conditions: list[Expression] = []
        order: list[tuple[Expression, bool]] = []
        limit: int | None = None
        while self.now.kind != "end":
            if self.word("FROM"):
                source = self.source()
            elif self.word("WHERE"):
                conditions.append(self.expression())
            elif self.word("SORT"):
                order += self.order()
            elif self.word("LIMIT"):
                limit = int(min(float(self.take("number").text), _LONGEST_LIMIT))
            else:
                raise self.refusal(f"{self.now.text!r} is not understood here")
        return Table(tuple(columns), source, tuple(conditions), tuple(order), limit)

    def columns(self) -> list[Column]:
        columns: list[Column] = []
        while self.now.kind != "end" and self.now.text.upper() not in {"FROM", "WHERE", "SORT", "LIMIT"}:
            start = self.now.start
            expression = self.expression()
            name = self.query[start : self.tokens[self.position - 1].end]
            if self.word("AS"):
                token = self.now
                if token.kind not in {"name", "text", "number", "tag"}:
                    raise self.refusal("AS needs a name after it")
                name = _unquoted(token.text)
                self.position += 1
            columns.append(Column(name, expression))
            if not self.sign(","):
                break
        return columns

    def order(self) -> list[tuple[Expression, bool]]:
        order: list[tuple[Expression, bool]] = []
        while True:
            expression = self.expression()
            descending = self.word("DESC") or self.word("DESCENDING")
            if not descending and not self.word("ASC"):
                self.word("ASCENDING")
            order.append((expression, descending))
            if not self.sign(","):
                return order

    def source(self) -> Source:
        left = self.one_source()
        while True:
            if self.word("AND") or self.sign("&"):
                left = Sources("and", left, self.one_source())
            elif self.word("OR") or self.sign("|"):
                left = Sources("or", left, self.one_source())
            else:
                return left

    def one_source(self) -> Source:
        self.deeper()
        found: Source
        if self.sign("-") or self.sign("!"):
            inner = self.one_source()
            found = Sources("!", inner, inner)
        elif self.sign("("):
            found = self.source()
            self.expect_sign(")")
        elif self.now.kind == "text":
            found = Folder(_unquoted(self.take("text").text).strip("/"))
        elif self.now.kind == "tag":
            found = Tag(self.take("tag").text[1:])
        else:
            raise self.refusal(f'The source {self.now.text!r} is neither a "folder" nor a #tag')
        self.depth -= 1
        return found

    def expression(self) -> Expression:
        self.deeper()
        left = self.conjunction()
        while self.word("OR") or self.sign("|"):
            left = Operation("or", left, self.conjunction())
        self.depth -= 1
        return left

    def conjunction(self) -> Expression:
        left = self.comparison()
        while self.word("AND") or self.sign("&"):
            left = Operation("and", left, self.comparison())
        return left

    def comparison(self) -> Expression:
        left = self.sum()
        if self.now.kind == "sign" and self.now.text in {"=", "!=", "<", "<=", ">", ">="}:
            operator = self.take("sign").text
            return Operation(operator, left, self.sum())
        return left

    def sum(self) -> Expression:
        left = self.product()
        while self.now.kind == "sign" and self.now.text in {"+", "-"}:
            operator = self.take("sign").text
            left = Operation(operator, left, self.product())
        return left

    def product(self) -> Expression:
        left = self.unary()
        while self.now.kind == "sign" and self.now.text in {"*", "/"}:
            operator = self.take("sign").text
            left = Operation(operator, left, self.unary())
        return left

    def unary(self) -> Expression:
        self.deeper()
        found: Expression
        if self.sign("!"):
            inner = self.unary()
            found = Operation("!", inner, inner)
        elif self.sign("-"):
            found = Operation("-", Value(0), self.unary())
        elif self.sign("("):
            found = self.expression()
            self.expect_sign(")")
        else:
            found = self.primary()
        self.depth -= 1
        return found

    def primary(self) -> Expression:
        token = self.now
        match token.kind:
            case "text":
                self.position += 1
                return Value(_unquoted(token.text))
            case "number":
                self.position += 1
                whole = "." not in token.text and len(token.text) <= _WHOLE_DIGITS
                return Value(int(token.text) if whole else float(token.text))
            case "tag":
                self.position += 1
                return Value(token.text)
            case "name" if token.text.lower() in {"true", "false", "null"}:
                self.position += 1
                return Value({"true": True, "false": False, "null": None}[token.text.lower()])
            case "name":
                self.position += 1
                return self.call(token) if self.sign("(") else Field(token.text)
        raise self.refusal(f"{token.text!r} is not understood here" if token.text else "The query ends too early")

    def call(self, name: _Token) -> Expression:
        function = name.text.lower()
        if function not in FUNCTIONS:
            self.position -= 2
            raise self.refusal(f"The function {name.text!r} is not supported")
        if function in {"date", "dur"} and self.now.kind in {"name", "number"}:
            start = self.now.start
            while self.now.text != ")" and self.now.kind != "end":
                self.position += 1
            text = self.query[start : self.now.start].strip()
            self.expect_sign(")")
            return Call(function, (Field(text) if text.startswith("file.") else Value(text),))
        arguments: list[Expression] = []
        while not self.sign(")"):
            arguments.append(self.expression())
            if not self.sign(","):
                self.expect_sign(")")
                break
        return Call(function, tuple(arguments))

    @property
    def now(self) -> _Token:
        return self.tokens[self.position]

    def take(self, kind: str) -> _Token:
        token = self.now
        if token.kind != kind:
            raise self.refusal(f"A {kind} is needed instead of {token.text!r}")
        self.position += 1
        return token

    def word(self, word: str) -> bool:
        found = self.now.kind == "name" and self.now.text.upper() == word
        self.position += found
        return found

    def sign(self, sign: str) -> bool:
        found = self.now.kind == "sign" and self.now.text == sign
        self.position += found
        return found

    def expect_word(self, word: str) -> None:
        if not self.word(word):
            raise self.refusal(f"{word} is needed instead of {self.now.text!r}")

    def expect_sign(self, sign: str) -> None:
        if not self.sign(sign):
            raise self.refusal(f"{sign!r} is needed instead of {self.now.text!r}")

    def deeper(self) -> None:
        self.depth += 1
        if self.depth > NESTING_LIMIT:
            raise self.refusal(f"The query is nested deeper than {NESTING_LIMIT}")

    def refusal(self, reason: str) -> ExpressionRefused:
        token = self.now
        if token.text.upper() in _UNSUPPORTED:
            reason = f"{token.text.upper()} is not supported"
        return ExpressionRefused(
            f"{reason} (at character {token.start + 1} of the query).",
            hint='Supported: TABLE columns FROM "folder" or #tag WHERE … SORT … LIMIT …',
            position=token.start,
        )

    def _tokens(self) -> list[_Token]:
        tokens: list[_Token] = []
        position = 0
        end = len(self.query.rstrip())
        while position < end:
            found = _TOKEN.match(self.query, position)
            if found is None or found.lastgroup is None:
                start = position + len(self.query[position:]) - len(self.query[position:].lstrip())
                raise ExpressionRefused(
                    f"{self.query[start : start + 10]!r} is not understood (at character {start + 1} of the query).",
                    position=start,
                )
            tokens.append(_Token(found.lastgroup, found[found.lastgroup], found.start(found.lastgroup), found.end()))
            position = found.end()
        return [*tokens, _Token("end", "", end, end)]


def _unquoted(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text[1:-1]) if text[:1] == '"' else text
