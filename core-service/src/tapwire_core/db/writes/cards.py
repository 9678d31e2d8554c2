"""Cards, and their visits and running pours."""

from collections.abc import Sequence
from typing import Final
from uuid import UUID

import msgspec
from msgspec import Struct

from tapwire_contracts.reasons import StopReason
from tapwire_core.db.store import Store
from tapwire_core.db.writes.rows import as_struct
from tapwire_core.domain.closed_sets import CardStatus

_CARDS: Final = "SELECT card_uid, status, guest_id, deposit_minor, deposit_venue_id FROM cards"


class LockedCard(Struct, frozen=True):
    """A card's row, locked for a change."""

    card_uid: str
    status: CardStatus
    guest_id: UUID | None
    deposit_minor: int
    deposit_venue_id: str | None


class VisitOfCard(Struct, frozen=True):
    """An active visit and its venue."""

    visit_id: UUID
    venue_id: str


class StoppedPour(Struct, frozen=True):
    """A running pour that was marked as stopped."""

    pour_id: UUID
    tap_path: str


async def lock_card(store: Store, card_uid: str) -> LockedCard | None:
    """Lock a card's row for a change; None when the card has never been seen."""
    row = await store.connection.fetchrow(f"{_CARDS} WHERE card_uid = $1 FOR NO KEY UPDATE", card_uid)
    return as_struct(row, LockedCard)


async def lock_card_and_lost_ones(store: Store, card_uid: str, guest_id: UUID) -> list[LockedCard]:
    """Lock a card, added as `available` if it has never been seen, and the guest's lost cards with a deposit, by their ids."""
    await store.connection.execute("INSERT INTO cards (card_uid) VALUES ($1) ON CONFLICT DO NOTHING", card_uid)
    rows = await store.connection.fetch(
        f"""{_CARDS} WHERE card_uid = $1 OR (guest_id = $2 AND status = 'lost' AND deposit_minor > 0)
            ORDER BY card_uid FOR NO KEY UPDATE""",
        card_uid,
        guest_id,
    )
    return [msgspec.convert(dict(row), LockedCard) for row in rows]


async def add_cards(store: Store, card_uids: Sequence[str]) -> list[str]:
    """Add cards as `available`, in this order; return those that were not known."""
    rows = await store.connection.fetch(
        "INSERT INTO cards (card_uid) SELECT * FROM unnest($1::text[]) ON CONFLICT DO NOTHING RETURNING card_uid", list(card_uids)
    )
    return [row["card_uid"] for row in rows]


async def active_visit_of_card(store: Store, card_uid: str) -> VisitOfCard | None:
    """The active visit that holds the card."""
    row = await store.connection.fetchrow(
        "SELECT visit_id, venue_id FROM visits WHERE card_uid = $1 AND status = 'active'", card_uid
    )
    return as_struct(row, VisitOfCard)


async def mark_pours_of_card_stopped(store: Store, card_uid: str, reason: StopReason) -> list[StoppedPour]:
    """Mark the card's pending pours as stopped; `stop_pour` is repeated while their nodes still report them."""
    rows = await store.connection.fetch(
        """UPDATE pours SET stop_reason = $2 WHERE card_uid = $1 AND sync_status = 'pending_sync'
           RETURNING pour_id, tap_path""",
        card_uid,
        reason.value,
    )
    return [StoppedPour(**dict(row)) for row in rows]
