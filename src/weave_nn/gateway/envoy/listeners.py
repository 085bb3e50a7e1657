"""The listener: what the edge does with every request before it is routed."""

from pathlib import Path
from typing import Any

from weave_nn.gateway.envoy.edge import LISTENER, PIN, USER, Edge, Limits, Tls

_EXTENSIONS = "type.googleapis.com/envoy.extensions"
_SCRIPT = Path(__file__).with_name("identity.lua").read_text(encoding="utf-8")
_MOST_CALLERS = 10_000
"""How many addresses and users are counted apart; the least recently seen are forgotten."""


def listener(edge: Edge, folder: str) -> dict[str, Any]:
    """The front door; `folder` holds the files of the route configuration and of the certificate."""
    chain: dict[str, Any] = {"filters": [{"name": "http", "typed_config": _http(edge, folder)}]}
    if edge.place.tls is not None:
        chain["transport_socket"] = _tls(folder)
    return {
        "@type": "type.googleapis.com/envoy.config.listener.v3.Listener",
        "name": LISTENER,
        "address": {"socket_address": {"address": edge.place.host, "port_value": edge.place.port}},
        "per_connection_buffer_limit_bytes": 1024 * 1024,
        "filter_chains": [chain],
    }


def secret(tls: Tls) -> dict[str, Any]:
    """The certificate; Envoy reads it anew when its folder changes."""
    return {
        "@type": f"{_EXTENSIONS}.transport_sockets.tls.v3.Secret",
        "name": "front",
        "tls_certificate": {
            "certificate_chain": {"filename": tls.certificate},
            "private_key": {"filename": tls.key},
            "watched_directory": {"path": str(Path(tls.certificate).parent)},
        },
    }


def _http(edge: Edge, folder: str) -> dict[str, Any]:
    limits = edge.limits
    return {
        "@type": f"{_EXTENSIONS}.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": LISTENER,
        "rds": {
            "route_config_name": LISTENER,
            "config_source": {"resource_api_version": "V3", "path_config_source": {"path": f"{folder}/rds.json"}},
        },
        # The address that is limited and logged is the one that connects here.
        "use_remote_address": True,
        "preserve_external_request_id": True,
        "server_header_transformation": "PASS_THROUGH",
        "normalize_path": False,
        "max_request_headers_kb": limits.header_kilobytes,
        "request_headers_timeout": "15s",
        "stream_idle_timeout": f"{limits.silence_seconds:g}s",
        "delayed_close_timeout": "1s",
        "drain_timeout": "5s",
        "common_http_protocol_options": {"idle_timeout": "300s", "headers_with_underscores_action": "ALLOW"},
        "upgrade_configs": [],
        "early_header_mutation_extensions": [_only_ours()],
        "http_filters": _filters(limits),
        "local_reply_config": _problems(),
        "access_log": [_access_log()],
    }


def _only_ours() -> dict[str, Any]:
    """What we tell ourselves in headers is never believed from a client."""
    return {
        "name": "only-ours",
        "typed_config": {
            "@type": f"{_EXTENSIONS}.http.early_header_mutation.header_mutation.v3.HeaderMutation",
            "mutations": [{"remove": USER}, {"remove": PIN}],
        },
    }


def _filters(limits: Limits) -> list[dict[str, Any]]:
    identity = {
        "name": "identity",
        "typed_config": {
            "@type": f"{_EXTENSIONS}.filters.http.lua.v3.Lua",
            "default_source_code": {"inline_string": _SCRIPT},
        },
    }
    router = {"name": "router", "typed_config": {"@type": f"{_EXTENSIONS}.filters.http.router.v3.Router"}}
    by_address = _rate(
        "address", limits.requests_per_second_of_address, {"masked_remote_address": {"v4_prefix_mask_len": 32}}
    )
    by_user = _rate(
        "user", limits.requests_per_second_of_user, {"request_headers": {"header_name": USER, "descriptor_key": "user"}}
    )
    return [*by_address, identity, *by_user, router]


def _rate(name: str, per_second: int, action: dict[str, Any]) -> list[dict[str, Any]]:
    if not per_second:
        return []
    key = {"address": "masked_remote_address", "user": "user"}[name]
    bucket = {"max_tokens": 2 * per_second, "tokens_per_fill": per_second, "fill_interval": "1s"}
    always = {"default_value": {"numerator": 100, "denominator": "HUNDRED"}}
    return [
        {
            "name": f"rate-by-{name}",
            "typed_config": {
                "@type": f"{_EXTENSIONS}.filters.http.local_ratelimit.v3.LocalRateLimit",
                "stat_prefix": f"by_{name}",
                "filter_enabled": always,
                "filter_enforced": always,
                "status": {"code": "TooManyRequests"},
                "response_headers_to_add": [{"header": {"key": "retry-after", "value": "1"}}],
                # Only each caller's own bucket counts: this one never empties.
                "token_bucket": {"max_tokens": 2**31, "tokens_per_fill": 2**31, "fill_interval": "1s"},
                "rate_limits": [{"actions": [action]}],
                "descriptors": [{"entries": [{"key": key}], "token_bucket": bucket}],
                "max_dynamic_descriptors": _MOST_CALLERS,
            },
        }
    ]


def _tls(folder: str) -> dict[str, Any]:
    source = {"resource_api_version": "V3", "path_config_source": {"path": f"{folder}/sds.json"}}
    return {
        "name": "tls",
        "typed_config": {
            "@type": f"{_EXTENSIONS}.transport_sockets.tls.v3.DownstreamTlsContext",
            "common_tls_context": {
                "alpn_protocols": ["h2", "http/1.1"],
                "tls_params": {"tls_minimum_protocol_version": "TLSv1_2"},
                "tls_certificate_sds_secret_configs": [{"name": "front", "sds_config": source}],
            },
        },
    }


def _problems() -> dict[str, Any]:
    """What Envoy itself answers is a problem document, as everything else that goes wrong here."""
    return {
        "body_format": {
            "json_format": {
                "type": "about:blank",
                "title": "Answered by the gateway",
                "code": "%RESPONSE_CODE_DETAILS%",
                "status": "%RESPONSE_CODE%",
                "detail": "%LOCAL_REPLY_BODY%",
            },
            "content_type": "application/problem+json",
        }
    }


def _access_log() -> dict[str, Any]:
    line = {
        "event": "access",
        "timestamp": "%START_TIME%",
        "method": "%REQ(:METHOD)%",
        # Without the query, in which people search for private things.
        "path": "%PATH(NQ)%",
        "status": "%RESPONSE_CODE%",
        "duration_ms": "%DURATION%",
        "user": f"%REQ({USER.upper()})%",
        "side": "%RESP(X-WEAVE-SIDE)%",
        "cluster": "%UPSTREAM_CLUSTER%",
        "upstream": "%UPSTREAM_HOST%",
        "client": "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%",
        "request_id": "%REQ(X-REQUEST-ID)%",
        "sent_bytes": "%BYTES_SENT%",
        "received_bytes": "%BYTES_RECEIVED%",
        "flags": "%RESPONSE_FLAGS%",
        "attempts": "%UPSTREAM_REQUEST_ATTEMPT_COUNT%",
    }
    return {
        "name": "access",
        "typed_config": {
            "@type": f"{_EXTENSIONS}.access_loggers.stream.v3.StderrAccessLog",
            "log_format": {"json_format": line},
        },
    }
