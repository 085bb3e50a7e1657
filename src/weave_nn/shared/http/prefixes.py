"""What holds for a path and everything below it."""

from collections.abc import Mapping
from typing import Generic, TypeVar

_Value = TypeVar("_Value")


def is_under(path: str, prefix: str) -> bool:
    """Whether `path` is `prefix` or below it; `/files` covers `/files/a` and not `/files2`."""
    return path == prefix or path.startswith(prefix.rstrip("/") + "/")


class ByPrefix(Generic[_Value]):
    """Values by path prefix; the longest prefix that covers a path decides, else `default`."""

    def __init__(self, values: Mapping[str, _Value], default: _Value) -> None:
        self._values = sorted(values.items(), key=lambda item: -len(item[0]))
        self._default = default

    def at(self, path: str) -> _Value:
        """The value that holds for `path`."""
        return next((value for prefix, value in self._values if is_under(path, prefix)), self._default)
