"""Writes after the restore of a backup."""

from tapwire_core.db.store import Store


async def ask_again_for_pending_pours(store: Store) -> int:
    """Mark every pending pour so that its node is asked for it; returns their number.

    The pour may have ended and got its verdict after the backup. Its node no longer lists it as unsettled, so a new question of
    that tap would void it as never started. `report_may_have_come` prevents that, and the pour is asked for as usual.
    """
    rows = await store.connection.fetch(
        "UPDATE pours SET report_may_have_come = true, asked_at = NULL WHERE sync_status = 'pending_sync' RETURNING pour_id"
    )
    return len(rows)


async def forget_commands(store: Store) -> None:
    """Delete outdated commands: each worker publishes every tap's config when it starts, and repeats stops."""
    await store.connection.execute("DELETE FROM command_outbox")


async def end_sessions(store: Store) -> None:
    """End every operator's session: the backup revives those that ended after it was taken."""
    await store.connection.execute("UPDATE sessions SET revoked_at = now() WHERE revoked_at IS NULL")


async def forget_guest_pages(store: Store) -> None:
    """Forget the addresses of guests' pages, for the same reason; a page gets a new one when it is asked for."""
    await store.connection.execute("DELETE FROM guest_pages WHERE ended_at IS NULL")
