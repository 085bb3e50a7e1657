"""The gateway's tables. Private."""

from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import JSON, BigInteger, Boolean, Float, ForeignKey, Index, Integer, String, Text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from weave_nn.shared.db import SchemaTree, UtcDateTime, metadata

_SEQUENCE = BigInteger().with_variant(Integer, "sqlite")
_NAME = String(255)


class Base(DeclarativeBase):
    """The root of the gateway's tables."""

    metadata = metadata()


class RolloutRow(Base):
    """One rollout as it stands; `active` is the service's name while it is under way, so that there is one at most."""

    __tablename__ = "gateway_rollout"
    __table_args__ = (Index(None, "vault_id", "service", "id"), Index(None, "vault_id", "active", unique=True))

    id: Mapped[int] = mapped_column(_SEQUENCE, primary_key=True, autoincrement=True)
    vault_id: Mapped[str] = mapped_column(String(64))
    service: Mapped[str] = mapped_column(_NAME)
    active: Mapped[str | None] = mapped_column(_NAME)
    stable: Mapped[str] = mapped_column(Text)
    candidate: Mapped[str] = mapped_column(Text)
    salt: Mapped[str] = mapped_column(_NAME)
    state: Mapped[str] = mapped_column(_NAME)
    percent: Mapped[int] = mapped_column(Integer)
    shadow_percent: Mapped[int] = mapped_column(Integer)
    automatic: Mapped[bool] = mapped_column(Boolean)
    paused_from: Mapped[str | None] = mapped_column(_NAME)
    reason: Mapped[str] = mapped_column(Text)
    stepped_at: Mapped[datetime] = mapped_column(UtcDateTime)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    policy: Mapped[dict[str, Any]] = mapped_column(JSON)


class HistoryRow(Base):
    """One change of a rollout: who, when, why, from where, to where. Never changed, never deleted."""

    __tablename__ = "gateway_history"
    __table_args__ = (Index(None, "rollout_id", "id"),)

    id: Mapped[int] = mapped_column(_SEQUENCE, primary_key=True, autoincrement=True)
    rollout_id: Mapped[int] = mapped_column(_SEQUENCE, ForeignKey("gateway_rollout.id"))
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    who: Mapped[str] = mapped_column(_NAME)
    action: Mapped[str] = mapped_column(_NAME)
    why: Mapped[str] = mapped_column(Text)
    from_state: Mapped[str | None] = mapped_column(_NAME)
    to_state: Mapped[str] = mapped_column(_NAME)
    from_percent: Mapped[int] = mapped_column(Integer)
    to_percent: Mapped[int] = mapped_column(Integer)


class VersionRow(Base):
    """One row for each vault: it counts the changes, so that looking for one costs a single read."""

    __tablename__ = "gateway_version"

    vault_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    version: Mapped[int] = mapped_column(_SEQUENCE)


class NodeRow(Base):
    """A gateway process: where it is reached, which version its Envoy serves, what its environment demands."""

    __tablename__ = "gateway_node"

    vault_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    node: Mapped[str] = mapped_column(_NAME, primary_key=True)
    address: Mapped[str] = mapped_column(Text)
    version: Mapped[int] = mapped_column(_SEQUENCE)
    problem: Mapped[str] = mapped_column(Text)
    demanded: Mapped[dict[str, int]] = mapped_column(JSON)
    seen_at: Mapped[datetime] = mapped_column(UtcDateTime)


class WindowRow(Base):
    """What the guard last saw of a rollout, and of which step; one row for each rollout, replaced."""

    __tablename__ = "gateway_window"

    rollout_id: Mapped[int] = mapped_column(_SEQUENCE, ForeignKey("gateway_rollout.id"), primary_key=True)
    stepped_at: Mapped[datetime] = mapped_column(UtcDateTime)
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    verdict: Mapped[str] = mapped_column(_NAME)
    reason: Mapped[str] = mapped_column(Text)
    seen: Mapped[dict[str, Any]] = mapped_column(JSON)


class ComparisonRow(Base):
    """How often a route was compared, and with what outcome."""

    __tablename__ = "gateway_comparison"

    rollout_id: Mapped[int] = mapped_column(_SEQUENCE, ForeignKey("gateway_rollout.id"), primary_key=True)
    route: Mapped[str] = mapped_column(_NAME, primary_key=True)
    compared: Mapped[int] = mapped_column(Integer)
    mismatched: Mapped[int] = mapped_column(Integer)
    failed: Mapped[int] = mapped_column(Integer)


class MismatchRow(Base):
    """One difference between the sides, with what both said; the newest of a rollout are kept."""

    __tablename__ = "gateway_mismatch"
    __table_args__ = (Index(None, "rollout_id", "id"),)

    id: Mapped[int] = mapped_column(_SEQUENCE, primary_key=True, autoincrement=True)
    rollout_id: Mapped[int] = mapped_column(_SEQUENCE, ForeignKey("gateway_rollout.id"))
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    route: Mapped[str] = mapped_column(_NAME)
    path: Mapped[str] = mapped_column(Text)
    difference: Mapped[str] = mapped_column(Text)
    stable: Mapped[str] = mapped_column(Text)
    candidate: Mapped[str] = mapped_column(Text)
    milliseconds: Mapped[float] = mapped_column(Float)


SCHEMA = SchemaTree("gateway", Path(__file__).parent / "migrations", Base.metadata)
