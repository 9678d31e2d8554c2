"""Writes that follow the restore of an earlier database."""

from tapwire_core.db.store import Store


async def ask_again_for_pending_pours(store: Store) -> int:
    """Keep every pending pour until its node has been asked; says how many.

    The pour may have ended and got its verdict after the backup. Its node no longer counts it as unsettled, so a new question of
    that tap would prove that it never started. A pour of which a report counts as come is not voided so, and is asked for as usual.
    """
    rows = await store.connection.fetch(
        "UPDATE pours SET report_may_have_come = true, asked_at = NULL WHERE sync_status = 'pending_sync' RETURNING pour_id"
    )
    return len(rows)


async def forget_commands(store: Store) -> None:
    """Forget commands of then: each worker publishes every tap's config when it starts, and a stop again where it is needed."""
    await store.connection.execute("DELETE FROM command_outbox")


async def end_sessions(store: Store) -> None:
    """End every operator's session: one that was ended after the backup would live again."""
    await store.connection.execute("UPDATE sessions SET revoked_at = now() WHERE revoked_at IS NULL")
