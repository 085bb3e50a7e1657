"""Topic patterns, as AMQP 0-9-1 topic exchanges match them.

A topic is words joined by dots. In a pattern `*` stands for exactly one word and `#` for any number of words, none
included: `vault.file.*` matches `vault.file.updated`; `task.#` matches `task` and `task.created`.
"""

import functools
import re

from weave_nn.shared.errors import InvalidInput


def matches(pattern: str, topic: str) -> bool:
    """Whether `topic` is one that `pattern` subscribes to; raises `InvalidInput` for a malformed pattern."""
    # Every word is preceded by a dot, the first one too; so `#` may vanish together with its dot.
    return _compiled(pattern).fullmatch("." + topic) is not None


def check_pattern(pattern: str) -> str:
    """Return `pattern` if it is well formed; raises `InvalidInput` otherwise."""
    _compiled(pattern)
    return pattern


@functools.lru_cache(maxsize=1024)
def _compiled(pattern: str) -> re.Pattern[str]:
    words = pattern.split(".")
    if len(pattern) > 255 or any(not word or (len(word) > 1 and re.search(r"[*#]", word)) for word in words):
        raise InvalidInput(
            f"{pattern!r} is not a topic pattern.",
            hint="Join words with dots; a whole word may be * (any one word) or # (any number of words).",
            field="topics",
        )
    # "#.#" means what "#" means, but would make the expression backtrack.
    kept = [word for index, word in enumerate(words) if word != "#" or words[index - 1 : index] != ["#"]]
    parts = {"*": r"\.[^.]*", "#": r"(?:\.[^.]*)*"}
    return re.compile("".join(parts.get(word, rf"\.{re.escape(word)}") for word in kept))
