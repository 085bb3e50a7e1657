"""What kind of content a file holds, by its name alone."""

import mimetypes

# The tables of the system are left out, so that a file has the same type on every machine.
_TYPES = mimetypes.MimeTypes(filenames=())
for _type, _suffixes in {
    "text/markdown": (".md", ".markdown"),
    "application/json": (".canvas",),
    "application/yaml": (".base", ".yaml", ".yml"),
    "audio/flac": (".flac",),
    "audio/mp4": (".m4a",),
    "audio/ogg": (".ogg",),
    "image/avif": (".avif",),
    "image/webp": (".webp",),
    "video/webm": (".webm",),
}.items():
    for _suffix in _suffixes:
        _TYPES.add_type(_type, _suffix)


def media_type(path: str) -> str:
    """The media type of a file, without parameters; `application/octet-stream` for one that is not known."""
    guessed, encoding = _TYPES.guess_type(path.rpartition("/")[2], strict=False)
    return guessed if guessed is not None and encoding is None else "application/octet-stream"
