"""Every table of Tapwire, as SQLModel rows: columns, keys and named constraints. The rows never leave `db/`.

The database keeps by itself what must never be otherwise: closed sets as CHECK constraints, the two leases as partial unique
indexes, `balance ≥ held ≥ 0`. Times are the database's `now()`.
"""

from tapwire_core.db.tables.books import MoneyMovement, StockMovement
from tapwire_core.db.tables.operations import (
    AuditEntry,
    Command,
    DeadLetter,
    Device,
    DevicePairing,
    IdempotentAnswer,
    Incident,
    NodeStatus,
)
from tapwire_core.db.tables.people import Card, Guest, LoginTries, Session, Shift, User, Visit
from tapwire_core.db.tables.places import Beverage, Keg, Tap, Venue
from tapwire_core.db.tables.pours import AuthorizationAnswer, Flow, Pour, PourReport, Stretch, TapJournal
from tapwire_core.db.tables.webhooks import Webhook, WebhookCursor, WebhookDelivery, WebhookEvent

__all__ = [
    "AuditEntry",
    "AuthorizationAnswer",
    "Beverage",
    "Card",
    "Command",
    "DeadLetter",
    "Device",
    "DevicePairing",
    "Flow",
    "Guest",
    "IdempotentAnswer",
    "Incident",
    "Keg",
    "LoginTries",
    "MoneyMovement",
    "NodeStatus",
    "Pour",
    "PourReport",
    "Session",
    "Shift",
    "StockMovement",
    "Stretch",
    "Tap",
    "TapJournal",
    "User",
    "Venue",
    "Visit",
    "Webhook",
    "WebhookCursor",
    "WebhookDelivery",
    "WebhookEvent",
]
