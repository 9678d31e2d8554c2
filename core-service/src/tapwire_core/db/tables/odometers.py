"""Journals of tap nodes, and the stretches of their odometers that are accounted for."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, Index
from sqlmodel import SQLModel

from tapwire_core.db.tables.columns import (
    default_now,
    flag,
    json_list,
    key,
    number,
    optional_reference,
    reference,
    serial,
)


class TapJournal(SQLModel, table=True):
    """A tap node's journal: its highest decided question, and the part of its odometer that is accounted for.

    `highest_boot_id`: the boot of that question. `set_back_boots`: the boots that wrote an older copy of the journal, as is proved.
    `suspect_boot_id`: a boot that may be one; a state of it that names `suspect_revision` of the config proves it.
    """

    __tablename__ = "tap_journals"
    __table_args__: Any = ({"postgresql_with": {"fillfactor": "70"}},)

    tap_path: str = key("taps.tap_path")
    journal_id: UUID = key()
    highest_seq: int = number(default=0)
    highest_boot_id: UUID | None = None
    set_back_boots: list[str] = json_list()
    suspect_boot_id: UUID | None = None
    suspect_revision: int | None = number()
    odometer_first_ml: int | None = number()
    odometer_covered_ml: int | None = number()


class Stretch(SQLModel, table=True):
    """A stretch of a meter's odometer that is accounted for: by a fact, or by a hole that the books filled.

    `boot_id`: the boot in which the fact flowed, or whose state showed the hole.
    """

    __tablename__ = "odometer_stretches"
    __table_args__ = (
        CheckConstraint("from_ml >= 0 AND to_ml > from_ml", name="goes_forward"),
        Index("ix_odometer_stretches_to", "tap_path", "journal_id", "to_ml"),
        Index("uq_odometer_stretches_fact", "fact_id", "tap_path", "journal_id", "from_ml", "to_ml", unique=True),
    )

    stretch_id: int | None = serial()
    tap_path: str = reference("taps.tap_path")
    journal_id: UUID
    from_ml: int = number()
    to_ml: int = number()
    fact_id: UUID
    boot_id: UUID | None = None
    is_hole: bool = flag()
    keg_id: UUID | None = optional_reference("kegs.keg_id")
    recorded_at: datetime = default_now()
