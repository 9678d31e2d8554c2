"""All that is kept about one guest, row by row, for the guest who asks for it."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import msgspec
from msgspec import Struct

from tapwire_core.db.store import Store
from tapwire_core.domain.venue_scope import VenueScope

Row = dict[str, Any]


class GuestExport(Struct, frozen=True):
    """All that is kept about a guest, as the database has it; amounts in minor units, volumes in millilitres.

    `answers`: what the taps were told when the guest laid the card on. `audit`: what was done with the guest, by whom.
    """

    exported_at: datetime
    guest: Row
    cards: tuple[Row, ...]
    visits: tuple[Row, ...]
    check_outs: tuple[Row, ...]
    pours: tuple[Row, ...]
    reports: tuple[Row, ...]
    answers: tuple[Row, ...]
    movements: tuple[Row, ...]
    payments: tuple[Row, ...]
    payment_returns: tuple[Row, ...]
    guest_pages: tuple[Row, ...]
    incidents: tuple[Row, ...]
    audit: tuple[Row, ...]


PARTS: Final[Mapping[str, str]] = {
    "cards": "SELECT * FROM cards WHERE guest_id = $1 ORDER BY created_at, card_uid",
    "visits": "SELECT * FROM visits WHERE guest_id = $1 ORDER BY opened_at, visit_id",
    "check_outs": "SELECT check_outs.* FROM check_outs JOIN visits USING (visit_id) WHERE guest_id = $1 ORDER BY checked_out_at",
    "pours": "SELECT * FROM pours WHERE guest_id = $1 ORDER BY authorized_at, pour_id",
    "reports": """
        SELECT pour_reports.* FROM pour_reports JOIN pours USING (pour_id) WHERE guest_id = $1 ORDER BY report_id""",
    "answers": """
        SELECT event_id, answer.tap_path, answer.pour_id, answer.payload::jsonb AS payload, answer.decided_at
        FROM authorization_answers AS answer JOIN questions_of_guest($1) USING (tap_path, event_id)
        ORDER BY decided_at""",
    "movements": "SELECT * FROM money_movements WHERE guest_id = $1 ORDER BY movement_id",
    "payments": "SELECT * FROM payments WHERE guest_id = $1 ORDER BY created_at, payment_id",
    "payment_returns": """
        SELECT payment_returns.* FROM payment_returns JOIN payments USING (payment_id)
        WHERE guest_id = $1 ORDER BY payment_returns.created_at, return_id""",
    "guest_pages": """
        SELECT visit_id, made_at, ended_at FROM guest_pages JOIN visits USING (visit_id) WHERE guest_id = $1 ORDER BY made_at""",
    "incidents": "SELECT * FROM incidents_of_guest($1) ORDER BY raised_at, incident_id",
    "audit": """
        SELECT * FROM audit WHERE subjects @> ARRAY[$1::text] AND ($2::text[] IS NULL OR venue_id IS NULL OR venue_id = ANY ($2))
        ORDER BY audit_id""",
}
"""The rows of each part of an export: $1 is the guest, $2 the venues of the reader. A new table of guests gets its part here."""


async def read_export(store: Store, guest_id: UUID, scope: VenueScope) -> GuestExport | None:
    """Read all that is kept about a guest, by one statement, so that the parts fit each other; None when there is no such guest."""
    parts = ", ".join(
        f"'{name}', (SELECT coalesce(jsonb_agg(to_jsonb(one)), '[]') FROM ({rows}) AS one)"  # noqa: S608
        for name, rows in PARTS.items()
    )
    venue_ids = None if scope.venue_ids is None else sorted(scope.venue_ids)
    found = await store.connection.fetchval(
        f"""SELECT jsonb_build_object('exported_at', now(), 'guest', to_jsonb(guests), {parts})
            FROM guests WHERE guest_id = $1""",  # noqa: S608  our own code's parts
        guest_id,
        venue_ids,
    )
    return msgspec.json.decode(found, type=GuestExport) if found is not None else None
