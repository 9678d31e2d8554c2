"""Guests with their accounts and cards, as operators see them."""

from collections.abc import Collection
from datetime import date, datetime
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

from msgspec import Struct
from sqlalchemy import ARRAY, Select, Text, case, cast, func, literal, or_, select, tuple_

from tapwire_core.db.engine import Database
from tapwire_core.db.tables import Card, Guest, MoneyMovement, Visit
from tapwire_core.db.views.reading import FIRST_PAGE, Page, PageRequest, read_all, read_one, read_page, table
from tapwire_core.domain.names import normalize_name
from tapwire_core.domain.words import Account, CardStatus, PaymentMethod

guests: Final = table(Guest)
cards: Final = table(Card)
visits: Final = table(Visit)
movements: Final = table(MoneyMovement)


class GuestView(Struct, frozen=True):
    """A guest and the account, in minor units; `available_minor` is what no running pour holds."""

    guest_id: UUID
    first_name: str
    last_name: str | None
    phone: str | None
    birth_date: date | None
    age_checked_by: str | None
    age_checked_at: datetime | None
    blocked: bool
    balance_minor: int
    held_minor: int
    available_minor: int
    currency: str
    cards: tuple[str, ...]
    active_visit_id: UUID | None
    created_at: datetime


class MovementKind(StrEnum):
    """What a movement was, seen from the guest's account."""

    TOP_UP = "top_up"
    REFUND = "refund"
    ADJUSTMENT = "adjustment"
    CHARGE = "charge"
    WRITTEN_OFF = "written_off"


class LedgerEntry(Struct, frozen=True):
    """A movement of a guest's account; `amount_minor` is what it changed the balance by, 0 for what the house bore."""

    movement_id: int
    kind: MovementKind
    amount_minor: int
    moved_minor: int
    currency: str
    method: PaymentMethod | None
    venue_id: str | None
    shift_id: UUID | None
    pour_id: UUID | None
    incident_id: UUID | None
    reason: str | None
    actor: str
    request_id: str | None
    created_at: datetime


class Booked(LedgerEntry, frozen=True):
    """A movement, and whose account it moved."""

    guest_id: UUID


class CardView(Struct, frozen=True):
    """A card, whose it is, and the active visit that it is used in."""

    card_uid: str
    status: CardStatus
    guest_id: UUID | None
    guest_name: str | None
    visit_id: UUID | None


async def list_guests(
    db: Database, *, search: str | None = None, phone: str | None = None, page: PageRequest = FIRST_PAGE
) -> Page[GuestView]:
    """Guests, the newest first; `search` looks at the start of names and at phone numbers."""
    statement = _guests(db)
    if phone is not None:
        statement = statement.where(guests.c.phone == phone)
    if search is not None:
        columns = (guests.c.first_name, guests.c.last_name, guests.c.phone)
        statement = statement.where(or_(*(column.istartswith(normalize_name(search), autoescape=True) for column in columns)))
    return await read_page(db, statement, GuestView, [guests.c.created_at, guests.c.guest_id], page, newest_first=True)


async def get_guest(db: Database, guest_id: UUID) -> GuestView | None:
    """One guest."""
    return await read_one(db, _guests(db).where(guests.c.guest_id == guest_id), GuestView)


async def names_of_guests(db: Database, guest_ids: Collection[UUID]) -> dict[str, str]:
    """Guests' names by id, as an entry of the audit log has it; ids that are no guest's are left out."""
    if not guest_ids:
        return {}
    statement = select(cast(guests.c.guest_id, Text).label("guest_id"), full_name().label("name"))
    async with db.engine.connect() as connection:
        rows = await connection.execute(statement.where(guests.c.guest_id.in_(guest_ids)))
        return {row.guest_id: row.name for row in rows}


async def list_ledger(db: Database, guest_id: UUID, page: PageRequest = FIRST_PAGE) -> Page[LedgerEntry]:
    """The movements of a guest's account, the newest first."""
    statement = _ledger(db).where(movements.c.guest_id == guest_id)
    return await read_page(db, statement, LedgerEntry, [movements.c.movement_id], page, newest_first=True)


async def bookings_at(db: Database, moments: Collection[tuple[UUID, datetime]]) -> list[Booked]:
    """What was booked on guests' accounts at these moments; a booking has the time of the audit entry that goes with it."""
    if not moments:
        return []
    booked = tuple_(movements.c.guest_id, movements.c.created_at).in_(moments)
    return await read_all(db, _ledger(db).where(booked).order_by(movements.c.movement_id), Booked)


async def get_card(db: Database, card_uid: str) -> CardView | None:
    """One card."""
    statement = (
        select(
            cards.c.card_uid,
            cards.c.status,
            cards.c.guest_id,
            full_name().label("guest_name"),
            visits.c.visit_id,
        )
        .outerjoin(guests, guests.c.guest_id == cards.c.guest_id)
        .outerjoin(visits, (visits.c.card_uid == cards.c.card_uid) & (visits.c.status == "active"))
        .where(cards.c.card_uid == card_uid)
    )
    return await read_one(db, statement, CardView)


def full_name() -> Any:
    """A guest's first and last name, as far as they are known."""
    return func.nullif(func.concat_ws(" ", guests.c.first_name, guests.c.last_name), "")


def _guests(db: Database) -> Select[Any]:
    bound = (
        select(func.coalesce(func.array_agg(cast(cards.c.card_uid, Text)), cast([], ARRAY(Text))))
        .where(cards.c.guest_id == guests.c.guest_id, cards.c.status == "bound")
        .scalar_subquery()
    )
    visit = select(visits.c.visit_id).where(visits.c.guest_id == guests.c.guest_id, visits.c.status == "active").scalar_subquery()
    return select(
        *guests.c,
        (guests.c.balance_minor - guests.c.held_minor).label("available_minor"),
        literal(db.house.currency).label("currency"),
        bound.label("cards"),
        visit.label("active_visit_id"),
    )


def _ledger(db: Database) -> Select[Any]:
    debit, credit, amount = movements.c.debit_account, movements.c.credit_account, movements.c.amount_minor
    methods = [method.value for method in PaymentMethod]
    kind = case(
        (debit.in_(methods), MovementKind.TOP_UP.value),
        (credit.in_(methods), MovementKind.REFUND.value),
        (or_(debit == Account.ADJUSTMENT.value, credit == Account.ADJUSTMENT.value), MovementKind.ADJUSTMENT.value),
        (debit == Account.GUEST.value, MovementKind.CHARGE.value),
        else_=MovementKind.WRITTEN_OFF.value,
    )
    return select(
        *(column for column in movements.c if column.name != "amount_minor"),
        kind.label("kind"),
        case((credit == Account.GUEST.value, amount), (debit == Account.GUEST.value, -amount), else_=0).label("amount_minor"),
        amount.label("moved_minor"),
        literal(db.house.currency).label("currency"),
        case((debit.in_(methods), debit), (credit.in_(methods), credit)).label("method"),
    )
