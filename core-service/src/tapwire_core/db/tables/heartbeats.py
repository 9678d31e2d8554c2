"""Heartbeats of the programs that run for ever."""

from datetime import datetime
from typing import Any

from sqlmodel import SQLModel

from tapwire_core.db.tables.columns import closed_set, default_now, key, number, optional_time
from tapwire_core.domain.closed_sets import Program


class ProgramHeartbeat(SQLModel, table=True):
    """The latest heartbeat of one process. `started_at`: its first beat, or the first one after a gap; `interval_ms`: its own.

    `listens_at`: when a core worker said last that it hears devices over the broker; null when it does not.
    """

    __tablename__ = "program_heartbeats"
    __table_args__: Any = (closed_set("program", Program), {"postgresql_with": {"fillfactor": "50"}})

    program: str = key()
    instance: str = key()
    interval_ms: int = number()
    started_at: datetime = default_now()
    beat_at: datetime = default_now()
    listens_at: datetime | None = optional_time()
