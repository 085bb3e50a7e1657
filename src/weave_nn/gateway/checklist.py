"""What must hold before a service's traffic may move: each item is looked at for real."""

import json
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from weave_nn.gateway.places import PREFIXES
from weave_nn.shared.errors import Conflict

_TIMEOUT_SECONDS = 5.0
_LARGEST_BYTES = 8 * 2**20
_PROBES = {"tasks": "/tasks?limit=1", "files": "/files?limit=1", "sync": "/graph", "git": "/git/status"}


@dataclass(frozen=True, slots=True)
class Item:
    """One item: what it asks, whether it holds, and what was found."""

    what: str
    ok: bool
    found: str


class NotReady(Conflict):
    """The candidate (or the stable side) cannot take the service's traffic yet."""

    code = "candidate_not_ready"
    title = "Not ready"


def check(service: str, stable: str, candidate: str, key: str) -> list[Item]:
    """Look at both sides with an administrator's key; every item is looked at, whatever the others gave."""
    ask = _asking(key)
    items = [
        _status("the stable side is ready", ask(stable, "/ready"), {200}),
        _status("the candidate lives", ask(candidate, "/health"), {200}),
        _status("the candidate is ready", ask(candidate, "/ready"), {200}),
        _same_paths(service, ask(stable, "/openapi.json"), ask(candidate, "/openapi.json")),
    ]
    if (probe := _PROBES.get(service)) is not None:
        usual = ask(stable, probe)
        wanted = {usual.status} if usual.status else {200}
        items.append(
            _status(f"the candidate answers GET {probe} with this key as stable does", ask(candidate, probe), wanted)
        )
        items.append(_status("the candidate refuses a wrong key", _asking("wrong")(candidate, probe), {401}))
    return items


def require(items: list[Item]) -> None:
    """Raise `NotReady` with what does not hold."""
    if failed := [f"{each.what}: {each.found}" for each in items if not each.ok]:
        raise NotReady(f"It cannot be extracted yet. {'; '.join(failed)}.", hint="Mend that, and try again.")


@dataclass(frozen=True, slots=True)
class _Found:
    status: int
    body: bytes
    reason: str = ""


def _asking(key: str) -> Callable[[str, str], _Found]:
    # A proxy named in the environment must not see the key.
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def ask(address: str, path: str) -> _Found:
        request = urllib.request.Request(address + path, headers={"Authorization": f"Bearer {key}"})  # noqa: S310 - http
        try:
            with direct.open(request, timeout=_TIMEOUT_SECONDS) as response:
                return _Found(response.status, response.read(_LARGEST_BYTES))
        except urllib.error.HTTPError as error:
            with error:
                return _Found(error.code, error.read(_LARGEST_BYTES))
        except (OSError, ValueError) as error:
            return _Found(0, b"", f"{address} does not answer ({error})")

    return ask


def _status(what: str, found: _Found, wanted: set[int]) -> Item:
    said = found.reason or f"status {found.status}"
    if not found.reason and found.status not in wanted:
        said += f" instead of {', '.join(map(str, sorted(wanted)))}"
    return Item(what, found.status in wanted, said)


def _same_paths(service: str, stable: _Found, candidate: _Found) -> Item:
    what = f"the candidate has all routes of {service}"
    usual, present = _operations(service, stable), _operations(service, candidate)
    missing = sorted(usual - present)
    if missing:
        return Item(what, ok=False, found=f"{len(missing)} are missing, such as {missing[0]}")
    return Item(what, ok=bool(present), found=f"{len(present)} routes" if present else "there is none")


def _operations(service: str, found: _Found) -> set[str]:
    try:
        document: Any = json.loads(found.body)
    except ValueError:
        return set()
    prefixes = PREFIXES[service]
    return {
        f"{method.upper()} {path}"
        for path, item in document.get("paths", {}).items()
        if any(path == prefix or path.startswith(prefix + "/") for prefix in prefixes)
        for method in item
    }
