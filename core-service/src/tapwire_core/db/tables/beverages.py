"""Beverages and their prices."""

from datetime import datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy import CheckConstraint, Numeric
from sqlmodel import Field, SQLModel

from tapwire_core.db.tables.columns import key, made_now, moment, number, words


class Beverage(SQLModel, table=True):
    """A beverage with its current price."""

    __tablename__ = "beverages"
    __table_args__ = (
        CheckConstraint("sell_price_per_liter_minor >= 1", name="price_positive"),
        CheckConstraint("abv BETWEEN 0 AND 100", name="abv_percent"),
    )

    beverage_id: UUID = key()
    name: str = words()
    style: str | None = words()
    abv: Decimal | None = Field(default=None, sa_type=Numeric(5, 2))
    sell_price_per_liter_minor: int = number()
    archived_at: datetime | None = moment()
    created_at: datetime = made_now()
