"""Every table of Tapwire, as SQLModel rows: columns, keys and named constraints. The rows never leave `db/`.

Constraints enforce the invariants: closed sets as CHECK constraints, the two leases as partial unique indexes,
`balance ≥ held ≥ 0`. Times are the database's `now()`.
"""

from tapwire_core.db.tables.audit import AuditEntry
from tapwire_core.db.tables.beverages import Beverage, BeverageName
from tapwire_core.db.tables.calibrations import Calibration, CalibrationCode
from tapwire_core.db.tables.cards import Card
from tapwire_core.db.tables.check_outs import CheckOut
from tapwire_core.db.tables.cleanings import TapCleaning
from tapwire_core.db.tables.dead_letters import DeadLetter
from tapwire_core.db.tables.devices import Device
from tapwire_core.db.tables.flows import Flow
from tapwire_core.db.tables.guest_pages import GuestPage, GuestPageKey
from tapwire_core.db.tables.guests import Guest
from tapwire_core.db.tables.heartbeats import ProgramHeartbeat
from tapwire_core.db.tables.idempotency import IdempotentAnswer
from tapwire_core.db.tables.incidents import Incident
from tapwire_core.db.tables.installation import Installation
from tapwire_core.db.tables.kegs import Keg, StockMovement
from tapwire_core.db.tables.money import MoneyMovement
from tapwire_core.db.tables.nodes import NodeStatus
from tapwire_core.db.tables.odometers import Stretch, TapJournal
from tapwire_core.db.tables.outbox import Command
from tapwire_core.db.tables.pairings import DevicePairing
from tapwire_core.db.tables.payments import Payment, PaymentReturn, SimulatedCheckout
from tapwire_core.db.tables.pours import AuthorizationAnswer, Pour, PourReport
from tapwire_core.db.tables.price_rules import PriceRule
from tapwire_core.db.tables.search import SearchEntry
from tapwire_core.db.tables.sessions import LoginTries, Session
from tapwire_core.db.tables.shifts import Shift, ShiftCount
from tapwire_core.db.tables.tap_walls import TapWall
from tapwire_core.db.tables.taps import Tap
from tapwire_core.db.tables.users import User
from tapwire_core.db.tables.venues import Venue
from tapwire_core.db.tables.visits import Visit
from tapwire_core.db.tables.webhooks import Webhook, WebhookCursor, WebhookDelivery, WebhookEvent

__all__ = [
    "AuditEntry",
    "AuthorizationAnswer",
    "Beverage",
    "BeverageName",
    "Calibration",
    "CalibrationCode",
    "Card",
    "CheckOut",
    "Command",
    "DeadLetter",
    "Device",
    "DevicePairing",
    "Flow",
    "Guest",
    "GuestPage",
    "GuestPageKey",
    "IdempotentAnswer",
    "Incident",
    "Installation",
    "Keg",
    "LoginTries",
    "MoneyMovement",
    "NodeStatus",
    "Payment",
    "PaymentReturn",
    "Pour",
    "PourReport",
    "PriceRule",
    "ProgramHeartbeat",
    "SearchEntry",
    "Session",
    "Shift",
    "ShiftCount",
    "SimulatedCheckout",
    "StockMovement",
    "Stretch",
    "Tap",
    "TapCleaning",
    "TapJournal",
    "TapWall",
    "User",
    "Venue",
    "Visit",
    "Webhook",
    "WebhookCursor",
    "WebhookDelivery",
    "WebhookEvent",
]
