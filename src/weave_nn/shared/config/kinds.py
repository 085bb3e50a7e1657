"""The kinds of values that settings of several modules have."""

import re
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator


def _absolute(value: Any) -> Any:
    if not isinstance(value, str | Path):
        return value
    try:
        return Path(value).expanduser().resolve()
    except (OSError, RuntimeError) as error:
        raise ValueError(f"it is not a path: {error}") from error


def _service_url(value: Any) -> Any:
    if isinstance(value, str) and not re.fullmatch(r"https?://[^/?#\s@]+/?", value):
        raise ValueError("it is no address such as http://127.0.0.1:8001")
    return value.rstrip("/") if isinstance(value, str) else value


Folder = Annotated[Path, BeforeValidator(_absolute)]
"""A path, made absolute."""

ServiceUrl = Annotated[str, BeforeValidator(_service_url)]
"""An address such as http://127.0.0.1:8001."""
