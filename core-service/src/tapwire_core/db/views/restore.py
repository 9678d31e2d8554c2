"""Open points after a restore: facts that nodes will send again, and those that only people know."""

from datetime import datetime
from typing import Any, Final
from uuid import UUID

import msgspec
from msgspec import Struct

from tapwire_core.db.engine import Database


class WaitingPour(Struct, frozen=True):
    """A pour that was pending at the backup; the core asks its node for it."""

    pour_id: UUID
    tap_path: str
    card_uid: str
    max_volume_ml: int
    authorized_at: datetime


class OpenIncident(Struct, frozen=True):
    """An unresolved incident since the restore: volume that left the stock, but that nobody paid for."""

    incident_id: UUID
    kind: str
    tap: str | None
    details: dict[str, Any]


class LatestEntry(Struct, frozen=True):
    """The latest audit entry of an action before the restore."""

    action: str
    at: datetime
    subjects: tuple[str, ...]


class RestoreReport(Struct, frozen=True):
    """The latest restore. The books have events between `taken_at` and `restored_at` only if nodes have sent them since.

    `silent_taps` have not been seen since the restore.
    """

    taken_at: datetime
    restored_at: datetime
    waiting_pours: tuple[WaitingPour, ...]
    incidents: tuple[OpenIncident, ...]
    silent_taps: tuple[str, ...]
    last_known: tuple[LatestEntry, ...]


_report: Final = msgspec.json.Decoder(RestoreReport)


async def read_restore_report(db: Database) -> RestoreReport | None:
    """Read the latest restore and its open points; None when this database was never restored."""
    async with db.snapshot() as store:
        found = await store.connection.fetchval(
            """WITH restored AS (
                   SELECT audit_id, created_at, (details->>'taken_at')::timestamptz AS taken_at
                   FROM audit WHERE action = 'backup_restored' ORDER BY audit_id DESC LIMIT 1)
               SELECT jsonb_build_object(
                   'taken_at', taken_at,
                   'restored_at', created_at,
                   'waiting_pours', (
                       SELECT coalesce(jsonb_agg(jsonb_build_object('pour_id', pour_id, 'tap_path', tap_path, 'card_uid', card_uid,
                           'max_volume_ml', max_volume_ml, 'authorized_at', authorized_at) ORDER BY authorized_at), '[]')
                       FROM pours WHERE sync_status = 'pending_sync' AND authorized_at <= restored.taken_at),
                   'incidents', (
                       SELECT coalesce(jsonb_agg(jsonb_build_object(
                           'incident_id', incident_id, 'kind', kind, 'tap', tap_path, 'details', details) ORDER BY raised_at), '[]')
                       FROM incidents WHERE raised_at >= restored.created_at AND status <> 'resolved'),
                   'silent_taps', (
                       SELECT coalesce(jsonb_agg(tap_path ORDER BY tap_path), '[]') FROM taps
                       WHERE NOT EXISTS (SELECT 1 FROM node_status WHERE path = tap_path AND seen_at >= restored.created_at)),
                   'last_known', (
                       SELECT coalesce(jsonb_agg(jsonb_build_object(
                           'action', action, 'at', at, 'subjects', subjects) ORDER BY at DESC), '[]')
                       FROM (
                           SELECT DISTINCT ON (action) action, created_at AS at, subjects FROM audit
                           WHERE audit_id < restored.audit_id AND action = ANY($1::text[])
                           ORDER BY action, audit_id DESC) AS latest))
               FROM restored""",
            list(MANUAL_ACTIONS),
        )
    return _report.decode(found) if found else None


MANUAL_ACTIONS: Final = (
    "top_up",
    "refund",
    "adjustment",
    "comp",
    "top_up_reversed",
    "visit_opened",
    "visit_closed",
    "card_bound",
    "card_lost",
    "guest_created",
    "shift_opened",
    "shift_closed",
    "cash_moved",
    "shift_counted",
    "keg_put_on",
    "keg_taken_off",
    "beverage_changed",
    "device_added",
    "device_rotated",
    "device_revoked",
    "user_created",
    "user_changed",
)
"""Audit actions that no node can send again; those after the backup must be found on paper, on receipts and in memories."""
