"""Devices and their credentials."""

from datetime import datetime

from sqlmodel import SQLModel

from tapwire_contracts.topics import DeviceKind
from tapwire_core.db.tables.columns import (
    closed_set,
    default_now,
    key,
    optional_time,
    string,
)


class Device(SQLModel, table=True):
    """A tap node, desk reader or HTTP controller with credentials; its secret is stored hashed.

    `secret_hash` is for HTTP, `broker_hash` is the same secret in the format of a broker's password file.
    `closed_hash` is the one for which a broker that asks has closed all older connections; empty once it has after a revocation.
    """

    __tablename__ = "devices"
    __table_args__ = (closed_set("kind", DeviceKind),)

    path: str = key()
    kind: str = string()
    secret_hash: bytes
    broker_hash: str = string()
    created_at: datetime = default_now()
    rotated_at: datetime | None = optional_time()
    revoked_at: datetime | None = optional_time()
    closed_hash: str = string(default="")
