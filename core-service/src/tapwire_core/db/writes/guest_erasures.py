"""Erasures of guests: what keeps one from being erased, what is forgotten, and who was not seen for long."""

from collections.abc import Collection
from datetime import datetime
from typing import Final
from uuid import UUID

import msgspec
from msgspec import Struct

from tapwire_core.db.store import Store
from tapwire_core.db.writes.rows import as_struct
from tapwire_core.db.writes.search import index_guest

PAGE: Final = 500
"""Guests that one statement looks at, so that it delays no other transaction."""
NOBODY: Final = UUID(int=0)


class Unsettled(Struct, frozen=True, omit_defaults=True):
    """What keeps a guest from being erased, by its ids or its amount in minor units.

    `pending_payment_ids`: payments that may still be paid, or of which something is still to go back.
    """

    active_visit_id: UUID | None = None
    pending_pour_ids: tuple[UUID, ...] = ()
    pending_payment_ids: tuple[UUID, ...] = ()
    balance_minor: int = 0
    deposit_minor: int = 0
    incident_ids: tuple[UUID, ...] = ()

    @property
    def facts(self) -> dict[str, object]:
        """What there is of it, by name."""
        return {name: value for name, value in msgspec.structs.asdict(self).items() if value}


class LongUnseen(Struct, frozen=True):
    """A guest who was added long ago; `erasable`: not seen since, and all is settled."""

    guest_id: UUID
    created_at: datetime
    erasable: bool


async def lock_cards_of_guest(store: Store, guest_id: UUID) -> None:
    """Lock a guest's cards, by their ids; before the guest, in the order of all locks."""
    await store.connection.execute("SELECT FROM cards WHERE guest_id = $1 ORDER BY card_uid FOR NO KEY UPDATE", guest_id)


async def read_unsettled(store: Store, guest_id: UUID) -> Unsettled | None:
    """Read what keeps a guest from being erased, under the guest's lock; None when all is settled."""
    found = await store.connection.fetchval("SELECT unsettled_of_guest($1)", guest_id)
    return msgspec.json.decode(found, type=Unsettled) if found else None


async def is_seen_elsewhere(store: Store, guest_id: UUID, venue_ids: Collection[str]) -> bool:
    """Return whether the guest has a visit outside these venues, or money that was moved there or nowhere."""
    found = await store.connection.fetchval(
        """SELECT EXISTS (SELECT FROM visits WHERE guest_id = $1 AND venue_id <> ALL ($2::text[]))
               OR EXISTS (SELECT FROM money_movements WHERE guest_id = $1 AND (venue_id = ANY ($2::text[])) IS NOT TRUE)""",
        guest_id,
        list(venue_ids),
    )
    return bool(found)


async def retire_cards_of_guest(store: Store, guest_id: UUID) -> list[str]:
    """Take a guest's cards out of use, without their guest; returns their ids."""
    rows = await store.connection.fetch(
        "UPDATE cards SET status = 'retired', guest_id = NULL WHERE guest_id = $1 RETURNING card_uid", guest_id
    )
    return sorted(row["card_uid"] for row in rows)


async def forget_person(store: Store, guest_id: UUID) -> None:
    """Delete what says who a locked guest is: names, telephone, birth date, the words they are found by, what taps showed."""
    await store.connection.execute(
        "UPDATE guests SET first_name = NULL, last_name = NULL, phone = NULL, birth_date = NULL WHERE guest_id = $1", guest_id
    )
    await _blank_displays(store, guest_id)
    await index_guest(store, guest_id)


async def set_erased(store: Store, guest_id: UUID) -> None:
    """Mark a guest as erased, now."""
    await store.connection.execute("UPDATE guests SET erased_at = now(), erasure_due_at = NULL WHERE guest_id = $1", guest_id)


async def set_erasure_due(store: Store, guest_id: UUID) -> None:
    """Mark a guest to be erased as soon as all is settled, and block them: neither a visit nor a pour begins until then."""
    await store.connection.execute(
        "UPDATE guests SET erasure_due_at = coalesce(erasure_due_at, now()), blocked = true WHERE guest_id = $1", guest_id
    )


async def read_long_unseen(store: Store, days: int, after: LongUnseen | None) -> list[LongUnseen]:
    """The next guests who were added more than `days` ago and are not erased, the oldest first."""
    rows = await store.connection.fetch(
        """WITH page AS (
               SELECT guest_id, created_at FROM guests
               WHERE erased_at IS NULL AND created_at < now() - make_interval(days => $1)
                   AND (created_at, guest_id) > (coalesce($2, '-infinity'::timestamptz), $3)
               ORDER BY created_at, guest_id LIMIT $4)
           SELECT guest_id, created_at, NOT EXISTS (
               SELECT FROM visits WHERE visits.guest_id = page.guest_id
                   AND coalesce(closed_at, now()) >= now() - make_interval(days => $1))
               AND NOT EXISTS (
               SELECT FROM money_movements WHERE money_movements.guest_id = page.guest_id
                   AND money_movements.created_at >= now() - make_interval(days => $1))
               AND unsettled_of_guest(guest_id) IS NULL AS erasable
           FROM page ORDER BY created_at, guest_id""",
        days,
        after.created_at if after else None,
        after.guest_id if after else NOBODY,
        PAGE,
    )
    return [msgspec.convert(dict(row), LongUnseen) for row in rows]


async def read_due(store: Store) -> list[UUID]:
    """Guests who are to be erased, and with whom all is settled now."""
    rows = await store.connection.fetch(
        "SELECT guest_id FROM guests WHERE erasure_due_at IS NOT NULL AND unsettled_of_guest(guest_id) IS NULL ORDER BY guest_id"
    )
    return [row["guest_id"] for row in rows]


class ErasureCount(Struct, frozen=True):
    """How many guests are erased or about to be, and when the latest was: what changes with each erasure."""

    guests: int
    latest_at: datetime | None


async def count_erasures(store: Store) -> ErasureCount:
    """Count the erasures."""
    row = await store.connection.fetchrow(
        "SELECT count(*) AS guests, max(erased_at) AS latest_at FROM guests WHERE erased_at IS NOT NULL"
    )
    found = as_struct(row, ErasureCount)
    assert found is not None, "a count has a row"
    return found


async def read_erased(store: Store) -> list[UUID]:
    """The erased guests, in the order of their erasures."""
    rows = await store.connection.fetch("SELECT guest_id FROM guests WHERE erased_at IS NOT NULL ORDER BY erased_at, guest_id")
    return [row["guest_id"] for row in rows]


async def _blank_displays(store: Store, guest_id: UUID) -> None:
    """Blank what the answers to the guest's questions showed of them."""
    await store.connection.execute(
        """UPDATE authorization_answers AS answer
           SET payload = (answer.payload::jsonb || jsonb_build_object('display', answer.payload::jsonb->'display'
               || '{"guest_first_name": null, "balance_minor": null, "allowance_left_ml": null}'))::text
           FROM questions_of_guest($1) AS asked
           WHERE answer.tap_path = asked.tap_path AND answer.event_id = asked.event_id""",
        guest_id,
    )
