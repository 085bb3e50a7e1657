"""The one function from an `Edge` to Envoy's files."""

import hashlib
import json
from typing import Any

from weave_nn.gateway.envoy import clusters, listeners, routes
from weave_nn.gateway.envoy.edge import Edge

_BUCKETS_MILLISECONDS = (
    0.5, 1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 20, 25, 30, 40, 50, 65, 80, 100, 125, 150, 200, 250, 300, 400, 500, 650, 800,
    1000, 1250, 1500, 2000, 2500, 3000, 4000, 5000, 7500, 10000, 15000, 30000, 60000,
)  # fmt: skip
"""The bounds of latencies: a p99 is told to about a quarter of itself."""


def render(edge: Edge, folder: str) -> dict[str, str]:
    """The files of an edge by name: the boot configuration and what it refers to in `folder`.

    Each file but the first names a version that follows from its content, so that what is served can be told from
    what was written: see `version`.
    """
    files = {
        "boot.json": _text(_boot(edge, folder)),
        "cds.json": _resources([*clusters.clusters(edge)]),
        "lds.json": _resources([listeners.listener(edge, folder)]),
        "rds.json": _resources([routes.route_configuration(edge, _route_version(edge))], _route_version(edge)),
    }
    if edge.place.tls is not None:
        files["sds.json"] = _resources([listeners.secret(edge.place.tls)])
    return files


def version(file: str) -> str:
    """The version that the text of a file names."""
    return str(json.loads(file)["version_info"])


def _route_version(edge: Edge) -> str:
    return _digest(routes.route_configuration(edge, ""))


def _resources(resources: list[dict[str, Any]], named: str | None = None) -> str:
    return _text({"version_info": named or _digest(resources), "resources": resources})


def _digest(content: Any) -> str:
    return hashlib.sha256(_text(content).encode()).hexdigest()[:16]


def _text(content: Any) -> str:
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def _boot(edge: Edge, folder: str) -> dict[str, Any]:
    source = {"resource_api_version": "V3"}
    return {
        "node": {"id": "edge", "cluster": "weave"},
        "admin": {
            "address": {"socket_address": {"address": "127.0.0.1", "port_value": edge.place.admin_port}},
            # The control plane gets in however many clients there are.
            "ignore_global_conn_limit": True,
        },
        "overload_manager": {"resource_monitors": [_most_connections(edge.limits.connections)]},
        "dynamic_resources": {
            "lds_config": {**source, "path_config_source": {"path": f"{folder}/lds.json"}},
            "cds_config": {**source, "path_config_source": {"path": f"{folder}/cds.json"}},
        },
        # Histograms are merged when statistics are flushed.
        "stats_flush_interval": "1s",
        "stats_config": {
            "histogram_bucket_settings": [{"match": {"prefix": "cluster."}, "buckets": list(_BUCKETS_MILLISECONDS)}]
        },
    }


def _most_connections(count: int) -> dict[str, Any]:
    """What comes beyond them is closed at once."""
    extension = "type.googleapis.com/envoy.extensions.resource_monitors.downstream_connections.v3"
    return {
        "name": "envoy.resource_monitors.global_downstream_max_connections",
        "typed_config": {
            "@type": f"{extension}.DownstreamConnectionsConfig",
            "max_active_downstream_connections": count,
        },
    }


def whole(edge: Edge, folder: str) -> str:
    """The same edge as one document without files beside it: what `envoy --mode validate` looks through."""
    listening = listeners.listener(edge, folder)
    manager = listening["filter_chains"][0]["filters"][0]["typed_config"]
    del manager["rds"]
    manager["route_config"] = routes.route_configuration(edge, "")
    resources: dict[str, Any] = {"clusters": clusters.clusters(edge), "listeners": [listening]}
    if edge.place.tls is not None:
        resources["secrets"] = [listeners.secret(edge.place.tls)]
        listening["filter_chains"][0]["transport_socket"]["typed_config"]["common_tls_context"][
            "tls_certificate_sds_secret_configs"
        ] = [{"name": "front"}]
    for resource in [*resources["clusters"], *resources["listeners"], manager["route_config"]]:
        del resource["@type"]
    for resource in resources.get("secrets", ()):
        del resource["@type"]
    boot = _boot(edge, folder)
    del boot["dynamic_resources"]
    return _text({**boot, "static_resources": resources})
