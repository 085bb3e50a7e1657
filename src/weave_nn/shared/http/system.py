"""The routes that every process has: `/health`, `/ready`, `/metrics` and `/docs`."""

import html
from collections.abc import Callable
from typing import Any, Literal

from fastapi import APIRouter
from fastapi.responses import HTMLResponse, JSONResponse, PlainTextResponse
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from pydantic import BaseModel, Field
from starlette.responses import Response

from weave_nn.shared.http.readiness import Readiness, report
from weave_nn.shared.identity import current_identity

HEALTH_PATH = "/health"
READY_PATH = "/ready"
PROBE_PATHS = frozenset({HEALTH_PATH, READY_PATH})


class Health(BaseModel):
    """The process lives."""

    status: Literal["ok"] = "ok"


class CheckReport(BaseModel):
    """One readiness check; `detail` and `duration_ms` only for callers with a key."""

    name: str
    status: Literal["ok", "failed"]
    duration_ms: float | None = None
    detail: str | None = None


class ReadinessReport(BaseModel):
    """Whether requests can be served now."""

    status: Literal["ready", "not_ready", "draining"] = Field(description="`draining`: the process is about to stop.")
    checks: list[CheckReport]


def router(readiness: Readiness, registry: CollectorRegistry, openapi: Callable[[], dict[str, Any]]) -> APIRouter:
    """The system routes; `openapi` gives the document that `/docs` shows."""
    routes = APIRouter(tags=["system"])

    @routes.get(HEALTH_PATH, summary="Whether the process lives")
    async def health() -> Health:
        return Health()

    not_ready: dict[int | str, dict[str, Any]] = {
        503: {"model": ReadinessReport, "description": "Not ready, or about to stop"}
    }

    @routes.get(READY_PATH, summary="Whether it can serve now", response_model=ReadinessReport, responses=not_ready)
    async def ready() -> Response:
        results = await readiness.results()
        status, body = report(results, draining=readiness.draining, detailed=current_identity() is not None)
        return JSONResponse(body, status)

    @routes.get("/metrics", summary="Metrics for Prometheus", response_class=PlainTextResponse)
    def metrics() -> Response:
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_PLAIN_0_0_4)

    @routes.get("/docs", include_in_schema=False)
    def docs() -> Response:
        policy = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"
        return HTMLResponse(_reference(openapi()), headers={"Content-Security-Policy": policy})

    return routes


_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color-scheme:light dark}"
    "table{border-collapse:collapse;width:100%}td{padding:.2rem .8rem .2rem 0;vertical-align:top}"
    "code{font-family:ui-monospace,monospace}h2{margin-top:2rem;text-transform:capitalize}"
)


def _reference(document: dict[str, Any]) -> str:
    """A plain page of all operations: the usual viewers load their scripts from a content delivery network."""
    groups: dict[str, list[str]] = {}
    for path, item in document["paths"].items():
        for method, operation in item.items():
            cells = (
                f"<code>{method.upper()}</code>",
                f"<code>{html.escape(path)}</code>",
                html.escape(operation.get("summary", "")),
            )
            row = "<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"
            groups.setdefault(operation.get("tags", ["other"])[0], []).append(row)
    title = html.escape(f"{document['info']['title']} {document['info']['version']}")
    tables = "".join(f"<h2>{html.escape(tag)}</h2><table>{''.join(rows)}</table>" for tag, rows in groups.items())
    return (
        f"<!doctype html><html lang=en><meta charset=utf-8><title>{title}</title><style>{_STYLE}</style>"
        f"<h1>{title}</h1><p>All of it, for clients and code generators: <a href=/openapi.json>/openapi.json</a>"
        f" (OpenAPI 3.1). Requests carry <code>Authorization: Bearer KEY</code>.</p>{tables}"
    )
