"""Webhook endpoints: their secrets, and their failures.

A transaction that needs both locks an endpoint before its deliveries.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from urllib.parse import urlsplit
from uuid import UUID

from msgspec import Struct

from tapwire_core.db.store import Store
from tapwire_core.db.tables import Webhook
from tapwire_core.db.writes.rows import as_struct, change_row
from tapwire_core.domain.webhooks import OffReason


class LockedWebhook(Struct, frozen=True):
    """An endpoint, locked for a change; `failing_for`: time since its first failure after the last success."""

    webhook_id: UUID
    url: str
    enabled: bool
    secret: str
    failures: int
    failing_for: timedelta | None

    @property
    def host(self) -> str | None:
        """The endpoint's host: its URL without parts that may be secret."""
        return urlsplit(self.url).hostname


async def count_webhooks(store: Store) -> int:
    """Count the endpoints."""
    return int(await store.connection.fetchval("SELECT count(*) FROM webhooks"))


async def lock_webhook(store: Store, webhook_id: UUID) -> LockedWebhook | None:
    """Lock an endpoint."""
    row = await store.connection.fetchrow(
        """SELECT webhook_id, url, enabled, secret, failures, now() - failing_since AS failing_for
           FROM webhooks WHERE webhook_id = $1 FOR NO KEY UPDATE""",
        webhook_id,
    )
    return as_struct(row, LockedWebhook)


async def change_webhook(store: Store, webhook_id: UUID, changes: Mapping[str, object]) -> None:
    """Set columns of an endpoint."""
    await change_row(store, Webhook, {"webhook_id": webhook_id}, changes)


async def switch_on(store: Store, webhook_id: UUID, active_since: datetime) -> None:
    """Enable an endpoint and reset its failures; it gets its waiting deliveries, and events from now on."""
    await store.connection.execute(
        """UPDATE webhooks SET enabled = true, off_reason = NULL, active_since = $2,
               failures = 0, failing_since = NULL, retry_at = NULL
           WHERE webhook_id = $1""",
        webhook_id,
        active_since,
    )
    await store.connection.execute(
        "UPDATE webhook_deliveries SET due_at = now() WHERE webhook_id = $1 AND status = 'pending' AND due_at > now()", webhook_id
    )


async def switch_off(store: Store, webhook_id: UUID, reason: OffReason) -> None:
    """Disable an endpoint."""
    await store.connection.execute("UPDATE webhooks SET enabled = false, off_reason = $2 WHERE webhook_id = $1", webhook_id, reason)


async def switch_all_off(store: Store, reason: OffReason) -> int:
    """Disable all endpoints; returns the number of those that were enabled."""
    rows = await store.connection.fetch(
        "UPDATE webhooks SET enabled = false, off_reason = $1 WHERE enabled RETURNING webhook_id", reason
    )
    return len(rows)


async def rotate_secret(store: Store, webhook_id: UUID, secret: str, old_secret_h: int) -> datetime | None:
    """Replace an endpoint's secret; returns the expiry of the old one."""
    until: datetime | None = await store.connection.fetchval(
        """UPDATE webhooks SET secret = $2, old_secret = secret, old_secret_until = now() + make_interval(hours => $3)
           WHERE webhook_id = $1 RETURNING old_secret_until""",
        webhook_id,
        secret,
        old_secret_h,
    )
    return until


async def reset_failures(store: Store, webhook_id: UUID) -> None:
    """Reset an endpoint's failures after a success."""
    await store.connection.execute(
        "UPDATE webhooks SET failures = 0, failing_since = NULL, retry_at = NULL WHERE webhook_id = $1 AND failures > 0", webhook_id
    )


async def count_endpoint_failure(store: Store, webhook_id: UUID, pause_ms: int) -> None:
    """Count a failure of an endpoint, and pause it for `pause_ms`."""
    await store.connection.execute(
        """UPDATE webhooks SET failures = failures + 1, failing_since = coalesce(failing_since, now()),
               retry_at = now() + $2 * interval '1 millisecond'
           WHERE webhook_id = $1""",
        webhook_id,
        pause_ms,
    )


async def delete_webhook(store: Store, webhook_id: UUID) -> None:
    """Delete an endpoint and its deliveries."""
    # exclusive lock, so that nobody adds a delivery meanwhile
    await store.connection.execute("SELECT webhook_id FROM webhooks WHERE webhook_id = $1 FOR UPDATE", webhook_id)
    await store.connection.execute("DELETE FROM webhook_deliveries WHERE webhook_id = $1", webhook_id)
    await store.connection.execute("DELETE FROM webhooks WHERE webhook_id = $1", webhook_id)
