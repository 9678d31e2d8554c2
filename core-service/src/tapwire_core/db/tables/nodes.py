"""The latest state that each device published."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlmodel import SQLModel

from tapwire_contracts.reasons import Presence
from tapwire_core.db.tables.columns import (
    closed_set,
    default_now,
    json_object,
    key,
    number,
    optional_json_object,
    optional_time,
    string,
)


class NodeStatus(SQLModel, table=True):
    """The latest `node_state` of a device, and its latest progress; for screens, and for a person who must estimate a pour.

    `status` is what is held of the device: `offline` also while its heartbeats are missing, although its own word in `state` is
    `online`. `seen_at` is when it was heard last; a state that a broker repeats is no sign of life.
    `earlier_boots`: for each boot before the latest one the number of its last connection. `claims`: a running check whether two
    boots use this login (`domain.identities.Claims`).
    """

    __tablename__ = "node_status"
    __table_args__: Any = (closed_set("status", Presence), {"postgresql_with": {"fillfactor": "50"}})

    path: str = key()
    status: str = string()
    boot_id: UUID
    connection: int = number()
    state: dict[str, Any] = json_object()
    earlier_boots: dict[str, Any] = json_object()
    claims: dict[str, Any] | None = optional_json_object()
    seen_at: datetime = default_now()
    progress: dict[str, Any] | None = optional_json_object()
    progress_at: datetime | None = optional_time()
