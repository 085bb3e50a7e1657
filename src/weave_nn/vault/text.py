"""The text of notes as bytes: what must stay as it was when a part of it is edited."""

import codecs
import re
from dataclasses import dataclass

_BOM = codecs.BOM_UTF8
_ANY_NEWLINE = re.compile(r"\r\n|\r|\n")
_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+")
_REPLACE_BYTES = "weave_nn.one_question_mark_per_byte"


@dataclass(frozen=True, slots=True)
class TextStyle:
    r"""How a file marks its beginning, its lines and its end.

    `newline` is what most of its lines end with (`\n` where there are none); `mixed` says that not all do.
    """

    bom: bool = False
    newline: str = "\n"
    mixed: bool = False
    final_newline: bool = True

    @classmethod
    def of(cls, content: bytes) -> "TextStyle":
        """The style of a file. An empty file counts as one that ends with a newline, so that what is added does too."""
        crlf = content.count(b"\r\n")
        lf = content.count(b"\n") - crlf
        return cls(
            bom=content.startswith(_BOM),
            newline="\r\n" if crlf > lf else "\n",
            mixed=bool(crlf and lf),
            final_newline=content.endswith(b"\n") or content in {b"", _BOM},
        )

    def fragment(self, text: str) -> bytes:
        """Text to be inserted into the file: its lines end as the file's do."""
        return _ANY_NEWLINE.sub(self.newline, text).encode()

    def whole(self, text: str) -> bytes:
        """New text for the whole file, with the BOM, the line endings and the final newline that it had.

        In a file with mixed endings those of `text` are kept as they come.
        """
        body = text.removeprefix("\ufeff").encode() if self.mixed else self.fragment(text.removeprefix("\ufeff"))
        body = body.removesuffix(b"\n").removesuffix(b"\r") if not self.final_newline else body
        if self.final_newline and body and not body.endswith(b"\n"):
            body += self.newline.encode()
        return _BOM + body if self.bom else body


def decode_lossless(content: bytes) -> str:
    """The text of `content`, each byte that is not valid UTF-8 replaced by one `?`.

    The result encodes to exactly as many bytes as `content` has, so byte offsets into the one hold in the other.
    """
    return content.decode("utf-8", _REPLACE_BYTES)


def lines_of(text: str) -> list[str]:
    """The lines of a text with their ends, as Markdown and editors count them.

    `str.splitlines` also ends lines at form feeds, U+2028 and others, and would number the lines behind them wrongly.
    """
    return _LINE.findall(text)


def is_valid_utf8(content: bytes) -> bool:
    """Whether all of `content` is valid UTF-8."""
    try:
        content.decode()
    except UnicodeDecodeError:
        return False
    return True


def _one_mark_per_byte(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return "?" * (error.end - error.start), error.end


codecs.register_error(_REPLACE_BYTES, _one_mark_per_byte)
