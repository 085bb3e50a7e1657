"""Which notes may hold a link to one of some names: a quick look that spares most notes a full parse.

The look must never miss a link, so it searches only for what no way of writing a link can disguise. Letters and digits
of ASCII stand in a link as they are, in upper or lower case, whatever Unicode form the text has: backslashes escape
punctuation only. The exceptions (percent-encoded letters, character references, YAML escapes, the two characters beyond
ASCII whose small letter is ASCII) are rare enough for every note that has one to be parsed. A link says the whole
name, so all runs of letters and digits of the name must be in the note. Names without any are searched for in the
composed small letters of the text, and where a note has any escape of such letters it is parsed.
"""

import re
from collections.abc import Iterable

from weave_nn.vault.links import fold
from weave_nn.vault.paths import name_of
from weave_nn.vault.text import decode_lossless

_MAX_NAMES = 24
_LINK_MARK = re.compile(rb"\[\[|\]\(|\]:")
_RUN = re.compile(r"[a-z0-9]+")
_WIDE_RUN = re.compile(r"[^\x00-\x7f]+")
# The characters beyond ASCII whose small letters are ASCII are the Kelvin sign and the capital I with a dot.
_DISGUISE = re.compile(
    rb"%(?:3[0-9]|[46][1-9A-F]|[57][0-9A]|E2%84%AA|C4%B0)|&#|&fjlig;|&Idot;|\\[xuU]|\xe2\x84\xaa|\xc4\xb0",
    re.IGNORECASE,
)
_WIDE_DISGUISE = re.compile(rb"%[89A-Fa-f][0-9A-Fa-f]|&[#A-Za-z]|\\[xuUNLP_]")


class Mentions:
    """Answers whether a note may link to a file with one of the names of `paths`."""

    def __init__(self, paths: Iterable[str]) -> None:
        stems = {fold(name_of(path)).removesuffix(".md") for path in paths}
        runs = {stem: _RUN.findall(stem) for stem in stems}
        wide = {stem: _WIDE_RUN.findall(stem) for stem in stems if not runs[stem]}
        self._ascii = [[run.encode() for run in sorted(set(found), key=len)[::-1]] for found in runs.values() if found]
        self._wide = [found for found in wide.values() if found]
        # Many names together are in nearly every note; names of punctuation alone can be written in too many ways.
        self._anywhere = len(stems) > _MAX_NAMES or not all(wide.values())

    def possible_in(self, content: bytes) -> bool:
        """False only when no link of the note can lead to any of the names, however it is written."""
        if not _LINK_MARK.search(content):
            return False
        if self._anywhere:
            return True
        if self._ascii:
            lower = content.lower()
            if any(all(run in lower for run in runs) for runs in self._ascii) or _DISGUISE.search(content):
                return True
        if not self._wide:
            return False
        text = fold(decode_lossless(content))
        return any(all(run in text for run in runs) for runs in self._wide) or bool(_WIDE_DISGUISE.search(content))
