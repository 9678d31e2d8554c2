"""Rows as a page showed them, read again under their lock."""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from tapwire_core.db.store import Store
from tapwire_core.domain.shown import Noun

_PENDING: Final = "(SELECT pour_id FROM pours WHERE pours.{0} = {1}.{0} AND sync_status = 'pending_sync')"
_SOURCES: Final[Mapping[Noun, tuple[str, str, Mapping[str, str]]]] = {
    Noun.VENUE: ("venues", "venue_id", {}),
    Noun.VENUE_SETTINGS: (
        "venues",
        "venue_id",
        {
            "name": "name",
            "time_zone": "time_zone",
            "legal_age": "legal_age",
            "minors_allowed": "minors_allowed",
            "count_cash": "count_cash",
            "operator_refund_limit_minor": "operator_refund_limit_minor",
            "visit_hours": "visit_hours",
            "card_deposit_minor": "card_deposit_minor",
            "public_menu": "public_menu",
            "keg_low_percent": "keg_low_percent",
            "keg_low_minutes": "keg_low_minutes",
            "max_balance_minor": "max_balance_minor",
            "serving_limit": "serving_limit_of(serving_limit_measure, serving_limit, serving_limit_window_minutes)",
        },
    ),
    Noun.VOLUMES: ("venues", "venue_id", {"glass_ml": "glass_ml", "volume_unit": "volume_unit"}),
    Noun.EMERGENCY_STOP: (
        "venues",
        "venue_id",
        {
            "emergency_stop": "emergency_stop",
            "emergency_stop_reason": "emergency_stop_reason",
            "stop": "(SELECT max(audit_id) FROM audit WHERE action = 'emergency_stop_on'"
            " AND subjects @> ARRAY[venues.venue_id::text])",
        },
    ),
    Noun.SHIFT: ("shifts", "shift_id", {"venue_id": "venue_id", "status": "status"}),
    Noun.BEVERAGE: (
        "beverages",
        "beverage_id",
        {
            "name": "name",
            "sell_price_per_liter_minor": "sell_price_per_liter_minor",
            "style": "style",
            "abv": "abv",
            "tax_rate_bp": "tax_rate_bp",
            "archived": "archived_at IS NOT NULL",
        },
    ),
    Noun.PRICE_RULE: (
        "price_rules",
        "price_rule_id",
        {
            "name": "name",
            "beverage_ids": "beverage_ids",
            "weekdays": "weekdays",
            "from_time": "from_time",
            "to_time": "to_time",
            "valid_from": "valid_from",
            "valid_to": "valid_to",
            "sell_price_per_liter_minor": "sell_price_per_liter_minor",
            "percent_off": "percent_off",
            "deleted": "deleted_at IS NOT NULL",
        },
    ),
    Noun.TAP: (
        "taps",
        "tap_path",
        {
            "name": "name",
            "room": "room",
            "pulses_per_liter": "pulses_per_liter",
            "max_pour_ml": "max_pour_ml",
            "cleaning_interval_days": "cleaning_interval_days",
            "status": "status",
            "status_reason": "status_reason",
            "keg_id": "keg_id",
            "pour_id": _PENDING.format("tap_path", "taps"),
        },
    ),
    Noun.CARD: (
        "cards",
        "card_uid",
        {
            "status": "status",
            "guest_id": "guest_id",
            "visit_id": "(SELECT visit_id FROM visits WHERE visits.card_uid = cards.card_uid AND visits.status = 'active')",
            "in_visit": "EXISTS (SELECT FROM visits WHERE visits.card_uid = cards.card_uid AND visits.status = 'active')",
        },
    ),
    Noun.VISIT: (
        "visits",
        "visit_id",
        {
            "status": "status",
            "card_uid": "card_uid",
            "alcohol_allowed": "alcohol_allowed",
            "valid_until": "valid_until",
            "balance_minor": "(SELECT balance_minor FROM guests WHERE guests.guest_id = visits.guest_id)",
            "pour_id": _PENDING.format("visit_id", "visits"),
        },
    ),
    Noun.GUEST: (
        "guests",
        "guest_id",
        {
            "first_name": "first_name",
            "last_name": "last_name",
            "phone": "phone",
            "birth_date": "birth_date",
            "age_checked": "age_checked_by IS NOT NULL",
            "blocked": "blocked",
        },
    ),
    Noun.BALANCE: ("guests", "guest_id", {"balance_minor": "balance_minor"}),
    Noun.KEG: (
        "kegs",
        "keg_id",
        {
            "status": "status",
            "tap": "(SELECT tap_path FROM taps WHERE taps.keg_id = kegs.keg_id)",
            "booked_by_hand_ml": "(SELECT coalesce(sum(volume_ml), 0) FROM stock_movements AS moved"
            " WHERE moved.keg_id = kegs.keg_id AND kind IN ('correction', 'line_cleaning') AND cause_id IS NULL)",
        },
    ),
    Noun.KEG_DELIVERY: (
        "kegs",
        "keg_id",
        {
            "supplier": "supplier",
            "batch": "batch",
            "best_before": "best_before",
            "cost_minor": "cost_minor",
            "keg_deposit_minor": "keg_deposit_minor",
        },
    ),
    Noun.INCIDENT: (
        "incidents",
        "incident_id",
        {"status": "status", "owner": "owner", "occurrences": "occurrences", "details": "details"},
    ),
    Noun.USER: ("users", "username", {"role": "role", "venues": "venues", "disabled": "disabled"}),
    Noun.DEVICE: ("devices", "path", {"rotated_at": "rotated_at", "revoked_at": "revoked_at"}),
    Noun.WEBHOOK: (
        "webhooks",
        "webhook_id",
        {
            "url": "url",
            "description": "description",
            "event_types": "event_types",
            "enabled": "enabled",
            "old_secret_until": "old_secret_until",
        },
    ),
}
"""Table, key column, and the shown values with their SQL."""


async def read_values(store: Store, noun: Noun, key: str, *, lock: bool) -> dict[str, Any] | None:
    """The values that forms show of a row, as JSON has them; None without the row. `lock` locks it for a change."""
    table, key_column, columns = _SOURCES[noun]
    pairs = ", ".join(f"'{name}', {source}" for name, source in columns.items())
    tail = " FOR NO KEY UPDATE" if lock and columns else ""
    # tables and columns are this module's own, never input
    statement = f"SELECT jsonb_build_object({pairs})::text FROM {table} WHERE {key_column}::text = $1{tail}"  # noqa: S608
    found = await store.connection.fetchval(statement, key)
    return None if found is None else msgspec.json.decode(found)
