"""Clusters: where traffic can go, with what takes a side out that does not answer."""

from ipaddress import ip_address
from typing import Any

from weave_nn.gateway.envoy.edge import (
    COMPARER,
    CONTROL,
    MONOLITH,
    Edge,
    candidate_cluster,
    first_candidate_cluster,
    stable_cluster,
)
from weave_nn.gateway.places import address
from weave_nn.gateway.rollout import Rollout

_TYPES = "type.googleapis.com/envoy"
_CLUSTER = f"{_TYPES}.config.cluster.v3.Cluster"
_PROTOCOL = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"

_IDLE_SECONDS = 3
"""How long an unused connection to a service is kept: less than services keep theirs (5 s), or a request could be sent
on a connection that is being closed."""

_CONNECT_SECONDS = 0.5
_MOST_REQUESTS = 4096


def clusters(edge: Edge) -> list[dict[str, Any]]:
    """Every cluster of the edge."""
    found = [
        _cluster(MONOLITH, edge.place.monolith),
        _cluster(CONTROL, edge.place.control),
        _comparer(edge.place.comparer),
    ]
    for rollout in edge.rollouts:
        if edge.moved(rollout):
            found.append(_cluster(candidate_cluster(rollout), rollout.candidate))
            continue
        found.append(_cluster(stable_cluster(rollout), rollout.stable))
        found.append(_candidate(rollout))
        found.append(_aggregate(rollout))
    return found


def _cluster(name: str, url: str) -> dict[str, Any]:
    host, port = address(url)
    return {
        "@type": _CLUSTER,
        "name": name,
        "type": "STATIC" if _is_number(host) else "STRICT_DNS",
        "connect_timeout": f"{_CONNECT_SECONDS}s",
        "circuit_breakers": _many(),
        "typed_extension_protocol_options": {
            _PROTOCOL: {
                "@type": f"type.googleapis.com/{_PROTOCOL}",
                "common_http_protocol_options": {"idle_timeout": f"{_IDLE_SECONDS}s"},
                "explicit_http_config": {"http_protocol_options": {}},
            }
        },
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [
                {"lb_endpoints": [{"endpoint": {"address": {"socket_address": {"address": host, "port_value": port}}}}]}
            ],
        },
    }


def _many() -> dict[str, Any]:
    """Bounds for traffic of users. Without a word on retries Envoy allows three at once, and fails all others."""
    names = ("max_connections", "max_pending_requests", "max_requests", "max_retries")
    return {"thresholds": [dict.fromkeys(names, _MOST_REQUESTS)]}


def _candidate(rollout: Rollout) -> dict[str, Any]:
    """A side that may fail: looked at twice a second, and put out at once when it answers with errors."""
    return _cluster(candidate_cluster(rollout), rollout.candidate) | {
        # Nothing is sent to a candidate that is known to be out; stable takes over.
        "common_lb_config": {"healthy_panic_threshold": {"value": 0}},
        "health_checks": [
            {
                "timeout": "1s",
                "interval": "0.5s",
                "no_traffic_interval": "0.5s",
                "unhealthy_threshold": 2,
                "healthy_threshold": 1,
                "http_health_check": {"path": "/ready"},
            }
        ],
        "outlier_detection": {
            "consecutive_5xx": 3,
            "consecutive_gateway_failure": 3,
            "enforcing_consecutive_gateway_failure": 100,
            "interval": "0.2s",
            "base_ejection_time": "3s",
            "max_ejection_percent": 100,
            "successful_active_health_check_uneject_host": False,
        },
    }


def _aggregate(rollout: Rollout) -> dict[str, Any]:
    return {
        "@type": _CLUSTER,
        "name": first_candidate_cluster(rollout),
        "connect_timeout": f"{_CONNECT_SECONDS}s",
        "lb_policy": "CLUSTER_PROVIDED",
        # What is asked again is counted at the cluster that the route names: here, not at a member.
        "circuit_breakers": _many(),
        "cluster_type": {
            "name": "envoy.clusters.aggregate",
            "typed_config": {
                "@type": f"{_TYPES}.extensions.clusters.aggregate.v3.ClusterConfig",
                "clusters": [candidate_cluster(rollout), stable_cluster(rollout)],
            },
        },
    }


def _comparer(url: str) -> dict[str, Any]:
    """Mirrored requests: few at once, so that a comparer that is slow or gone costs nothing."""
    few = {"max_connections": 32, "max_pending_requests": 32, "max_requests": 64, "max_retries": 0}
    return _cluster(COMPARER, url) | {"circuit_breakers": {"thresholds": [few]}}


def _is_number(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
