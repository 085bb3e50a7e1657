"""The URIs of a vault's files: `vault://` and the path, percent-encoded."""

from urllib.parse import quote, unquote

from weave_nn.vault.errors import PathRefused
from weave_nn.vault.paths import normalize

SCHEME = "vault://"
TEMPLATE = "vault://{+path}"


def uri_of(path: str) -> str:
    """The URI of a file, in the one spelling that we write."""
    # Clients that take the first folder for a host would stumble over anything else than letters and digits in it.
    return SCHEME + quote(path, safe="/")


def path_of(uri: str) -> str | None:
    """The vault path that a URI names, however it is encoded; None if no file of the vault can have it."""
    if not uri.startswith(SCHEME):
        return None
    try:
        return normalize(unquote(uri.removeprefix(SCHEME), errors="strict"))
    except (PathRefused, UnicodeDecodeError):
        return None
