"""Check-outs: the answers to the end of a visit, so that the same request again gets the same answer."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint
from sqlmodel import SQLModel

from tapwire_core.db.tables.columns import closed_set, default_now, flag, key, number, string
from tapwire_core.domain.closed_sets import PaymentMethod


class CheckOut(SQLModel, table=True):
    """The check-out of a visit: what was asked for, and the amount that was paid out."""

    __tablename__ = "check_outs"
    __table_args__ = (
        closed_set("payout_method", PaymentMethod),
        CheckConstraint("paid_out_minor >= 0 AND (paid_out_minor = 0 OR payout_method IS NOT NULL)", name="paid_out_by_a_method"),
    )

    visit_id: UUID = key("visits.visit_id")
    payout_method: str | None = string()
    card_returned: bool = flag()
    despite_incidents: bool = flag()
    reason: str | None = string()
    paid_out_minor: int = number()
    checked_out_at: datetime = default_now()
    checked_out_by: str = string()
