"""Guests and their accounts."""

from datetime import date
from uuid import UUID

from msgspec import Struct

from tapwire_core.db.store import Store
from tapwire_core.db.writes.rows import as_struct
from tapwire_core.domain.actor import Actor
from tapwire_core.domain.house_credit import refundable_minor


class LockedGuest(Struct, frozen=True):
    """A guest's row, locked for a change; money in minor units."""

    guest_id: UUID
    blocked: bool
    balance_minor: int
    held_minor: int
    house_credit_minor: int
    erased: bool
    erasure_due: bool

    @property
    def available_minor(self) -> int:
        """Balance less holds."""
        return self.balance_minor - self.held_minor

    @property
    def refundable_minor(self) -> int:
        """The most that can be paid out."""
        return refundable_minor(self.available_minor, self.house_credit_minor)


class PourOfGuest(Struct, frozen=True):
    """A pour's venue and guest."""

    guest_id: UUID
    venue_id: str


async def lock_guest(store: Store, guest_id: UUID) -> LockedGuest | None:
    """Lock a guest's row for a change."""
    row = await store.connection.fetchrow(
        """SELECT guest_id, blocked, balance_minor, held_minor, house_credit_minor, erased_at IS NOT NULL AS erased,
               erasure_due_at IS NOT NULL AS erasure_due
           FROM guests WHERE guest_id = $1 FOR NO KEY UPDATE""",
        guest_id,
    )
    return as_struct(row, LockedGuest)


async def erased_guest_of_visit(store: Store, visit_id: UUID) -> UUID | None:
    """The visit's guest, if they were erased."""
    found: UUID | None = await store.connection.fetchval(
        "SELECT guest_id FROM visits JOIN guests USING (guest_id) WHERE visit_id = $1 AND erased_at IS NOT NULL", visit_id
    )
    return found


async def is_of_age(store: Store, guest_id: UUID, venue_id: str) -> bool:
    """Return whether the guest is of legal age at the venue today: by birth date, without one by a recorded check."""
    # today is the venue's day
    found = await store.connection.fetchval(
        """SELECT legal_age = 0 OR CASE WHEN birth_date IS NULL THEN age_checked_at IS NOT NULL
                  ELSE birth_date + make_interval(years => legal_age::int) <= (now() AT TIME ZONE time_zone)::date END
           FROM guests, venues WHERE guest_id = $1 AND venue_id = $2""",
        guest_id,
        venue_id,
    )
    return bool(found)


async def has_read_lately(store: Store, guest_id: UUID, by: Actor) -> bool:
    """Return whether the audit log has it already that this operator read the guest's personal data, within the last hour."""
    found = await store.connection.fetchval(
        """SELECT true FROM audit WHERE subjects @> ARRAY[$1::text] AND action = 'guest_read' AND actor = $2
           AND is_recent(created_at, interval '1 hour') LIMIT 1""",
        str(guest_id),
        by.name,
    )
    return bool(found)


async def contradicts_age_check(store: Store, guest_id: UUID) -> bool:
    """Return whether the guest was checked to be of age, but by the birth date is under age at every venue today."""
    found = await store.connection.fetchval(
        """SELECT age_checked_at IS NOT NULL AND birth_date IS NOT NULL AND (
               SELECT bool_and(birth_date + make_interval(years => legal_age::int) > (now() AT TIME ZONE time_zone)::date)
               FROM venues)
           FROM guests WHERE guest_id = $1""",
        guest_id,
    )
    return bool(found)


async def is_future(store: Store, day: date) -> bool:
    """Return whether a day is after today in every time zone."""
    return bool(await store.connection.fetchval("SELECT $1 > (now() AT TIME ZONE 'UTC')::date + 1", day))


async def set_age_check(store: Store, guest_id: UUID, by: Actor | None) -> None:
    """Record an age check, by whom and when; None removes it."""
    await store.connection.execute(
        """UPDATE guests SET age_checked_by = $2::text, age_checked_at = CASE WHEN $2::text IS NOT NULL THEN now() END
           WHERE guest_id = $1""",
        guest_id,
        by and by.name,
    )


async def last_venue_of_guest(store: Store, guest_id: UUID) -> str | None:
    """The venue of the guest's active visit, or of the latest one; None without any visit."""
    found: str | None = await store.connection.fetchval(
        "SELECT venue_id FROM visits WHERE guest_id = $1 ORDER BY status = 'active' DESC, opened_at DESC LIMIT 1", guest_id
    )
    return found


async def house_credit_taken(store: Store, guest_id: UUID, pour_id: UUID) -> int:
    """What a pour took of the guest's house credit, less what was given back; read under the guest's lock."""
    found: int = await store.connection.fetchval(
        """SELECT -coalesce(sum(house_credit_minor), 0)::bigint FROM money_movements
           WHERE pour_id = $2 AND guest_id = $1 AND debit_account <> 'comp'""",
        guest_id,
        pour_id,
    )
    return found


async def pour_of_guest(store: Store, pour_id: UUID) -> PourOfGuest | None:
    """A pour's venue and guest."""
    row = await store.connection.fetchrow("SELECT guest_id, venue_id FROM pours WHERE pour_id = $1", pour_id)
    return as_struct(row, PourOfGuest)
