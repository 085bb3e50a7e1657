"""The one door of services that stand alone, as the gateway will be: Envoy, which routes by path and nothing else."""

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from weave_nn.gateway.envoy.process import find
from weave_nn.gateway.places import PREFIXES

_HTTP = "type.googleapis.com/envoy.extensions"


def start(folder: Path, port: int, ports: Mapping[str, int]) -> subprocess.Popen[bytes]:
    """Listen on `port` for the services at `ports`; what belongs to none of them goes to the file service."""
    document = folder / "front-door.json"
    document.write_text(json.dumps(_configuration(port, ports)))
    with (folder / "log-front-door").open("ab") as log:
        return subprocess.Popen(
            [find(), "-c", document, "--concurrency", "1", "--use-dynamic-base-id", "-l", "warning"],
            stdout=log,
            stderr=log,
        )


def _configuration(port: int, ports: Mapping[str, int]) -> dict[str, Any]:
    routes = [
        {"match": {"path_separated_prefix": prefix}, "route": {"cluster": service, "timeout": "0s"}}
        for service, prefixes in PREFIXES.items()
        if service in ports
        for prefix in prefixes
    ]
    routes.append({"match": {"prefix": "/"}, "route": {"cluster": "files", "timeout": "0s"}})
    manager = {
        "@type": f"{_HTTP}.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "front",
        "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": routes}]},
        "http_filters": [
            {"name": "router", "typed_config": {"@type": f"{_HTTP}.filters.http.router.v3.Router"}},
        ],
    }
    listener = {
        "address": _address(port),
        "filter_chains": [{"filters": [{"name": "http", "typed_config": manager}]}],
    }
    clusters = [
        {
            "name": service,
            "connect_timeout": "2s",
            "load_assignment": {
                "cluster_name": service,
                "endpoints": [{"lb_endpoints": [{"endpoint": {"address": _address(at)}}]}],
            },
        }
        for service, at in ports.items()
    ]
    return {"static_resources": {"listeners": [listener], "clusters": clusters}}


def _address(port: int) -> dict[str, Any]:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}
