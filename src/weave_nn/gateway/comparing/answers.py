"""Whether two answers are the same, apart from what one side answers differently to itself.

The stable side is asked before the candidate and again after it. Where its own two answers differ (times, ids, the
order of what has none), or where somebody changed something in between, nothing is said about the candidate.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from weave_nn.shared.errors import InvalidInput

_MOST_DIFFERENCES = 20
_MOST_BODY_CHARACTERS = 4000
_MASK = "***"
_SECRET_NAME = re.compile(
    r"(?i:(?:^|[_-])(?:key|token|secret|password|passwd|passphrase|authorization|cookie|credential)s?$)"
    r"|(?<=[a-z0-9])(?:Key|Token|Secret|Password|Passphrase|Authorization|Cookie|Credential)s?$"
)
_SECRET_TEXT = re.compile(
    r"(?i)(\b(?:bearer|basic)\s+)[^\s'\",;]+|(\b[a-z][a-z0-9+.-]*://[^\s/:@'\"]*:)[^\s@'\"]+(?=@)"
    r"|(\bweave_\w+_)[\w-]{16,}"
)
_COMPARED_HEADERS = ("content-type", "etag", "location", "content-range")

_STEP = re.compile(r"\.(?P<name>[^.\[\]]+)|\[(?P<index>\*|\d+)\]")


@dataclass(frozen=True, slots=True)
class Answer:
    """What one side said; `headers` are those that belong to the content, with their names in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    @classmethod
    def of(cls, status: int, headers: Iterable[tuple[str, str]], body: bytes) -> "Answer":
        """An answer with the headers that are compared."""
        return cls(status, {name.lower(): value for name, value in headers if name.lower() in _COMPARED_HEADERS}, body)


def pattern(path: str) -> re.Pattern[str]:
    """A rule that says what may differ, such as `$.items[*].updated_at`. Raises `InvalidInput`.

    It covers everything below what it names.
    """
    rest = path.removeprefix("$")
    steps = list(_STEP.finditer(rest))
    if not path.startswith("$") or "".join(step[0] for step in steps) != rest:
        raise InvalidInput(
            f"{path!r} names nothing in a JSON answer.",
            hint="Write it as $.name, $.list[*].name or $.list[0].",
            field="ignore",
        )
    parts = [
        rf"\.{re.escape(step['name'])}" if step["name"] and step["name"] != "*"
        else r"\.[^.\[\]]+" if step["name"]
        else r"\[\d+\]" if step["index"] == "*"
        else rf"\[{step['index']}\]"
        for step in steps
    ]  # fmt: skip
    return re.compile(r"\$" + "".join(parts) + r"(?:[.\[].*)?")


def differences(before: Answer, candidate: Answer, after: Answer, ignored: Sequence[re.Pattern[str]]) -> list[str]:
    """The paths on which the candidate differs from what the stable side said both times; empty if on none."""
    noise = set(_different(before, after))
    found = (each for each in _different(before, candidate) if not _covered(each, noise))
    kept = [each for each in found if not any(rule.fullmatch(each) for rule in ignored)]
    return sorted(kept)[:_MOST_DIFFERENCES]


def _covered(path: str, noise: set[str]) -> bool:
    """Whether `path` or what it lies in is noise."""
    return any(path == each or (path.startswith(each) and path[len(each)] in ".[#") for each in noise)


def _different(one: Answer, other: Answer) -> Iterator[str]:
    if one.status != other.status:
        yield "status"
        return
    for name in _COMPARED_HEADERS:
        if one.headers.get(name) != other.headers.get(name):
            yield f"header {name}"
    if one.body == other.body:
        return
    left, right = parsed(one), parsed(other)
    if left is _NO_JSON or right is _NO_JSON:
        yield "body"
        return
    yield from _unequal("$", left, right)


def _unequal(path: str, left: Any, right: Any) -> Iterator[str]:
    match left, right:
        case dict(), dict():
            for name in sorted({*left, *right}):
                below = f"{path}.{name}"
                if name not in left or name not in right:
                    yield below
                else:
                    yield from _unequal(below, left[name], right[name])
        case list(), list():
            if len(left) != len(right):
                yield f"{path}#length"
            for index, (one, other) in enumerate(zip(left, right, strict=False)):
                yield from _unequal(f"{path}[{index}]", one, other)
        case _:
            # True and 1 are equal in Python, and not in JSON.
            if type(left) is not type(right) or left != right:
                yield path


_NO_JSON = object()


def parsed(answer: Answer) -> Any:
    """The JSON value of an answer, or a mark that it is none."""
    if "json" not in answer.headers.get("content-type", ""):
        return _NO_JSON
    try:
        return json.loads(answer.body)
    except ValueError:
        return _NO_JSON


def shown(answer: Answer) -> str:
    """An answer as it is kept for people: its secrets masked, and not longer than a screen or two."""
    value = parsed(answer)
    if value is not _NO_JSON:
        text = json.dumps(_masked(value), ensure_ascii=False, indent=1)
    else:
        try:
            text = _without_secrets(answer.body.decode())
        except UnicodeDecodeError:
            text = f"{len(answer.body)} bytes, sha256 {hashlib.sha256(answer.body).hexdigest()}"
    if len(text) > _MOST_BODY_CHARACTERS:
        text = text[:_MOST_BODY_CHARACTERS] + f"… ({len(text)} characters)"
    return f"{answer.status}\n{text}"


def _masked(value: Any) -> Any:
    match value:
        case dict():
            return {
                # Whatever stands there, in lists too; but not whether there is anything.
                name: _MASK if _SECRET_NAME.search(name) and each not in (None, "", [], {}) else _masked(each)
                for name, each in value.items()
            }
        case list():
            return [_masked(each) for each in value]
        case str():
            return _without_secrets(value)
        case _:
            return value


def _without_secrets(text: str) -> str:
    return _SECRET_TEXT.sub(lambda found: (found[1] or found[2] or found[3]) + _MASK, text)


_NUMBER = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}|\d+")


def route_of(path: str, prefix: str) -> str:
    """The path as one of a bounded number of routes: ids are left out, and what is below them is not told apart."""
    rest = path.partition("?")[0].removeprefix(prefix).strip("/")
    first, *others = rest.split("/") if rest else [""]
    if _NUMBER.fullmatch(first) or len(first) > 24 or "." in first or "%" in first:
        first = "{id}"
    return "/".join([prefix, *([first] if first else []), *(["…"] if others else [])])
