"""Envoy's files: written whole, synced and renamed, for Envoy looks at renames and nothing else."""

import os
from pathlib import Path


def write(folder: Path, name: str, text: str) -> bool:
    """Put `text` at `folder/name`; False if it stood there already, for then Envoy has nothing to read."""
    target = folder / name
    try:
        if target.read_text(encoding="utf-8") == text:
            return False
    except FileNotFoundError:
        pass
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    fresh = folder / f".{name}.{os.getpid()}"
    with fresh.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(target)
    return True
