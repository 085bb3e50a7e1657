"""Finding and asking the server that runs for a vault, from another process on the same machine."""

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pydantic import SecretStr

ADDRESS_FILE = "address"
ANSWER_SECONDS = 5.0
LARGEST_ANSWER_BYTES = 2**20


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server said; `body` is the JSON value, or None when it sent something else."""

    status: HTTPStatus
    body: Any


@contextmanager
def recorded_address(data_dir: Path, address: str, part: str | None = None) -> Iterator[None]:
    """Keep the server's address in the state folder while it runs, for it may differ from the settings.

    `part` names one of several processes; without it, it is the server that answers for all of them.
    """
    file = data_dir / (ADDRESS_FILE if part is None else f"{ADDRESS_FILE}.{part}")
    file.write_text(address + "\n", encoding="ascii")
    try:
        yield
    finally:
        file.unlink(missing_ok=True)


def known_address(data_dir: Path | None, fallback: str) -> str:
    """Where the server of this state folder said that it listens, else `fallback`. It may have been killed since."""
    try:
        recorded = (data_dir / ADDRESS_FILE).read_text(encoding="ascii").strip() if data_dir else ""
    except (OSError, UnicodeDecodeError):
        return fallback
    return recorded if recorded.startswith("http://") else fallback


def part_addresses(data_dir: Path | None) -> dict[str, str]:
    """Where the processes of single parts said that they listen, by what they are made of and their port."""
    found = {}
    for file in sorted(data_dir.glob(f"{ADDRESS_FILE}.*")) if data_dir else []:
        try:
            found[file.name.removeprefix(f"{ADDRESS_FILE}.")] = file.read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError):
            # It ended between our two looks.
            continue
    return found


def ask(address: str, path: str, api_key: "SecretStr | None" = None) -> Answer | None:
    """GET `path`; None when nobody answers HTTP there within `ANSWER_SECONDS`."""
    request = urllib.request.Request(address + path, headers={"Accept": "application/json"})  # noqa: S310 - always http
    if api_key is not None:
        request.add_header("Authorization", f"Bearer {api_key.get_secret_value()}")
    # A proxy named in the environment must not see the key, nor answer for this machine.
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(request, timeout=ANSWER_SECONDS) as response:
            return Answer(HTTPStatus(response.status), _json(response.read(LARGEST_ANSWER_BYTES)))
    except urllib.error.HTTPError as error:
        with error:
            return Answer(HTTPStatus(error.code), _json(error.read(LARGEST_ANSWER_BYTES)))
    except (OSError, ValueError):
        return None


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return None
