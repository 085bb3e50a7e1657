"""The control plane over HTTP: who calls (for Envoy), the administrators' routes, and everybody's metrics."""

from collections.abc import Callable
from dataclasses import asdict
from typing import Annotated, Any

import anyio.to_thread
from fastapi import APIRouter, Query, Request
from fastapi.responses import PlainTextResponse, Response
from pydantic import BaseModel, Field

from weave_nn.gateway import checklist
from weave_nn.gateway.comparing.answers import pattern
from weave_nn.gateway.places import CONTROL, known_service
from weave_nn.gateway.repository import Mismatch
from weave_nn.gateway.rollout import Policy, Rollout
from weave_nn.gateway.rollouts import Rollouts, Status, Whereabouts, label
from weave_nn.shared.http import Authenticator, requires
from weave_nn.shared.identity import Scope, current_identity

CALLER_PATH = "/-/caller"
LOOK_PATH = "/-/look"
INTERNAL_PATHS = frozenset({CALLER_PATH, LOOK_PATH})
"""Paths without a key: only this machine reaches them, and they tell and change nothing."""

_Percent = Annotated[int, Field(description="Percent of users; 0 to 100.")]


class Plan(BaseModel):
    """A rollout to be planned. Addresses are `http://host:port`."""

    service: str
    candidate: str
    stable: str | None = None
    soak_seconds: float = 300.0
    minimum_samples: int = 20
    ignore: tuple[str, ...] = ()
    why: str = ""


class Step(BaseModel):
    """The candidate's share; `force` skips the guard."""

    percent: _Percent
    force: bool = False
    why: str = ""


class Shadow(BaseModel):
    """The share of GETs to mirror."""

    percent: _Percent
    why: str = ""


class Reason(BaseModel):
    """Why something is done; `force` skips the guard where one is asked."""

    why: str = ""
    force: bool = False


class Automatic(BaseModel):
    """Whether the rollout goes up by itself."""

    automatic: bool = True


def internal_router(authenticator: Authenticator, look: Callable[[], None]) -> APIRouter:
    """What Envoy and the command line ask on the loopback."""
    routes = APIRouter(include_in_schema=False)

    @routes.get(CALLER_PATH)
    async def caller(request: Request) -> Response:
        user = await _caller(authenticator, request)
        return Response(status_code=204) if user is None else Response(headers={"x-weave-user": user})

    @routes.post(LOOK_PATH)
    async def look_now() -> Response:
        look()
        return Response(status_code=204)

    return routes


async def _caller(authenticator: Authenticator, request: Request) -> str | None:
    """The user's name as it stands in what is hashed, without the kind; an `Unavailable` is Envoy's to bridge."""
    # The edge has looked at it already, and at on whose behalf one of our services calls.
    identity = current_identity()
    if identity is None:
        scheme, _, credential = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            # On a public path nobody has told yet whether it is unknown, or could not be looked for.
            await authenticator.authenticate(credential.strip())
        return None
    return label(identity.user or identity.name).removeprefix("user:")


def router(rollouts: Rollouts, look: Callable[[], None], *, monolith: str, api_key: str) -> APIRouter:
    """The administrators' routes, under the front door's `/gateway`."""
    routes = APIRouter(prefix=CONTROL, tags=["gateway"], dependencies=[requires(Scope.ADMIN)])
    routes.include_router(_reading(rollouts))
    routes.include_router(_planning(rollouts, look, monolith, api_key))
    routes.include_router(_moving(rollouts, look))
    return routes


def _reading(rollouts: Rollouts) -> APIRouter:
    routes = APIRouter()

    @routes.get("/rollouts", summary="The newest rollout of every service")
    def all_rollouts() -> list[dict[str, Any]]:
        return [asdict(each) for each in rollouts.routed()[1]]

    @routes.get("/rollouts/{service}", summary="All about a service's rollout")
    def status(service: str) -> Status:
        return rollouts.status(service)

    @routes.get("/rollouts/{service}/mismatches", summary="What the comparer found")
    def mismatches(service: str, limit: Annotated[int, Query(ge=1, le=100)] = 20) -> list[Mismatch]:
        return rollouts.mismatches(service, limit)

    @routes.get("/where/{user}", summary="On which side a user is, and why")
    def where(user: str) -> list[Whereabouts]:
        return rollouts.where(user)

    return routes


def _planning(rollouts: Rollouts, look: Callable[[], None], monolith: str, api_key: str) -> APIRouter:
    routes = APIRouter()

    @routes.post("/rollouts", summary="Plan the extraction of a service", status_code=201)
    def plan(wanted: Plan) -> dict[str, Any]:
        known_service(wanted.service)
        for each in wanted.ignore:
            pattern(each)
        stable = wanted.stable or rollouts.home(wanted.service, monolith)
        checklist.require(checklist.check(wanted.service, stable, wanted.candidate, api_key))
        policy = Policy(soak_seconds=wanted.soak_seconds, minimum_samples=wanted.minimum_samples, ignore=wanted.ignore)
        planned = rollouts.plan(
            wanted.service,
            candidate=wanted.candidate,
            monolith=monolith,
            stable=stable,
            policy=policy,
            who=_who(),
            why=wanted.why,
        )
        return _done(planned, look)

    @routes.post("/rollouts/{service}/automatic", summary="Go up by itself, or stop that")
    def automatic(service: str, wanted: Automatic) -> dict[str, Any]:
        return _done(rollouts.automate(service, automatic=wanted.automatic, who=_who()), look)

    @routes.post("/rollouts/{service}/pause", summary="Keep the split as it is")
    def pause(service: str, wanted: Reason) -> dict[str, Any]:
        return _done(rollouts.pause(service, who=_who(), why=wanted.why), look)

    @routes.post("/rollouts/{service}/resume", summary="Go on after a pause")
    def resume(service: str, wanted: Reason) -> dict[str, Any]:
        return _done(rollouts.resume(service, who=_who(), why=wanted.why), look)

    return routes


def _moving(rollouts: Rollouts, look: Callable[[], None]) -> APIRouter:
    routes = APIRouter()

    @routes.post("/rollouts/{service}/shadow", summary="Mirror a share of the GETs to the comparer")
    def shadow(service: str, wanted: Shadow) -> dict[str, Any]:
        return _done(rollouts.shadow(service, wanted.percent, who=_who(), why=wanted.why), look)

    @routes.post("/rollouts/{service}/step", summary="Give the candidate a share of the users")
    def step(service: str, wanted: Step) -> dict[str, Any]:
        moved = rollouts.step(service, wanted.percent, who=_who(), why=wanted.why, force=wanted.force)
        return _done(moved, look)

    @routes.post("/rollouts/{service}/complete", summary="The candidate is the service's home from now on")
    def complete(service: str, wanted: Reason) -> dict[str, Any]:
        return _done(rollouts.complete(service, who=_who(), why=wanted.why, force=wanted.force), look)

    @routes.post("/rollouts/{service}/rollback", summary="Send everybody home")
    def roll_back(service: str, wanted: Reason) -> dict[str, Any]:
        return _done(rollouts.roll_back(service, who=_who(), why=wanted.why or "asked for"), look)

    return routes


def _done(rollout: Rollout, look: Callable[[], None]) -> dict[str, Any]:
    look()
    return asdict(rollout)


def _who() -> str:
    identity = current_identity()
    return identity.name if identity else "nobody"


def metrics_router(gathered: Callable[[str], str]) -> APIRouter:
    """`/metrics` of everything behind the front door; `gathered` is given the caller's credential for the services."""
    routes = APIRouter(tags=["gateway"])

    @routes.get("/metrics", summary="Metrics of the edge and of all services", response_class=PlainTextResponse)
    async def metrics(request: Request) -> Response:
        text = await anyio.to_thread.run_sync(gathered, request.headers.get("authorization", ""))
        return PlainTextResponse(text)

    return routes
