"""First results of requests with an `Idempotency-Key`."""

from datetime import datetime

from sqlalchemy import Index
from sqlmodel import SQLModel

from tapwire_core.db.tables.columns import (
    default_now,
    flag,
    key,
    number,
    string,
)


class IdempotentAnswer(SQLModel, table=True):
    """The first result of a request with an `Idempotency-Key`; `scope` is user and route. Those of bookings are kept for good.

    `answer`: the use case's result, from which repeats are answered anew. Versions before revision 0038 kept the body that was
    sent, with `done` and its `status_code`.
    """

    __tablename__ = "idempotent_answers"
    __table_args__ = (Index("ix_idempotent_answers_created_at", "created_at"),)

    scope: str = key()
    idempotency_key: str = key()
    body_hash: bytes
    done: bool = flag()
    status_code: int | None = number()
    answer: str | None = string()
    created_at: datetime = default_now()
    kept_for_good: bool = flag()
