"""The metrics of everything behind the front door on one page: Envoy's, the control plane's, the services'.

Each sample says by the label `part` where it comes from, so that names which several parts use stay apart.
"""

from collections.abc import Iterable, Mapping

from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families

ENVOY_STATISTICS = (
    r"^(cluster\..*(upstream_rq_(total|time|retry|retry_success|timeout|active|[1-5]xx)|upstream_cx_(active|connect_fail)"
    r"|membership_healthy|outlier_detection\.ejections_(active|enforced_total))"
    r"|http\.front\.(downstream_rq_(active|total|time|[1-5]xx)|downstream_cx_(active|total))"
    r"|http\.front\.rds\.front\.(update_success|update_rejected|config_reload)"
    r"|.*http_local_rate_limit\..*|server\.(live|uptime|memory_allocated))$"
)
"""What of Envoy's many statistics is shown."""


def merged(parts: Mapping[str, str]) -> str:
    """One text of the texts of `parts`; a part whose text cannot be read is left out."""
    families: dict[str, Metric] = {}
    for part, text in parts.items():
        for family in _families(text):
            known = families.setdefault(family.name, Metric(family.name, family.documentation, family.type))
            known.samples += [sample._replace(labels={"part": part, **sample.labels}) for sample in family.samples]
    return "".join(_written(family) for family in families.values())


def _families(text: str) -> list[Metric]:
    try:
        return list(text_string_to_metric_families(text))
    except ValueError:
        return []


def _written(family: Metric) -> str:
    name = f"{family.name}_total" if family.type == "counter" else family.name
    lines = [f"# HELP {name} {_escaped(family.documentation)}", f"# TYPE {name} {family.type}"]
    lines += [f"{sample.name}{{{_labels(sample.labels.items())}}} {sample.value}" for sample in family.samples]
    return "\n".join(lines) + "\n"


def _labels(labels: Iterable[tuple[str, str]]) -> str:
    return ",".join(f'{name}="{_escaped(value, quote=True)}"' for name, value in labels)


def _escaped(text: str, *, quote: bool = False) -> str:
    escaped = text.replace("\\", "\\\\").replace("\n", "\\n")
    return escaped.replace('"', '\\"') if quote else escaped
