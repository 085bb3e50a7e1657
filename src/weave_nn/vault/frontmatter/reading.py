"""Find and read the block.

A block opens with a line `---` at the first byte of the note (a byte order mark may stand before it) and ends with the
next line that is `---` or `...`. Values have the YAML 1.2 meanings that Obsidian gives them: `yes` and `12:30` are
strings, `010` is ten. yaml-rs reads nearly every block; PyYAML, with the same meanings, reads the few that yaml-rs
is too strict for (a tab after a colon).
"""

import codecs
import json
import math
import re
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import yaml
import yaml_rs

from weave_nn.shared.errors import InvalidInput

JsonValue: TypeAlias = Any
"""None, bool, int, float, str, or a list or a str-keyed dict of these."""

MAX_BLOCK_BYTES = 256 * 1024
_MAX_NODES = 50_000
_MAX_DEPTH = 64
_MAX_INT_BITS = 64
_FALLBACK_MAX_BYTES = 64 * 1024

_ALIAS_LIMITS = yaml_rs.AliasLimits(max_total_replayed_events=_MAX_NODES)
_OPENING = re.compile(rb"---[ \t]*\r?\n")
_CLOSING = re.compile(rb"^(?:---|\.\.\.)[ \t]*(?:\r?\n|\r?\Z)", re.MULTILINE)
_LINE_IN_MESSAGE = re.compile(r"line (\d+)")


@dataclass(frozen=True, slots=True)
class Frontmatter:
    """What the block of a note says.

    `values` are JSON values; dates and times are strings, exactly as they are written. `span` is the block in bytes
    of the note, both delimiter lines and the last one's newline included (the byte order mark is not); None when the
    note has no block. `body_start` is the byte where the text after it begins. `problem` is what a person should mend,
    and `problem_line` its line in the note, from 1, where that is known. Of keys that stand twice the last one counts,
    with a problem. `editable` is False when the block cannot be read as a mapping; `values` are then empty.
    """

    values: dict[str, JsonValue] = field(default_factory=dict)
    span: tuple[int, int] | None = None
    yaml_span: tuple[int, int] = (0, 0)
    body_start: int = 0
    problem: str | None = None
    problem_line: int | None = None
    editable: bool = True


class _UnreadableError(Exception):
    """The block cannot be read; `line` counts from 1 within the YAML text."""

    def __init__(self, message: str, line: int | None = None) -> None:
        super().__init__(message)
        self.line = line


def read(content: bytes) -> Frontmatter:
    """Read the frontmatter of a note; never raises."""
    start = len(codecs.BOM_UTF8) if content.startswith(codecs.BOM_UTF8) else 0
    opening = _OPENING.match(content, start)
    if opening is None:
        return Frontmatter(body_start=start)
    closing = _CLOSING.search(content, opening.end())
    if closing is None:
        return Frontmatter(body_start=start)
    span = (start, closing.end())
    yaml_span = (opening.end(), closing.start())
    try:
        values, problem, line = _read_block(content[yaml_span[0] : yaml_span[1]])
    except _UnreadableError as error:
        return Frontmatter(
            span=span,
            yaml_span=yaml_span,
            body_start=span[1],
            problem=str(error),
            problem_line=error.line + 1 if error.line is not None else None,
            editable=False,
        )
    return Frontmatter(
        values=values,
        span=span,
        yaml_span=yaml_span,
        body_start=span[1],
        problem=problem,
        problem_line=line + 1 if line is not None else None,
    )


def _read_block(block: bytes) -> tuple[dict[str, JsonValue], str | None, int | None]:
    if len(block) > MAX_BLOCK_BYTES:
        raise _UnreadableError(f"The frontmatter has {len(block)} bytes; at most {MAX_BLOCK_BYTES} are read.")
    if b"\0" in block:
        # yaml-rs would silently stop there, and what follows would seem not to exist.
        raise _UnreadableError("The frontmatter has a NUL character.", block[: block.index(b"\0")].count(b"\n") + 1)
    try:
        text = block.decode()
    except UnicodeDecodeError as error:
        line = block[: error.start].count(b"\n") + 1
        raise _UnreadableError("The frontmatter is not valid UTF-8.", line) from error
    problem, line_of_problem = None, None
    loaded: Any
    try:
        loaded = yaml_rs.loads(text, parse_datetime=False, alias_limits=_ALIAS_LIMITS)
    except (ValueError, TypeError) as error:
        # The latter is what yaml-rs raises for a list within a key.
        if "duplicate mapping key" in str(error):
            problem, line_of_problem = f"The frontmatter has a {error}.", _line_of_duplicate(text)
        loaded = _load_again(text, error)
    if loaded is None:
        return {}, None, None
    if not isinstance(loaded, dict):
        raise _UnreadableError("The frontmatter is not a mapping of keys to values.", 1)
    return _Normaliser().mapping(loaded, 0), problem, line_of_problem


def _load_again(text: str, error: Exception) -> Any:
    """Read what yaml-rs refused in its strict mode, or raise with its message."""
    try:
        if "duplicate mapping key" in str(error):
            return yaml_rs.loads(
                text,
                parse_datetime=False,
                alias_limits=_ALIAS_LIMITS,
                duplicate_key_policy=yaml_rs.DuplicateKeyPolicy.LastWins,
            )
        if "alias" not in str(error) and _is_shallow(text):
            return yaml.load(text, Loader=_CoreSchemaLoader)  # noqa: S506 - it is a CSafeLoader with fewer types
    except (ValueError, TypeError, yaml.YAMLError):
        # Both parsers refuse: the first one's message names the place better.
        pass
    line = _LINE_IN_MESSAGE.search(str(error))
    reason = str(error).strip().splitlines()[-1]
    raise _UnreadableError(f"The frontmatter is not valid YAML: {reason}.", int(line[1]) if line else None) from error


def _is_shallow(text: str) -> bool:
    """Whether PyYAML may load the text: it recurses in C for each level, and overflows the stack of the process."""
    if len(text) > _FALLBACK_MAX_BYTES:
        return False
    depth = 0
    for event in yaml.parse(text, Loader=yaml.CSafeLoader):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > _MAX_DEPTH:
            return False
    return True


def _line_of_duplicate(text: str) -> int | None:
    seen: set[str] = set()
    for number, line in enumerate(text.splitlines(), start=1):
        key, colon, _ = line.partition(":")
        if not colon or not key.strip() or key[0] in " \t#-":
            continue
        if key.strip() in seen:
            return number
        seen.add(key.strip())
    return None


class _Normaliser:
    """Turns what a YAML parser made into JSON values, within bounds.

    Aliases make small texts into huge trees, and PyYAML makes cycles of them, hence the two limits.
    """

    def __init__(self) -> None:
        self._nodes = 0

    def value(self, value: Any, depth: int) -> JsonValue:
        self._nodes += 1
        if self._nodes > _MAX_NODES or depth > _MAX_DEPTH:
            raise _UnreadableError(
                f"There are more than {_MAX_NODES} values, or they are nested deeper than {_MAX_DEPTH}."
            )
        normal: JsonValue
        match value:
            case str() | bool() | None:
                normal = value
            case int() | float():
                normal = json_number(value)
            case dict():
                normal = self.mapping(value, depth)
            case list() | tuple():
                normal = [self.value(item, depth + 1) for item in value]
            case set() | frozenset():
                # Sets come in an order that changes from run to run.
                normal = sorted((self.value(item, depth + 1) for item in value), key=str)
            case _:
                raise _UnreadableError(f"The frontmatter has a value of type {type(value).__name__}.")
        return normal

    def mapping(self, value: dict[Any, Any], depth: int) -> dict[str, JsonValue]:
        return {
            key if type(key) is str else _key_text(self.value(key, depth + 1)): self.value(item, depth + 1)
            for key, item in value.items()
        }


def json_value(value: Any) -> JsonValue:
    """The value as `read` will give it back. Raises `InvalidInput` for what YAML cannot hold or `read` would refuse."""
    try:
        json.dumps(value, ensure_ascii=False).encode()
        return _Normaliser().value(value, 0)
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidInput(
            f"Not a JSON value: {error}.", hint="Give null, a boolean, number, text, list or object."
        ) from error
    except _UnreadableError as error:
        raise InvalidInput(f"The value is too large: {error}", hint="Put it into a file of its own.") from error


def json_number(value: float) -> float | str:
    """A number as JSON has it: an int of up to 64 bits, else a double; infinities and NaN as YAML writes them."""
    if isinstance(value, int) and value.bit_length() <= _MAX_INT_BITS:
        return value
    try:
        number = float(value)
    except OverflowError:
        number = math.inf if value > 0 else -math.inf
    if math.isfinite(number):
        return number
    return ".nan" if math.isnan(number) else ".inf" if number > 0 else "-.inf"


def _key_text(key: JsonValue) -> str:
    match key:
        case str():
            return key
        case bool() | None:
            return {True: "true", False: "false", None: "null"}[key]
        case _:
            return json.dumps(key, ensure_ascii=False, separators=(",", ":"))


class _CoreSchemaLoader(yaml.CSafeLoader):
    """PyYAML with the types of YAML 1.2's core schema instead of those of YAML 1.1."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 - PyYAML copies it on write


def _construct_bool(loader: yaml.CSafeLoader, node: yaml.ScalarNode) -> bool:
    text = str(loader.construct_scalar(node)).lower()
    if text not in {"true", "false"}:
        raise ValueError(text)
    return text == "true"


def _construct_int(loader: yaml.CSafeLoader, node: yaml.ScalarNode) -> int:
    text = str(loader.construct_scalar(node))
    return int(text, {"0x": 16, "0o": 8}.get(text[:2], 10))


def _construct_float(loader: yaml.CSafeLoader, node: yaml.ScalarNode) -> float:
    return float(str(loader.construct_scalar(node)).lower().replace(".inf", "inf").replace(".nan", "nan"))


# PyYAML's own constructors raise errors of any type for texts that do not fit an explicit tag, so only these exist:
# every other tag is an error of the block.
_CoreSchemaLoader.yaml_constructors = {
    f"tag:yaml.org,2002:{name}": constructor
    for name, constructor in {
        "null": yaml.CSafeLoader.construct_yaml_null,
        "bool": _construct_bool,
        "int": _construct_int,
        "float": _construct_float,
        "str": yaml.CSafeLoader.construct_yaml_str,
        "timestamp": yaml.CSafeLoader.construct_yaml_str,
        "seq": yaml.CSafeLoader.construct_yaml_seq,
        "map": yaml.CSafeLoader.construct_yaml_map,
    }.items()
} | {None: yaml.CSafeLoader.construct_undefined}
for _tag, _pattern, _first in (
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", list("-+0123456789")),
    (
        "float",
        r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)",
        list("-+.0123456789"),
    ),
):
    _CoreSchemaLoader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(rf"(?:{_pattern})\Z"), _first)
