"""The settings of the gateway, which only `weave gateway` and the commands about rollouts look at."""

from collections.abc import Iterable
from typing import Annotated

from pydantic import Field
from pydantic_settings import BaseSettings

from weave_nn.shared.config.kinds import Folder, ServiceUrl

_Percentage = Annotated[int | None, Field(ge=0, le=100)]
_Port = Annotated[int, Field(ge=1, le=65535)]


class EdgeSettings(BaseSettings):
    """The gateway's part of `Settings`."""

    envoy: str | None = Field(
        default=None, description="the Envoy to run; that of the extra weave-nn[gateway] unless set"
    )
    monolith_url: ServiceUrl = Field(
        default="http://127.0.0.1:8010",
        description="where the gateway reaches the monolith, which moves there when the gateway takes its port",
    )
    gateway_admin_port: _Port = Field(default=9901, description="the port of Envoy's admin interface (loopback only)")
    gateway_control_port: _Port = Field(default=9902, description="the port of the control plane (loopback only)")
    gateway_comparer_port: _Port = Field(default=9903, description="the port of the shadow comparer (loopback only)")
    gateway_workers: int = Field(default=0, ge=0, le=1024, description="threads of Envoy; 0 for one per processor")
    gateway_requests_per_second_of_address: int = Field(
        default=0, ge=0, le=10**6, description="how many requests an address may make; 0 does not limit"
    )
    gateway_requests_per_second_of_user: int = Field(
        default=0, ge=0, le=10**6, description="how many requests a user may make; 0 does not limit"
    )
    gateway_body_bytes: int = Field(default=2**30, ge=1024, description="the longest body that passes the gateway")
    gateway_header_kilobytes: int = Field(default=60, ge=1, le=8192, description="the longest headers of a request")
    gateway_silence_seconds: float = Field(
        default=300.0, ge=1, le=86400, description="how long a request may pass nothing in either direction"
    )
    tls_certificate: Folder | None = Field(default=None, description="the gateway's certificate with its chain (PEM)")
    tls_key: Folder | None = Field(default=None, description="the key of the gateway's certificate (PEM)")
    rollout_percentage: _Percentage = Field(
        default=None,
        validation_alias="ROLLOUT_PERCENTAGE",
        description="the candidate's share of users in every rollout, whatever was commanded; 0 takes all home",
    )
    rollout_files: _Percentage = Field(default=None, description="the same for the file service alone")
    rollout_sync: _Percentage = Field(default=None, description="the same for the sync service alone")
    rollout_tasks: _Percentage = Field(default=None, description="the same for the task service alone")
    rollout_git: _Percentage = Field(default=None, description="the same for the git service alone")
    rollout_agents: _Percentage = Field(default=None, description="the same for the agent service alone")
    rollout_workflows: _Percentage = Field(default=None, description="the same for the workflow service alone")

    def rollout_overrides(self, services: Iterable[str]) -> dict[str, int]:
        """The percentages that the environment demands, by service."""
        demanded: dict[str, int] = {}
        for name in services:
            percent: int | None = getattr(self, f"rollout_{name}", None)
            percent = self.rollout_percentage if percent is None else percent
            if percent is not None:
                demanded[name] = percent
        return demanded
