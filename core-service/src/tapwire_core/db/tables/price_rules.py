"""Prices by time."""

from datetime import date, datetime, time
from uuid import UUID

from sqlalchemy import CheckConstraint, Column, Index, SmallInteger, Uuid
from sqlalchemy.dialects.postgresql import ARRAY
from sqlmodel import Field, SQLModel

from tapwire_core.db.tables.columns import default_now, key, number, optional_time, reference, string


class PriceRule(SQLModel, table=True):
    """A price at certain times of a venue's week; a deleted one stays, for the pours that it priced.

    `beverage_ids`: null for every beverage. Times are the venue's wall clock; the dates are those on which the rule begins.
    """

    __tablename__ = "price_rules"
    __table_args__ = (
        CheckConstraint("num_nonnulls(sell_price_per_liter_minor, percent_off) = 1", name="one_price"),
        CheckConstraint("sell_price_per_liter_minor >= 1", name="price_positive"),
        CheckConstraint("percent_off BETWEEN 1 AND 99", name="percent_off_sane"),
        CheckConstraint("cardinality(weekdays) > 0 AND weekdays <@ '{1,2,3,4,5,6,7}'", name="weekdays_known"),
        CheckConstraint("cardinality(beverage_ids) > 0", name="beverages_named"),
        CheckConstraint("valid_from <= valid_to", name="dates_in_order"),
        Index("ix_price_rules_venue", "venue_id", postgresql_where="deleted_at IS NULL"),
    )

    price_rule_id: UUID = key()
    venue_id: str = reference("venues.venue_id")
    name: str = string()
    beverage_ids: list[UUID] | None = Field(default=None, sa_column=Column(ARRAY(Uuid)))
    weekdays: list[int] = Field(sa_column=Column(ARRAY(SmallInteger), nullable=False))
    from_time: time
    to_time: time
    valid_from: date | None = None
    valid_to: date | None = None
    sell_price_per_liter_minor: int | None = number()
    percent_off: int | None = number()
    deleted_at: datetime | None = optional_time()
    created_at: datetime = default_now()
