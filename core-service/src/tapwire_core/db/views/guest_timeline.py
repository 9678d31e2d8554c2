"""A guest's timeline: movements of money, visits and audited actions as one list."""

from collections.abc import Collection
from datetime import datetime
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

from msgspec import Struct
from sqlalchemy import ColumnElement, Select, Text, cast, func, literal, null, select, union_all

from tapwire_contracts.reasons import AuditAction
from tapwire_core.db.engine import Database
from tapwire_core.db.tables import AuditEntry, MoneyMovement, Visit
from tapwire_core.db.views.queries import FIRST_PAGE, Page, PageRequest, read_page, table

movements: Final = table(MoneyMovement)
visits: Final = table(Visit)
audit: Final = table(AuditEntry)

_DIGITS: Final = 20
"""Numeric ids are compared as text of one length."""


class MomentKind(StrEnum):
    """Kinds of moments."""

    AUDITED = "audited"
    VISIT_OPENED = "visit_opened"
    MOVEMENT = "movement"
    VISIT_CLOSED = "visit_closed"


class Moment(Struct, frozen=True):
    """A moment of a timeline. `key`: the id of its movement, visit or audit entry; `actor`: of a visit's moment."""

    at: datetime
    kind: MomentKind
    key: str
    actor: str | None


async def list_moments(
    db: Database, guest_id: UUID, *, left_out: Collection[AuditAction] = (), page: PageRequest = FIRST_PAGE
) -> Page[Moment]:
    """A guest's moments, the latest first; audited actions that are `left_out` are not among them."""
    of_guest = visits.c.guest_id == guest_id
    about_guest = audit.c.subjects.contains([str(guest_id)])
    found = union_all(
        _moments(MomentKind.MOVEMENT, movements.c.created_at, _number(movements.c.movement_id)).where(
            movements.c.guest_id == guest_id
        ),
        _moments(MomentKind.VISIT_OPENED, visits.c.opened_at, cast(visits.c.visit_id, Text), visits.c.opened_by).where(of_guest),
        _moments(MomentKind.VISIT_CLOSED, visits.c.closed_at, cast(visits.c.visit_id, Text), visits.c.closed_by).where(
            of_guest, visits.c.closed_at.is_not(None)
        ),
        _moments(MomentKind.AUDITED, audit.c.created_at, _number(audit.c.audit_id)).where(
            about_guest, audit.c.action.not_in([action.value for action in left_out])
        ),
    ).subquery()
    moments = select(*(found.c[name].label(name) for name in Moment.__struct_fields__))
    return await read_page(db, moments, Moment, [found.c.at, found.c.kind, found.c.key], page, newest_first=True)


def _moments(
    kind: MomentKind, at: ColumnElement[Any], key: ColumnElement[str], actor: ColumnElement[Any] | None = None
) -> Select[Any]:
    shown = null() if actor is None else actor
    kind_text = cast(literal(kind.value), Text)
    return select(at.label("at"), kind_text.label("kind"), key.label("key"), cast(shown, Text).label("actor"))


def _number(number: ColumnElement[int]) -> ColumnElement[str]:
    return cast(func.lpad(cast(number, Text), _DIGITS, "0"), Text)
