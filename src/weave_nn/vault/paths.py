r"""Vault paths: one canonical spelling for each file, and a refusal for everything that could mean another place.

A vault path is relative to the vault's root, separated by `/`, in Unicode normalisation form C, without a slash at
either end. It is refused when any platform would understand it otherwise: a note made here must not turn into a device,
a stream or a different name when the vault is synchronised to Windows or macOS. Nothing here touches the disk.
"""

import re
import unicodedata

from weave_nn.vault.errors import PathRefused

SEGMENT_LIMIT_BYTES = 255
# PostgreSQL indexes keys of 2,700 bytes at most, beside a vault's id and a time; macOS takes no path above 1,024.
PATH_LIMIT_BYTES = 2048
NOTE_SUFFIXES = (".md", ".markdown")
TEMPORARY_PREFIX = ".weave-"
TEMPORARY_SUFFIX = ".tmp"

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_SURROGATE = re.compile(r"[\ud800-\udfff]")
_DRIVE = re.compile(r"[A-Za-z]:")
# Superscript digits count as digits in Windows device names (documented under "Naming Files, Paths, and Namespaces").
_DEVICE = re.compile(
    r"(?:con|prn|aux|nul|conin\$|conout\$|(?:com|lpt)[0-9¹²³]) *(?:[.:].*)?", re.IGNORECASE | re.DOTALL
)
# HFS+ ignores these characters in names, so that "\u200c.git" opens ".git" there.
_IGNORABLE = re.compile(r"[\u200c-\u200f\u202a-\u202e\u2060\u206a-\u206f\ufeff]")


def normalize(raw: str, *, hidden: bool = False) -> str:
    """The canonical form of the path of a file or folder below the root.

    Hidden segments (with a leading dot) pass only with `hidden=True`; `.git` and our own temporary files never do.
    Raises `PathRefused`, which names the path and the reason.
    """
    if not raw:
        raise PathRefused(raw, "is empty", hint="Give a path relative to the vault, such as 'Folder/Note.md'.")
    if _SURROGATE.search(raw):
        raise PathRefused(raw, "is not valid Unicode")
    path = unicodedata.normalize("NFC", raw)
    if "\\" in path:
        raise PathRefused(path, "contains a backslash", hint="Separate folders with '/'.")
    if path[0] == "/":
        raise PathRefused(path, "is absolute", hint="Give a path relative to the vault, without a leading '/'.")
    if _DRIVE.match(path):
        raise PathRefused(path, "begins with a drive letter", hint="Give a path relative to the vault.")
    for segment in path.split("/"):
        if fault := segment_fault(segment):
            raise PathRefused(path, fault)
        if not hidden and _is_hidden_segment(segment):
            raise PathRefused(path, f"is hidden ('{segment}')", hint="Hidden files are reachable only on request.")
    if len(path.encode()) > PATH_LIMIT_BYTES:
        raise PathRefused(path, f"is longer than {PATH_LIMIT_BYTES} bytes")
    return path


def normalize_folder(raw: str, *, hidden: bool = False) -> str:
    """As `normalize`, for a folder: the empty string is the root, and one trailing slash is dropped."""
    trimmed = raw.removesuffix("/") if raw != "/" else ""
    return normalize(trimmed, hidden=hidden) if trimmed else ""


def segment_fault(segment: str) -> str | None:  # noqa: PLR0911 - one return for each reason of refusal
    """Why this name can never be used for a file or folder, as the end of a sentence; None when it can."""
    if not segment:
        return "has an empty segment"
    if segment in {".", ".."}:
        return f"contains the segment '{segment}'"
    if _CONTROL.search(segment):
        return "contains a control character"
    if segment[-1] in ". ":
        return "has a segment that ends with a dot or a space"
    if segment[0] in "acnplACNPL" and _DEVICE.fullmatch(segment):
        return f"contains the Windows device name '{segment}'"
    if len(segment) * 4 > SEGMENT_LIMIT_BYTES and len(segment.encode(errors="replace")) > SEGMENT_LIMIT_BYTES:
        return f"has a segment longer than {SEGMENT_LIMIT_BYTES} bytes"
    if _is_forbidden(segment):
        return f"reaches into '{segment}', which is never served"
    return None


def is_hidden(path: str) -> bool:
    """Whether any segment of a canonical path is hidden."""
    return any(_is_hidden_segment(segment) for segment in path.split("/"))


def is_note(path: str) -> bool:
    """Whether the path names a Markdown note."""
    return path.lower().endswith(NOTE_SUFFIXES)


def is_temporary(name: str) -> bool:
    """Whether the name is that of one of our own temporary files."""
    return name.startswith(TEMPORARY_PREFIX) and name.endswith(TEMPORARY_SUFFIX)


def name_of(path: str) -> str:
    """The last segment: `a/b.md` gives `b.md`."""
    return path.rpartition("/")[2]


def folder_of(path: str) -> str:
    """The folder that holds the path: `a/b.md` gives `a`, `b.md` gives the empty string (the root)."""
    return path.rpartition("/")[0]


def join(folder: str, name: str) -> str:
    """The path of `name` in `folder`, where the empty string is the root."""
    return f"{folder}/{name}" if folder else name


def _is_hidden_segment(segment: str) -> bool:
    return segment[0] == "." or (not segment.isascii() and _IGNORABLE.sub("", segment)[:1] == ".")


def _is_forbidden(segment: str) -> bool:
    if segment.isascii() and segment[0] not in ".gG":
        return False
    bare = _IGNORABLE.sub("", segment).casefold()
    # "git~1" is the short name that Windows gives to ".git"; after a colon NTFS expects the name of a stream.
    return bare in {".", ".."} or bare.partition(":")[0].rstrip(". ") in {".git", "git~1"} or is_temporary(bare)
