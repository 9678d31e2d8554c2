"""Deposits on cards: a venue's amount, and the amount that a card keeps."""

from tapwire_core.db.store import Store


async def deposit_of_venue(store: Store, venue_id: str) -> int:
    """The deposit that the venue takes for a card, in minor units; 0 for none."""
    found: int | None = await store.connection.fetchval("SELECT card_deposit_minor FROM venues WHERE venue_id = $1", venue_id)
    return found or 0


async def any_venue_takes_deposits(store: Store) -> bool:
    """Return whether a venue takes deposits for its cards."""
    return bool(await store.connection.fetchval("SELECT EXISTS (SELECT FROM venues WHERE card_deposit_minor > 0)"))


async def keep_deposit(store: Store, card_uid: str, deposit_minor: int, venue_id: str | None) -> None:
    """Set the deposit that a locked card keeps, and the venue that took it; 0 and none when it has left the card."""
    await store.connection.execute(
        "UPDATE cards SET deposit_minor = $2, deposit_venue_id = $3 WHERE card_uid = $1", card_uid, deposit_minor, venue_id
    )
