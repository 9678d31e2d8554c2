"""Operators' labels for the closed sets of contract and core; `render.label_of` translates them.

A test checks that every member of every enum has one.
"""

from collections.abc import Mapping
from typing import Any, Final

from tapwire_admin.console.audit_labels import ACTIONS
from tapwire_admin.console.field_labels import FIELDS
from tapwire_admin.console.incident_labels import INCIDENT_HINTS, INCIDENT_STATUSES, INCIDENTS, RESOLUTIONS
from tapwire_admin.console.translations import N_
from tapwire_contracts.reasons import (
    EndReason,
    Phase,
    StopReason,
    SyncStatus,
)
from tapwire_core.db.views.money import MovementKind
from tapwire_core.db.views.reports import SalesBy
from tapwire_core.db.views.shift_cash import DrawerMove
from tapwire_core.domain.closed_sets import (
    CardStatus,
    CashKind,
    CleaningKind,
    KegFinish,
    KegStatus,
    PaidBy,
    PaymentStatus,
    Program,
    Role,
    ServingMeasure,
    ShiftStatus,
    TapStatus,
    VisitStatus,
    WallSort,
)
from tapwire_core.domain.settlement import VALVE_SUSPECTED
from tapwire_core.domain.webhooks import DeliveryCause, DeliveryStatus, OffReason

ROLES: Final[Mapping[Role, str]] = {
    Role.OPERATOR: N_("Operator"),
    Role.SHIFT_LEAD: N_("Shift lead"),
    Role.ENGINEER: N_("Engineer"),
}
CLEANING_KINDS: Final[Mapping[CleaningKind, str]] = {
    CleaningKind.RINSE: N_("Rinsed with water"),
    CleaningKind.CAUSTIC: N_("Caustic cleaning"),
    CleaningKind.ACID: N_("Acid cleaning"),
}
SHOWN_STATUSES: Final[Mapping[str, str]] = {
    "active": N_("Ready"),
    "processing_sync": N_("In use"),
    "locked": N_("Locked"),
    "cleaning": N_("Cleaning"),
    "empty": N_("No beer"),
    "emergency_stop": N_("Emergency stop"),
}
"""A tap's status as `TapView` shows it."""
TAP_NEEDS: Final[Mapping[str, str]] = {
    "emergency_stop": N_("Emergency stop"),
    "incidents": N_("Open incidents"),
    "empty": N_("Needs a keg"),
    "offline": N_("Offline"),
    "no_node": N_("No device yet"),
    "fault": N_("Fault"),
    "lacks_strength": N_("Strength is missing"),
    "locked": N_("Locked"),
    "cleaning": N_("Cleaning"),
    "almost_gone": N_("Almost gone"),
}
"""What somebody must do about a tap, as the tap wall says it."""
WALL_SORTS: Final[Mapping[WallSort, str]] = {
    WallSort.NUMBER: N_("By number"),
    WallSort.OWN: N_("My order"),
}
LOCK_REASONS: Final[Mapping[str, str]] = {VALVE_SUSPECTED: N_("A pour ran far over its limit: check the valve.")}
"""Reasons for which the core locks a tap by itself; people write theirs in their own words."""
CASH_KINDS: Final[Mapping[CashKind, str]] = {
    CashKind.PAY_IN: N_("Into the drawer"),
    CashKind.PAY_OUT: N_("Out of the drawer"),
    CashKind.DROP: N_("From the drawer into the safe"),
}
DRAWER_MOVES: Final[Mapping[DrawerMove, str]] = {
    DrawerMove.FLOAT: N_("Float"),
    DrawerMove.TOP_UP: N_("Top-up"),
    DrawerMove.REFUND: N_("Refund"),
    DrawerMove.REVERSAL: N_("Top-up reversed"),
    DrawerMove.PAY_IN: N_("Paid in"),
    DrawerMove.PAY_OUT: N_("Paid out"),
    DrawerMove.DROP: N_("Dropped into the safe"),
    DrawerMove.OVER_SHORT: N_("Difference"),
    DrawerMove.DEPOSITED: N_("Counted, into the safe"),
}
SERVING_MEASURES: Final[Mapping[ServingMeasure, str]] = {
    ServingMeasure.VOLUME: N_("Volume"),
    ServingMeasure.ETHANOL: N_("Alcohol"),
}
TAP_STATUSES: Final[Mapping[TapStatus, str]] = {
    TapStatus.ACTIVE: N_("Ready"),
    TapStatus.LOCKED: N_("Locked"),
    TapStatus.CLEANING: N_("Cleaning"),
}
PHASES: Final[Mapping[Phase, str]] = {
    Phase.IDLE: N_("Ready"),
    Phase.AUTHORIZING: N_("Checking the card"),
    Phase.POURING: N_("Pouring"),
    Phase.SETTLING: N_("Settling"),
    Phase.CARD_MUST_BE_REMOVED: N_("Remove the card"),
    Phase.OUT_OF_SERVICE: N_("Out of service"),
    Phase.FAULT: N_("Fault"),
}
SYNC_STATUSES: Final[Mapping[SyncStatus, str]] = {
    SyncStatus.PENDING_SYNC: N_("In progress"),
    SyncStatus.SYNCED: N_("Settled"),
    SyncStatus.RECONCILED: N_("Settled by hand"),
    SyncStatus.REJECTED: N_("Not charged"),
    SyncStatus.VOIDED: N_("Voided"),
}
END_REASONS: Final[Mapping[EndReason, str]] = {
    EndReason.CARD_REMOVED: N_("card removed"),
    EndReason.LIMIT: N_("limit reached"),
    EndReason.NO_FLOW: N_("flow stopped"),
    EndReason.MAX_DURATION: N_("took too long"),
    EndReason.STOPPED: N_("stopped by staff"),
    EndReason.DISABLED: N_("tap taken out of service"),
    EndReason.POWER_LOSS: N_("power cut"),
    EndReason.NEVER_STARTED: N_("never started"),
    EndReason.FAULT: N_("tap fault"),
}
STOP_REASONS: Final[Mapping[StopReason, str]] = {
    StopReason.LOST_CARD: N_("card reported lost"),
    StopReason.OPERATOR: N_("stopped by staff"),
    StopReason.RECONCILED: N_("settled by hand"),
    StopReason.FORCE_UNLOCKED: N_("unlocked by hand"),
    StopReason.VISIT_CLOSED: N_("visit closed"),
}
CARD_STATUSES: Final[Mapping[CardStatus, str]] = {
    CardStatus.AVAILABLE: N_("Free"),
    CardStatus.BOUND: N_("Linked to a guest"),
    CardStatus.LOST: N_("Lost"),
    CardStatus.RETIRED: N_("Retired"),
}
KEG_STATUSES: Final[Mapping[KegStatus, str]] = {KegStatus.IN_STOCK: N_("In stock"), KegStatus.RETIRED: N_("Retired")}
VISIT_STATUSES: Final[Mapping[VisitStatus, str]] = {VisitStatus.ACTIVE: N_("Open"), VisitStatus.CLOSED: N_("Closed")}
SHIFT_STATUSES: Final[Mapping[ShiftStatus, str]] = {ShiftStatus.OPEN: N_("Shift open"), ShiftStatus.CLOSED: N_("Shift closed")}
FINISHES: Final[Mapping[KegFinish, str]] = {
    KegFinish.KICKED: N_("Kicked: it is empty"),
    KegFinish.SWAPPED: N_("Swapped: kept for later"),
    KegFinish.SPOILED: N_("Spoiled"),
    KegFinish.RETURNED: N_("Returned to the supplier"),
}
METHODS: Final[Mapping[PaidBy, str]] = {
    PaidBy.CASH: N_("Cash"),
    PaidBy.CARD: N_("Bank card"),
    PaidBy.ONLINE_PAYMENT: N_("By telephone"),
}
PAYMENT_STATUSES: Final[Mapping[PaymentStatus, str]] = {
    PaymentStatus.PENDING: N_("Not paid yet"),
    PaymentStatus.PAID: N_("Paid"),
    PaymentStatus.EXPIRED: N_("Not paid"),
    PaymentStatus.REVERSED: N_("Taken back by the bank"),
    PaymentStatus.REFUNDED: N_("Refunded"),
}
MOVEMENTS: Final[Mapping[MovementKind, str]] = {
    MovementKind.TOP_UP: N_("Top-up"),
    MovementKind.REFUND: N_("Refund"),
    MovementKind.ADJUSTMENT: N_("Correction"),
    MovementKind.COMP: N_("House credit"),
    MovementKind.REVERSAL: N_("Top-up reversed"),
    MovementKind.CHARGE: N_("Charge"),
    MovementKind.DEPOSIT_TAKEN: N_("Card deposit"),
    MovementKind.DEPOSIT_RETURNED: N_("Card deposit given back"),
    MovementKind.DEPOSIT_FORFEITED: N_("Card deposit forfeited"),
    MovementKind.PAYMENT_REVERSED: N_("Payment taken back"),
    MovementKind.WRITTEN_OFF: N_("Written off"),
}
SALES_BY: Final[Mapping[SalesBy, str]] = {
    SalesBy.HOUR: N_("Hour"),
    SalesBy.DAY: N_("Day"),
    SalesBy.VENUE: N_("Venue"),
    SalesBy.TAP: N_("Tap"),
    SalesBy.BEVERAGE: N_("Beverage"),
}
PROGRAMS: Final[Mapping[Program, str]] = {
    Program.CORE: N_("Core worker"),
    Program.SYNC_BROKER: N_("Device logins at the broker"),
    Program.BROKER_LOGINS: N_("Logins at a broker that asks"),
    Program.BACKUP: N_("Backup"),
    Program.RECENT_BACKUP: N_("Backup on time"),
}
DELIVERY_STATUSES: Final[Mapping[DeliveryStatus, str]] = {
    DeliveryStatus.PENDING: N_("Pending"),
    DeliveryStatus.DELIVERED: N_("Delivered"),
    DeliveryStatus.FAILED: N_("Failed"),
}
DELIVERY_CAUSES: Final[Mapping[DeliveryCause, str]] = {
    DeliveryCause.EVENT: N_("event"),
    DeliveryCause.REPLAY: N_("resent"),
    DeliveryCause.TEST: N_("test"),
}
OFF_REASONS: Final[Mapping[OffReason, str]] = {
    OffReason.BY_HAND: N_("switched off by hand"),
    OffReason.FAILING: N_("switched off: nothing accepted for days"),
    OffReason.GONE: N_("switched off: the receiver is gone"),
    OffReason.RESTORED: N_("switched off after a restore"),
}
ALL: Final[tuple[Mapping[Any, str], ...]] = (
    ROLES,
    CASH_KINDS,
    DRAWER_MOVES,
    SERVING_MEASURES,
    TAP_STATUSES,
    PHASES,
    SYNC_STATUSES,
    END_REASONS,
    STOP_REASONS,
    INCIDENTS,
    INCIDENT_HINTS,
    INCIDENT_STATUSES,
    RESOLUTIONS,
    CARD_STATUSES,
    KEG_STATUSES,
    VISIT_STATUSES,
    SHIFT_STATUSES,
    METHODS,
    PAYMENT_STATUSES,
    MOVEMENTS,
    SALES_BY,
    ACTIONS,
    PROGRAMS,
    DELIVERY_STATUSES,
    DELIVERY_CAUSES,
    OFF_REASONS,
)

DAYS: Final = (N_("Mon"), N_("Tue"), N_("Wed"), N_("Thu"), N_("Fri"), N_("Sat"), N_("Sun"))
"""The days of the week, Monday first, short."""
WORDS: Final[Mapping[str, Mapping[Any, str]]] = {
    "field": FIELDS,
    "lock_reason": LOCK_REASONS,
    "role": ROLES,
    "cash_kind": CASH_KINDS,
    "cleaning_kind": CLEANING_KINDS,
    "serving_measure": SERVING_MEASURES,
    "shown_status": SHOWN_STATUSES,
    "tap_need": TAP_NEEDS,
    "wall_sort": WALL_SORTS,
    "phase": PHASES,
    "sync_status": SYNC_STATUSES,
    "end_reason": END_REASONS,
    "stop_reason": STOP_REASONS,
    "incident": INCIDENTS,
    "incident_hint": INCIDENT_HINTS,
    "incident_status": INCIDENT_STATUSES,
    "resolution": RESOLUTIONS,
    "card_status": CARD_STATUSES,
    "keg_status": KEG_STATUSES,
    "finish": FINISHES,
    "visit_status": VISIT_STATUSES,
    "shift_status": SHIFT_STATUSES,
    "method": METHODS,
    "payment_status": PAYMENT_STATUSES,
    "movement": MOVEMENTS,
    "by": SALES_BY,
    "action": ACTIONS,
    "program": PROGRAMS,
    "delivery_status": DELIVERY_STATUSES,
    "delivery_cause": DELIVERY_CAUSES,
    "off_reason": OFF_REASONS,
}
"""Labels by the name that templates use for a set."""
