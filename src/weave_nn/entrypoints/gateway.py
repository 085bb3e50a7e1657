"""The gateway: one process with the control plane, which runs Envoy and the shadow comparer beside itself.

When it starts beside a monolith that serves the front door's port, it takes that port over without a request that
fails; see `weave_nn.shared.http.front_door`.
"""

import json
import os
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlsplit

import structlog
from fastapi import FastAPI
from prometheus_client import generate_latest

from weave_nn import __version__
from weave_nn.entrypoints.authentication import authenticator
from weave_nn.entrypoints.composition import EVERYWHERE, server_limits
from weave_nn.gateway import api
from weave_nn.gateway.control import Control
from weave_nn.gateway.envoy.edge import Edge, Limits, Place, Tls
from weave_nn.gateway.envoy.process import EnvoyProcess, find
from weave_nn.gateway.metrics import ENVOY_STATISTICS, merged
from weave_nn.gateway.places import PREFIXES
from weave_nn.gateway.rollouts import Rollouts
from weave_nn.shared.config import Instance, InvalidSetting, Settings
from weave_nn.shared.db import Database, upgrade
from weave_nn.shared.errors import Unavailable
from weave_nn.shared.http import ReadinessCheck, Security, create_app
from weave_nn.shared.http.front_door import PATH as FRONT_DOOR
from weave_nn.shared.observability import new_registry

log = structlog.get_logger(__name__)

_ASK_SECONDS = 10.0
_COMPARER_STOP_SECONDS = 5.0
_COMPARER_AGAIN_SECONDS = 1.0
_HERE = frozenset({"127.0.0.1", "localhost", "::1"})


def open_database(settings: Settings, instance: Instance) -> Database:
    """The database of rollouts, with the tables that the gateway needs brought up."""
    database = Database(instance.database_url, limits=server_limits(settings, "gateway"))
    upgrade(database, EVERYWHERE)
    return database


def open_rollouts(settings: Settings, instance: Instance, database: Database) -> Rollouts:
    """The rollouts, with what this process's environment demands."""
    return Rollouts(database, instance.vault_id, settings.rollout_overrides(PREFIXES))


def edge(settings: Settings) -> Edge:
    """The edge without its rollouts. Raises `InvalidSetting`."""
    return Edge(
        place=Place(
            host=settings.host,
            port=settings.port,
            admin_port=settings.gateway_admin_port,
            control=f"http://127.0.0.1:{settings.gateway_control_port}",
            comparer=f"http://127.0.0.1:{settings.gateway_comparer_port}",
            monolith=settings.monolith_url,
            tls=_tls(settings),
        ),
        limits=Limits(
            requests_per_second_of_address=settings.gateway_requests_per_second_of_address,
            requests_per_second_of_user=settings.gateway_requests_per_second_of_user,
            body_bytes=settings.gateway_body_bytes,
            header_kilobytes=settings.gateway_header_kilobytes,
            silence_seconds=settings.gateway_silence_seconds,
        ),
        overrides=settings.rollout_overrides(PREFIXES),
    )


def _tls(settings: Settings) -> Tls | None:
    if settings.tls_certificate is None and settings.tls_key is None:
        return None
    if settings.tls_certificate is None or settings.tls_key is None:
        raise InvalidSetting(
            "TLS needs both a certificate and its key.",
            hint="Set WEAVE_TLS_CERTIFICATE and WEAVE_TLS_KEY, or neither.",
            field="tls_certificate",
        )
    return Tls(certificate=str(settings.tls_certificate), key=str(settings.tls_key))


@dataclass(slots=True)
class Gateway:
    """A gateway process. `start` before serving `app`; `stop` afterwards, also when `start` failed."""

    settings: Settings
    instance: Instance
    database: Database
    control: Control
    envoy: EnvoyProcess
    app: FastAPI
    _comparer: subprocess.Popen[bytes] | None = field(default=None)
    _comparing: threading.Thread | None = field(default=None)
    _stopping: threading.Event = field(default_factory=threading.Event)
    _guard: threading.Lock = field(default_factory=threading.Lock)

    def start(self) -> None:
        """Start the comparer and Envoy, and take over the front door's port from a monolith that serves there.

        Raises `Unavailable` and the like with one clear line; then nothing runs that did not run before.
        """
        self._comparing = threading.Thread(target=self._compare, name="gateway-comparer", daemon=True)
        self._comparing.start()
        served_by = None if self.envoy.admin.ready() else self._monolith_at_the_door()
        if served_by is not None:
            port = urlsplit(self.settings.monolith_url).port or 80
            _tell(served_by, f"{FRONT_DOOR}/beside", self.instance, port=port)
            log.info("front_door_shared", monolith=self.settings.monolith_url)
        self.control.start()
        # A gateway that ended before this left the port shared, and half of all connections to the monolith.
        if served_by is not None or self._shares_the_door():
            # Asked at its own address: new connections to the shared port may come to either.
            _tell(self.settings.monolith_url, f"{FRONT_DOOR}/leave", self.instance, others=self.envoy.workers)
            log.info("front_door_taken_over", port=self.settings.port)

    def stop(self) -> None:
        """End Envoy after what is in flight, and the comparer."""
        self._stopping.set()
        self.control.stop()
        if self._comparing is not None:
            with self._guard:
                if self._comparer is not None:
                    self._comparer.terminate()
            self._comparing.join(_COMPARER_STOP_SECONDS)
            if self._comparing.is_alive() and self._comparer is not None:
                self._comparer.kill()
                self._comparing.join()
        self.database.close()

    def _compare(self) -> None:
        """Keep a comparer running: while there is none, nothing is compared and every step holds."""
        while True:
            with self._guard:
                if self._stopping.is_set():
                    return
                self._comparer = subprocess.Popen(
                    [sys.executable, "-m", "weave_nn.entrypoints.comparer"],
                    env={**os.environ, **_environment(self.settings, self.instance)},
                    stdin=subprocess.DEVNULL,
                    start_new_session=True,
                )
            code = self._comparer.wait()
            if not self._stopping.is_set():
                log.error("comparer_ended", code=code, next="starting it again")
                self._stopping.wait(_COMPARER_AGAIN_SECONDS)

    def _shares_the_door(self) -> bool:
        """Whether the monolith, at its own address, says that it listens on this machine's front door as well."""
        address = urlsplit(self.settings.monolith_url)
        if address.hostname not in _HERE or address.port == self.settings.port:
            return False
        ports = _ask("GET", self.settings.monolith_url + FRONT_DOOR, self.instance, None).get("ports", ())
        return self.settings.port in ports and address.port in ports

    def _monolith_at_the_door(self) -> str | None:
        """The address of the monolith on the front door's port; None if the port is free."""
        host = "127.0.0.1" if self.settings.host in {"0.0.0.0", "::"} else self.settings.host  # noqa: S104 - compares
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
            probe.settimeout(_ASK_SECONDS)
            if probe.connect_ex((host, self.settings.port)) != 0:
                return None
        address = f"http://{f'[{host}]' if ':' in host else host}:{self.settings.port}"
        found = _ask("GET", address + FRONT_DOOR, self.instance, None)
        if "ports" not in found:
            raise Unavailable(
                f"Port {self.settings.port} on {host} is taken by another program.", hint="Stop it, or use --port."
            )
        return address


def build(settings: Settings, instance: Instance) -> Gateway:
    """Compose the gateway. Raises `EnvoyMissing`, `InvalidSetting` and the like; nothing is started."""
    workers = settings.gateway_workers or os.cpu_count() or 1
    here = edge(settings)
    folder = instance.data_dir / "envoy"
    envoy = EnvoyProcess(find(settings.envoy), folder, admin_port=settings.gateway_admin_port, workers=workers)
    database = open_database(settings, instance)
    rollouts = open_rollouts(settings, instance, database)
    control = Control(
        rollouts,
        database,
        vault_id=instance.vault_id,
        node=f"{socket.gethostname()}:{settings.port}",
        edge=here,
        folder=folder,
        envoy=envoy,
    )
    app = _app(settings, instance, database=database, rollouts=rollouts, control=control, envoy=envoy)
    return Gateway(settings, instance, database, control, envoy, app)


def _app(
    settings: Settings,
    instance: Instance,
    *,
    database: Database,
    rollouts: Rollouts,
    control: Control,
    envoy: EnvoyProcess,
) -> FastAPI:
    registry = new_registry()
    known = authenticator(settings, instance, database)
    key = instance.api_key.get_secret_value()

    def gathered(authorization: str) -> str:
        parts = {"gateway": generate_latest(registry).decode()}
        parts["edge"] = envoy.admin.get(f"/stats/prometheus?usedonly&filter={quote(ENVOY_STATISTICS, safe='')}")
        parts["monolith"] = _text("GET", settings.monolith_url + "/metrics", authorization)
        for rollout in control.edge.rollouts:
            if control.edge.share(rollout):
                parts[f"{rollout.service}-candidate"] = _text("GET", rollout.candidate + "/metrics", authorization)
        return merged(parts)

    return create_app(
        title="Weave-NN gateway",
        version=__version__,
        routers=[
            api.internal_router(known, control.look),
            api.router(rollouts, control.look, monolith=settings.monolith_url, api_key=key),
            api.metrics_router(gathered),
        ],
        security=Security(
            authenticator=known,
            public_paths=api.INTERNAL_PATHS,
            allowed_hosts=frozenset(settings.allowed_hosts),
            allowed_origins=frozenset(settings.cors_origins),
        ),
        checks=[ReadinessCheck("gateway", control.alive)],
        registry=registry,
    )


def _environment(settings: Settings, instance: Instance) -> dict[str, str]:
    """What a process of ours needs to work on the same state."""
    return {
        "WEAVE_VAULT": str(instance.vault),
        "WEAVE_DATA_DIR": str(instance.data_dir),
        "WEAVE_VAULT_ID": instance.vault_id,
        "DATABASE_URL": instance.database_url,
        "WEAVE_GATEWAY_COMPARER_PORT": str(settings.gateway_comparer_port),
    }


def _tell(address: str, path: str, instance: Instance, **body: Any) -> None:
    answer = _ask("POST", address + path, instance, json.dumps(body).encode())
    if "ports" not in answer:
        raise Unavailable(f"The monolith at {address} did not hand over its port: {answer}.")


def _ask(method: str, url: str, instance: Instance, body: bytes | None) -> dict[str, Any]:
    text = _text(method, url, f"Bearer {instance.api_key.get_secret_value()}", body)
    try:
        answer = json.loads(text)
    except ValueError:
        return {}
    return answer if isinstance(answer, dict) else {}


def _text(method: str, url: str, authorization: str, body: bytes | None = None) -> str:
    headers = {"Authorization": authorization, "Content-Type": "application/json"}
    request = urllib.request.Request(url, data=body, method=method, headers=headers)  # noqa: S310 - our own addresses
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(request, timeout=_ASK_SECONDS) as response:
            return str(response.read().decode())
    except urllib.error.HTTPError as error:
        with error:
            return error.read().decode()
    except (OSError, ValueError) as error:
        log.info("not_asked", url=url, reason=repr(error))
        return ""
