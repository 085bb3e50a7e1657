"""Routes: which request goes to which side."""

import hashlib
from collections.abc import Iterator
from typing import Any

from weave_nn.gateway.buckets import salted
from weave_nn.gateway.envoy.edge import (
    COMPARER,
    CONFIG,
    CONTROL,
    MONOLITH,
    PIN,
    SIDE,
    USER,
    Edge,
    Limits,
    candidate_cluster,
    first_candidate_cluster,
    stable_cluster,
)
from weave_nn.gateway.places import CONTROL as CONTROL_PATH
from weave_nn.gateway.places import PREFIXES, SESSIONS
from weave_nn.gateway.rollout import BUCKETS, Rollout

SERVED_PATH = "/-/served"
"""Answered by Envoy itself: the version that it serves stands in the header, as in every answer."""

_SESSION = "mcp-session-id"
_READS = {"name": ":method", "string_match": {"safe_regex": {"regex": "GET|HEAD"}}}
_TO_STABLE_ONCE = {
    "retry_on": "5xx,reset,connect-failure",
    "num_retries": 1,
    "refresh_cluster_on_retry": True,
}
_UNSENT_ONCE = {
    # What was never sent may be sent elsewhere, writes too; what was sent is not repeated.
    "retry_on": "connect-failure",
    "num_retries": 1,
    "refresh_cluster_on_retry": True,
}

_WAITING = {
    # Where there is no other side, a service that is just being restarted is waited for, some seconds on the whole.
    "retry_on": "connect-failure",
    "num_retries": 8,
    "retry_back_off": {"base_interval": "0.25s", "max_interval": "2s"},
}


def route_configuration(edge: Edge, version: str) -> dict[str, Any]:
    """The one route configuration; each of its answers names `version`."""
    return {
        "@type": "type.googleapis.com/envoy.config.route.v3.RouteConfiguration",
        "name": "front",
        "virtual_hosts": [
            {
                "name": "front",
                "domains": ["*"],
                "response_headers_to_add": [_header(CONFIG, version)],
                "routes": list(_routes(edge)),
            }
        ],
    }


def _routes(edge: Edge) -> Iterator[dict[str, Any]]:
    yield {"match": {"path": SERVED_PATH}, "direct_response": {"status": 204}, **_unlimited(edge.limits)}
    yield _too_large(edge.limits.body_bytes)
    silence = {"timeout": "0s", "idle_timeout": f"{edge.limits.silence_seconds:g}s"}
    for path in (CONTROL_PATH, "/metrics"):
        yield {"match": {"path_separated_prefix": path}, "route": {"cluster": CONTROL, **silence}}
    for rollout in edge.rollouts:
        for prefix in PREFIXES[rollout.service]:
            yield from _of_service(edge, rollout, prefix, silence)
    yield {"match": {"prefix": "/"}, "route": {"cluster": MONOLITH, **silence, "retry_policy": _WAITING}}


def _of_service(edge: Edge, rollout: Rollout, prefix: str, silence: dict[str, Any]) -> Iterator[dict[str, Any]]:
    place = {"path_separated_prefix": prefix}
    if edge.moved(rollout):
        home = {"cluster": candidate_cluster(rollout), **silence, "retry_policy": _WAITING}
        yield {"match": place, "route": home}
        return
    weight = edge.share(rollout)
    stable = {"cluster": stable_cluster(rollout), **silence, "retry_policy": _WAITING}
    home = {"match": place, "route": stable, **_side("stable")}
    mirror = _mirror(rollout.shadow_percent)
    if weight:
        if prefix in SESSIONS:
            yield from _pinned(rollout, place, home, silence)
        split = _split(rollout, weight, pin=prefix in SESSIONS)
        known = {"name": USER, "present_match": True}
        read = {**split, **silence, "retry_policy": _TO_STABLE_ONCE, **mirror}
        yield {"match": {**place, "headers": [known, _READS]}, "route": read}
        yield {"match": {**place, "headers": [known]}, "route": {**split, **silence, "retry_policy": _UNSENT_ONCE}}
    elif mirror:
        yield {**home, "match": {**place, "headers": [_READS]}, "route": {**home["route"], **mirror}}
    yield home


def _pinned(
    rollout: Rollout, place: dict[str, Any], home: dict[str, Any], silence: dict[str, Any]
) -> Iterator[dict[str, Any]]:
    """A session stays in the process that began it: the candidate's carry the rollout's mark, others are stable's."""
    marked = {"name": PIN, "string_match": {"exact": mark(rollout)}}
    candidate = {"cluster": candidate_cluster(rollout), **silence}
    yield {"match": {**place, "headers": [marked]}, "route": candidate, **_side("candidate", rollout)}
    yield {**home, "match": {**place, "headers": [{"name": _SESSION, "present_match": True}]}}


def _split(rollout: Rollout, weight: int, *, pin: bool) -> dict[str, Any]:
    substitution = salted(rollout.salt, "\\1")
    sides = [
        {
            "name": first_candidate_cluster(rollout),
            "weight": weight,
            **_side("candidate", rollout if pin else None),
        },
        {"name": stable_cluster(rollout), "weight": BUCKETS - weight, **_side("stable")},
    ]
    return {
        "hash_policy": [
            {
                "header": {
                    "header_name": USER,
                    "regex_rewrite": {"pattern": {"regex": "^(.+)$"}, "substitution": substitution},
                }
            }
        ],
        # The candidate stands first: so a larger weight only adds users to it.
        "weighted_clusters": {"use_hash_policy": True, "clusters": sides},
    }


def _mirror(percent: int) -> dict[str, Any]:
    if not percent:
        return {}
    share = {"default_value": {"numerator": percent, "denominator": "HUNDRED"}}
    return {
        "request_mirror_policies": [
            {"cluster": COMPARER, "runtime_fraction": share, "disable_shadow_host_suffix_append": True}
        ]
    }


def _side(side: str, pinned: Rollout | None = None) -> dict[str, Any]:
    headers = [_header(SIDE, side)]
    if pinned is not None:
        headers.append(_header(PIN, mark(pinned)))
    return {"response_headers_to_add": headers}


def mark(rollout: Rollout) -> str:
    """What the ids of the candidate's sessions begin with, towards clients; nobody else can guess it."""
    digest = hashlib.sha256(rollout.salt.encode()).hexdigest()
    return f"r{digest[:16]}"


def _unlimited(limits: Limits) -> dict[str, Any]:
    """The control plane asks often while it waits for a change, and must not use up what others of its machine may."""
    names = [
        *(["rate-by-address"] if limits.requests_per_second_of_address else []),
        *(["rate-by-user"] if limits.requests_per_second_of_user else []),
    ]
    off = {"@type": "type.googleapis.com/envoy.config.route.v3.FilterConfig", "disabled": True}
    return {"typed_per_filter_config": dict.fromkeys(names, off)} if names else {}


def _too_large(body_bytes: int) -> dict[str, Any]:
    longer = {"name": "content-length", "range_match": {"start": body_bytes + 1, "end": 2**62}}
    return {
        "match": {"prefix": "/", "headers": [longer]},
        "direct_response": {"status": 413, "body": {"inline_string": f"The body is longer than {body_bytes} bytes."}},
    }


def _header(name: str, value: str) -> dict[str, Any]:
    return {"header": {"key": name, "value": value}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}
