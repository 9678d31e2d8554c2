"""Beverages and their prices."""

from datetime import datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy import CheckConstraint, Column, Computed, DateTime, Numeric, text
from sqlmodel import Field, SQLModel

from tapwire_core.db.tables.columns import default_now, key, number, optional_time, string


class BeverageName(SQLModel, table=True):
    """A beverage's name since a moment; the newest is the current one."""

    __tablename__ = "beverage_names"

    beverage_id: UUID = key("beverages.beverage_id")
    since: datetime = Field(
        default=None, primary_key=True, sa_type=DateTime(timezone=True), sa_column_kwargs={"server_default": text("now()")}
    )
    name: str = string()


class Beverage(SQLModel, table=True):
    """A beverage with its current price. `abv` follows from `abv_hundredths`, for reading.

    `tax_rate_bp`: the tax in the price, in basis points; null: not stated.
    """

    __tablename__ = "beverages"
    __table_args__ = (
        CheckConstraint("sell_price_per_liter_minor >= 1", name="price_positive"),
        CheckConstraint("abv_hundredths BETWEEN 0 AND 10000", name="abv_range"),
        CheckConstraint("tax_rate_bp BETWEEN 0 AND 10000", name="tax_rate_range"),
    )

    beverage_id: UUID = key()
    name: str = string()
    style: str | None = string()
    abv_hundredths: int | None = number()
    abv: Decimal | None = Field(
        default=None, sa_column=Column(Numeric(5, 2), Computed("abv_hundredths / 100.0", persisted=True), nullable=True)
    )
    sell_price_per_liter_minor: int = number()
    tax_rate_bp: int | None = number()
    archived_at: datetime | None = optional_time()
    created_at: datetime = default_now()
