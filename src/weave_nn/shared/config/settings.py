"""The settings: one field per environment variable, with its limits and its explanation.

The explanations are shown by `weave config`, and `.env.example` repeats them at length; a test keeps the two alike.
"""

import hashlib
import os
import re
import unicodedata
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import quote

import platformdirs
from pydantic import BeforeValidator, Field, SecretStr
from pydantic_settings import NoDecode, SettingsConfigDict

from weave_nn.shared.config.edge import EdgeSettings
from weave_nn.shared.config.kinds import Folder, ServiceUrl

PREFIX = "WEAVE_"
SHORTEST_SERVICE_KEY = 16


def _comma_separated(value: Any) -> Any:
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


def _lower(value: Any) -> Any:
    return value.lower() if isinstance(value, str) else value


def _usable_key(value: Any) -> Any:
    text = value.get_secret_value() if isinstance(value, SecretStr) else value
    if isinstance(text, str) and not re.fullmatch(r"[!-~]+", text):
        raise ValueError("it may hold only visible ASCII characters, without spaces, to stand in an HTTP header")
    return value


def _long_key(value: Any) -> Any:
    text = value.get_secret_value() if isinstance(value, SecretStr) else value
    if isinstance(text, str) and len(text) < SHORTEST_SERVICE_KEY:
        raise ValueError(
            f"it needs at least {SHORTEST_SERVICE_KEY} characters, for whoever guesses it may do everything"
        )
    return _usable_key(value)


Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_comma_separated)]


def slug(name: str) -> str:
    """`name` as lower-case ASCII letters, digits and hyphens, for folder names and identifiers."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:40] or "vault"


def default_data_dir(vault: Path | None) -> Path | None:
    """The state folder of `vault` (an absolute path) in the platform's folder for user data.

    The hash of the path keeps vaults of the same name apart; NFC because macOS gives the same folder in two forms.
    """
    if vault is None:
        return None
    digest = hashlib.sha256(os.fsencode(unicodedata.normalize("NFC", str(vault)))).hexdigest()[:10]
    return platformdirs.user_data_path("weave-nn", appauthor=False) / f"{slug(vault.name)}-{digest}"


def _default_database_url(data: dict[str, Any]) -> str | None:
    data_dir = data.get("data_dir")
    return f"sqlite:///{quote((data_dir / 'weave.db').as_posix(), safe='/:')}" if data_dir else None


class Settings(EdgeSettings):
    """Every setting. Make one with `load`, which explains bad values; the fields say what they mean."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_file=".env",
        env_file_encoding="utf-8",
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,
        populate_by_name=True,
    )

    vault: Folder | None = Field(default=None, description="the folder of notes to serve")
    host: str = Field(default="127.0.0.1", description="the address to listen on")
    port: int = Field(default=8000, ge=0, le=65535, description="the port to listen on; 0 takes any free one")
    api_key: Annotated[SecretStr, BeforeValidator(_usable_key)] | None = Field(
        default=None,
        description="the key that clients send; one is made on the first start and kept in the data folder",
    )
    service_key: Annotated[SecretStr, BeforeValidator(_long_key)] | None = Field(
        default=None,
        description="the key by which the services of one installation trust each other; the same for all of them",
    )
    jwt_issuer: str | None = Field(default=None, description="who signs the JSON Web Tokens that are accepted")
    jwt_audience: str | None = Field(default=None, description="what the tokens' audience must be, such as weave-nn")
    jwt_keys: str | None = Field(
        default=None,
        description="the issuer's public keys (JWKS), as an https URL or a file",
    )
    jwt_secret_file: Folder | None = Field(default=None, description="a file with the secret of HS256 tokens")
    jwt_algorithms: Names = Field(
        default=("RS256", "ES256", "EdDSA"),
        description="the signatures that are accepted with public keys, separated by commas",
    )
    jwt_leeway_seconds: float = Field(default=30.0, ge=0, le=300, description="how far the issuer's clock may be off")
    jwt_scope_claim: str = Field(default="scope", description="the claim that lists read, write or admin")
    rate_limit_per_minute: int = Field(
        default=0, ge=0, le=1_000_000, description="how many requests one key may make in a minute; 0 for any number"
    )
    rate_limit_address_per_minute: int = Field(
        default=0, ge=0, le=1_000_000, description="how many requests may come from one address in a minute; 0: any"
    )
    data_dir: Folder | None = Field(
        default_factory=lambda data: default_data_dir(data.get("vault")),
        description="the folder of the database and the API key; never inside the vault",
    )
    vault_id: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$",
        description="the vault's name in events and rows; one is made on the first start and kept",
    )
    read_only: bool = Field(default=False, description="refuse every change of the vault")
    allowed_hosts: Names = Field(
        default=(),
        description="Host headers to accept besides this machine's own, separated by commas",
    )
    trusted_proxies: Names = Field(
        default=(),
        description="addresses (or networks) of proxies that may say where a request comes from, separated by commas",
    )
    cors_origins: Names = Field(
        default=(),
        description="web origins whose pages may call the API, separated by commas",
    )
    max_note_bytes: int = Field(default=64 * 2**20, ge=1024, description="the largest note that is accepted")
    max_attachment_bytes: int = Field(default=2**30, ge=1024, description="the largest attachment that is accepted")
    watch: Annotated[Literal["auto", "poll", "off"], BeforeValidator(_lower)] = Field(
        default="auto",
        description="how changes on disk are noticed: auto (the system tells), poll (network drives), off",
    )
    watch_debounce_milliseconds: int = Field(
        default=50,
        ge=0,
        le=10_000,
        description="how long a file must be quiet before its change is announced",
    )
    watch_poll_seconds: float = Field(default=2.0, ge=0.1, le=3600, description="time between two looks when polling")
    tasks_inbox: str = Field(default="Inbox.md", description="the note that new tasks without a project go to")
    tasks_project_folders: Names = Field(
        default=("_projects", "projects"),
        description="folders whose subfolders are projects, separated by commas",
    )
    tasks_project_note: str = Field(
        default="Tasks.md",
        description="the note of a project that its new tasks go to, below the project's folder",
    )
    tasks_write_ids: bool = Field(default=False, description="write an id (🆔) into the note for every task made here")
    git_auto_commit: bool = Field(default=True, description="commit changes of a vault that is a git repository")
    git_auto_init: bool = Field(default=False, description="make a git repository of a vault that is none")
    git_quiet_seconds: float = Field(default=5.0, ge=0, le=3600, description="quiet before a commit is made")
    git_longest_seconds: float = Field(default=60.0, ge=0, le=86400, description="the longest that a commit waits")
    git_author: str | None = Field(default=None, description="'Name <email>' of commits, instead of git's own")
    git_sign_off: bool = Field(default=False, description="end commit messages with Signed-off-by")
    git_validation: Annotated[Literal["report", "block", "off"], BeforeValidator(_lower)] = Field(
        default="report",
        description="what broken links and frontmatter do to a commit: report, block, off",
    )
    git_timeout_seconds: float = Field(default=60.0, ge=1, le=3600, description="the longest that one git command runs")
    git_sync_interval_seconds: float = Field(
        default=0.0,
        ge=0,
        le=86400,
        description="time between two pulls (and pushes) of the remote; 0 for never",
    )
    git_remote: str = Field(default="origin", description="the remote to pull from and push to")
    git_push: bool = Field(default=True, description="whether to push after a pull")
    semantic: Annotated[Literal["auto", "off"], BeforeValidator(_lower)] = Field(
        default="auto",
        description="search by meaning: auto (where the extra weave-nn[semantic] is installed), off",
    )
    log_level: Annotated[Literal["debug", "info", "warning", "error"], BeforeValidator(_lower)] = Field(
        default="info",
        description="the least important log line that is written",
    )
    log_format: Annotated[Literal["auto", "console", "json"], BeforeValidator(_lower)] = Field(
        default="auto",
        description="console for people, json for machines; auto: console on a terminal",
    )
    database_url: str | None = Field(
        default_factory=_default_database_url,
        validation_alias="DATABASE_URL",
        repr=False,
        description="the database; a SQLite file in the data folder unless set",
    )
    files_url: ServiceUrl = Field(
        default="http://127.0.0.1:8001",
        description="where the file service is reached by processes that do not compose it",
    )
    git_url: ServiceUrl = Field(default="http://127.0.0.1:8002", description="where the git service is reached")
    tasks_url: ServiceUrl = Field(default="http://127.0.0.1:8003", description="where the task service is reached")
    sync_url: ServiceUrl = Field(default="http://127.0.0.1:8004", description="where the sync service is reached")
    gateway_url: ServiceUrl | None = Field(
        default=None,
        description="the gateway that all services are reached through, instead of the addresses of each",
    )
    drain_seconds: float = Field(
        default=0.2,
        ge=0,
        le=600,
        description="how long requests are still taken after SIGTERM, while /ready says that the process will stop",
    )
    database_url_target: str | None = Field(
        default=None,
        validation_alias="DATABASE_URL_TARGET",
        repr=False,
        description="the PostgreSQL that the database moves to; `weave db migrate --to` goes first",
    )
    dual_write_enabled: bool = Field(
        default=False,
        validation_alias="DUAL_WRITE_ENABLED",
        description="fill DATABASE_URL_TARGET beside SQLite: changes are captured and applied there from now on",
    )
    database_writer_connections: int = Field(
        default=4,
        ge=1,
        le=1000,
        description="connections of one process for writing, at most (PostgreSQL)",
    )
    database_reader_connections: int = Field(
        default=8,
        ge=1,
        le=1000,
        description="connections of one process for reading, at most (PostgreSQL)",
    )
    database_connect_timeout_seconds: int = Field(
        default=5,
        ge=2,
        le=600,
        description="the longest wait for a connection to be made (PostgreSQL)",
    )
    database_statement_timeout_seconds: int = Field(
        default=60,
        ge=1,
        le=86400,
        description="the longest that one statement runs (PostgreSQL)",
    )
    database_lock_timeout_seconds: int = Field(
        default=15,
        ge=1,
        le=86400,
        description="the longest wait for what another transaction holds (PostgreSQL)",
    )
    database_idle_transaction_timeout_seconds: int = Field(
        default=300,
        ge=10,
        le=86400,
        description="the longest that a transaction waits for its program, such as for a large file (PostgreSQL)",
    )
    rabbitmq_url: str | None = Field(
        default=None,
        validation_alias="RABBITMQ_URL",
        repr=False,
        description="the RabbitMQ that carries events between services; none for the tables of the database",
    )
    redis_url: str | None = Field(
        default=None,
        validation_alias="REDIS_URL",
        repr=False,
        description="the Redis or Valkey that processes share what may be lost in; none for one host",
    )


def variable(field: str) -> str:
    """The environment variable of a field of `Settings`."""
    alias = Settings.model_fields[field].validation_alias
    return alias if isinstance(alias, str) else f"{PREFIX}{field.upper()}"
