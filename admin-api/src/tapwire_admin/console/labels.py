"""Operators' labels for the closed sets of contract and core; `render.label_of` translates them.

A test checks that every member of every enum has one.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final

from tapwire_admin.console.field_labels import FIELDS
from tapwire_admin.console.translations import N_
from tapwire_contracts.reasons import (
    AuditAction,
    EndReason,
    IncidentKind,
    IncidentStatus,
    Phase,
    Resolution,
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


class Severity(StrEnum):
    """Urgency of an incident."""

    URGENT = "urgent"
    MONEY = "money"
    WATCH = "watch"


SEVERITIES: Final[Mapping[IncidentKind, Severity]] = {
    IncidentKind.UNATTRIBUTED_FLOW: Severity.URGENT,
    IncidentKind.OVERPOUR: Severity.URGENT,
    IncidentKind.REJECTED_INSUFFICIENT_FUNDS: Severity.URGENT,
    IncidentKind.SYNC_TIMEOUT: Severity.URGENT,
    IncidentKind.JOURNAL_LOST: Severity.URGENT,
    IncidentKind.PROGRAM_MISSING: Severity.URGENT,
    IncidentKind.DEVICE_MISBEHAVING: Severity.URGENT,
    IncidentKind.JOURNAL_SET_BACK: Severity.URGENT,
    IncidentKind.IDENTITY_CONFLICT: Severity.URGENT,
    IncidentKind.MISSING_PENDING: Severity.MONEY,
    IncidentKind.LATE_MISMATCH: Severity.MONEY,
    IncidentKind.INVALID_REPORT: Severity.MONEY,
    IncidentKind.VOLUME_GAP: Severity.MONEY,
    IncidentKind.KEG_OVERDRAWN: Severity.WATCH,
    IncidentKind.KEG_LOW: Severity.WATCH,
    IncidentKind.KEG_EXPIRED: Severity.WATCH,
    IncidentKind.PAYMENT_REVERSED: Severity.MONEY,
    IncidentKind.ODOMETER_MISMATCH: Severity.WATCH,
    IncidentKind.ODOMETER_REWOUND: Severity.WATCH,
    IncidentKind.DEAD_LETTER: Severity.WATCH,
    IncidentKind.WEBHOOK_FAILING: Severity.WATCH,
    IncidentKind.CLEANING_DUE: Severity.WATCH,
}
"""First beer that flows now and blocked guests or taps, then money to be booked, then what can wait till morning."""

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
INCIDENTS: Final[Mapping[IncidentKind, str]] = {
    IncidentKind.MISSING_PENDING: N_("Report of an unknown pour"),
    IncidentKind.LATE_MISMATCH: N_("Late report differs"),
    IncidentKind.OVERPOUR: N_("Valve did not close in time"),
    IncidentKind.REJECTED_INSUFFICIENT_FUNDS: N_("Poured more than the guest can pay"),
    IncidentKind.INVALID_REPORT: N_("Implausible report"),
    IncidentKind.ODOMETER_MISMATCH: N_("Meter and report disagree"),
    IncidentKind.ODOMETER_REWOUND: N_("Meter went backwards"),
    IncidentKind.VOLUME_GAP: N_("Unaccounted beer"),
    IncidentKind.KEG_OVERDRAWN: N_("The keg's book volume is negative"),
    IncidentKind.KEG_LOW: N_("The keg is nearly empty"),
    IncidentKind.KEG_EXPIRED: N_("The keg is past its best-before date"),
    IncidentKind.PAYMENT_REVERSED: N_("A payment was taken back, and the balance did not cover it"),
    IncidentKind.UNATTRIBUTED_FLOW: N_("Flow with a closed valve"),
    IncidentKind.JOURNAL_LOST: N_("Tap lost its record of a pour"),
    IncidentKind.SYNC_TIMEOUT: N_("No report of a pour"),
    IncidentKind.DEAD_LETTER: N_("Message that can't be read"),
    IncidentKind.WEBHOOK_FAILING: N_("A webhook was switched off"),
    IncidentKind.PROGRAM_MISSING: N_("A program has stopped"),
    IncidentKind.DEVICE_MISBEHAVING: N_("A device says far too much"),
    IncidentKind.JOURNAL_SET_BACK: N_("A tap's memory card was set back"),
    IncidentKind.IDENTITY_CONFLICT: N_("Two nodes use the login of one tap"),
    IncidentKind.CLEANING_DUE: N_("A tap's cleaning is overdue"),
}
INCIDENT_HINTS: Final[Mapping[IncidentKind, str]] = {
    IncidentKind.CLEANING_DUE: N_(
        "Clean the tap's line and record it on the tap's page; this incident is then resolved by itself."
    ),
    IncidentKind.JOURNAL_SET_BACK: N_(
        "The tap began a new record by itself and pours on. If pours of it are still open, settle them by hand; "
        "then tell an engineer: the card was restored from an older image, or cloned."
    ),
    IncidentKind.IDENTITY_CONFLICT: N_(
        "The tap is closed until one of the two is off: look for a second node with a cloned memory card. "
        "This incident is then resolved by itself. For a second tap create a device of its own."
    ),
    IncidentKind.MISSING_PENDING: N_(
        "A tap reports a pour that was never authorised. Nothing was charged: charge a visit, or write it off."
    ),
    IncidentKind.LATE_MISMATCH: N_(
        "The pour was settled before its report arrived. Compare both volumes, then charge, refund or leave it."
    ),
    IncidentKind.OVERPOUR: N_(
        "Far more flowed than was allowed. What was allowed was charged, and the tap was locked. "
        "Check its valve, then charge the rest, or write it off."
    ),
    IncidentKind.REJECTED_INSUFFICIENT_FUNDS: N_(
        "Nothing was charged and the tap was locked. Check its valve, then charge a visit, or write it off."
    ),
    IncidentKind.INVALID_REPORT: N_("The tap's report was stored, but not booked. Settle the pour by hand in its visit."),
    IncidentKind.ODOMETER_MISMATCH: N_("The reported volume differs from the meter's. Check the tap's calibration."),
    IncidentKind.ODOMETER_REWOUND: N_("The same meter readings were reported twice. Check the tap before you charge anybody."),
    IncidentKind.VOLUME_GAP: N_(
        "The meter counted beer that belongs to no pour. It was deducted from the keg: write it off, or charge a visit."
    ),
    IncidentKind.KEG_OVERDRAWN: N_("More was poured than the keg held. Check the calibration, or correct its stock."),
    IncidentKind.KEG_LOW: N_("Have the next keg ready. This incident is resolved by itself when the keg comes off."),
    IncidentKind.KEG_EXPIRED: N_("Taste it, and change the keg if in doubt. Its tap goes on pouring."),
    IncidentKind.PAYMENT_REVERSED: N_(
        "Answer the bank at the payment provider. Charge the guest once there is money again, or write it off."
    ),
    IncidentKind.UNATTRIBUTED_FLOW: N_(
        "Beer is flowing without authorisation: look for a leak or an open valve now. Then charge a visit, or write it off."
    ),
    IncidentKind.JOURNAL_LOST: N_("The tap can't tell how the pour ended. Settle it by hand in its visit."),
    IncidentKind.SYNC_TIMEOUT: N_(
        "The pour still blocks its guest and its tap. Wait for the tap, or settle it by hand in its visit."
    ),
    IncidentKind.DEAD_LETTER: N_("A device sends messages that can't be read. An engineer should check it."),
    IncidentKind.WEBHOOK_FAILING: N_(
        "Its receiver accepted nothing for days. An engineer should check it, switch the webhook on again, and resend the missed events."
    ),
    IncidentKind.PROGRAM_MISSING: N_(
        "An engineer should start it again, or see why no backup is taken; this incident is then resolved by itself. If it is no longer "
        "in use, resolve the incident."
    ),
    IncidentKind.DEVICE_MISBEHAVING: N_(
        "What it says beyond its limits is counted, not kept. If nobody is testing it, an engineer should revoke its access now, then "
        "check it."
    ),
}
INCIDENT_STATUSES: Final[Mapping[IncidentStatus, str]] = {
    IncidentStatus.OPEN: N_("Open"),
    IncidentStatus.CLAIMED: N_("Assigned"),
    IncidentStatus.RESOLVED: N_("Resolved"),
}
RESOLUTIONS: Final[Mapping[Resolution, str]] = {
    Resolution.CHARGED: N_("Charge a guest"),
    Resolution.WRITTEN_OFF: N_("Write off"),
    Resolution.CORRECTED: N_("Refund the guest"),
    Resolution.NO_ACTION: N_("No action needed"),
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
ACTIONS: Final[Mapping[AuditAction, str]] = {
    AuditAction.POUR_AUTHORIZED: N_("Pour authorised"),
    AuditAction.POUR_DENIED: N_("Pour denied"),
    AuditAction.INSUFFICIENT_FUNDS_DENIED: N_("Pour denied: not enough money"),
    AuditAction.POUR_VOIDED: N_("Pour voided"),
    AuditAction.POUR_SYNCED: N_("Pour settled"),
    AuditAction.OVERPOUR_CHARGED: N_("Pour settled, over its limit"),
    AuditAction.OVERPOUR_WRITTEN_OFF: N_("Pour settled, the rest written off"),
    AuditAction.SYNC_REJECTED_INSUFFICIENT_FUNDS: N_("Pour not charged: not enough money"),
    AuditAction.SYNC_REJECTED_INVALID_REPORT: N_("Report refused"),
    AuditAction.SYNC_MISSING_PENDING: N_("Report of an unknown pour"),
    AuditAction.LATE_SYNC_MATCHED: N_("Late report matches"),
    AuditAction.LATE_SYNC_MISMATCH: N_("Late report differs"),
    AuditAction.UNATTRIBUTED_FLOW_RECORDED: N_("Flow without a pour"),
    AuditAction.VOLUME_GAP_BOOKED: N_("Unaccounted beer recorded"),
    AuditAction.VOLUME_GAP_TAKEN_BACK: N_("Unaccounted beer explained"),
    AuditAction.RECONCILE_DONE: N_("Pour settled by hand"),
    AuditAction.VISIT_FORCE_UNLOCK: N_("Visit unlocked by hand"),
    AuditAction.VISIT_OPENED: N_("Visit opened"),
    AuditAction.VISIT_CLOSED: N_("Visit closed"),
    AuditAction.SERVING_LIMIT_REARMED: N_("Visit re-armed"),
    AuditAction.ALCOHOL_CHANGED: N_("Alcohol on a visit changed"),
    AuditAction.CARDS_REGISTERED: N_("Cards registered"),
    AuditAction.VISIT_EXTENDED: N_("Visit extended"),
    AuditAction.VISIT_CHECKED_OUT: N_("Guest checked out"),
    AuditAction.CARD_BOUND: N_("Card linked to a guest"),
    AuditAction.CARD_UNBOUND: N_("Card unlinked from its guest"),
    AuditAction.CARD_ASSIGNED: N_("Card added to a visit"),
    AuditAction.CARD_ISSUE_REFUSED: N_("Check-in refused"),
    AuditAction.CARD_LOST: N_("Card reported lost"),
    AuditAction.CARD_RESTORED: N_("Card reactivated"),
    AuditAction.CARD_RETIRED: N_("Card retired"),
    AuditAction.GUEST_CREATED: N_("Guest added"),
    AuditAction.GUEST_CHANGED: N_("Guest changed"),
    AuditAction.GUEST_READ: N_("Guest's personal data read"),
    AuditAction.GUEST_PAGE_RENEWED: N_("Guest's page given a new address"),
    AuditAction.GUEST_EXPORTED: N_("Guest's data exported"),
    AuditAction.GUEST_ERASED: N_("Guest erased"),
    AuditAction.TOP_UP: N_("Top-up"),
    AuditAction.REFUND: N_("Refund"),
    AuditAction.ADJUSTMENT: N_("Balance corrected"),
    AuditAction.COMP: N_("House credit given"),
    AuditAction.TOP_UP_REVERSED: N_("Top-up reversed"),
    AuditAction.DEPOSIT_TAKEN: N_("Card deposit taken"),
    AuditAction.DEPOSIT_RETURNED: N_("Card deposit given back"),
    AuditAction.DEPOSIT_FORFEITED: N_("Card deposit forfeited"),
    AuditAction.PAYMENT_PAID: N_("Paid by telephone"),
    AuditAction.PAYMENT_REVERSED: N_("Payment taken back"),
    AuditAction.PAYMENT_REFUNDED: N_("Payment refunded"),
    AuditAction.SHIFT_OPENED: N_("Shift opened"),
    AuditAction.SHIFT_CLOSED: N_("Shift closed"),
    AuditAction.CASH_MOVED: N_("Cash moved"),
    AuditAction.SHIFT_COUNTED: N_("Drawer counted"),
    AuditAction.Z_REPORT_MADE: N_("Z report created"),
    AuditAction.VENUE_CREATED: N_("Venue added"),
    AuditAction.VENUE_CHANGED: N_("Venue changed"),
    AuditAction.EMERGENCY_STOP_ON: N_("Emergency stop"),
    AuditAction.EMERGENCY_STOP_OFF: N_("Emergency stop ended"),
    AuditAction.TAP_CREATED: N_("Tap added"),
    AuditAction.TAP_CHANGED: N_("Tap changed"),
    AuditAction.TAP_STOPPED: N_("Pour stopped by staff"),
    AuditAction.TAP_CLEANED: N_("Tap cleaned"),
    AuditAction.TAP_CALIBRATED: N_("Tap calibrated"),
    AuditAction.KEG_CREATED: N_("Keg added to stock"),
    AuditAction.KEG_CHANGED: N_("Keg changed"),
    AuditAction.KEG_PUT_ON: N_("Keg connected"),
    AuditAction.KEG_TAKEN_OFF: N_("Keg disconnected"),
    AuditAction.STOCK_BOOKED: N_("Stock movement recorded"),
    AuditAction.BEVERAGE_CREATED: N_("Beverage added"),
    AuditAction.BEVERAGE_CHANGED: N_("Beverage changed"),
    AuditAction.PRICE_RULE_CREATED: N_("Price rule added"),
    AuditAction.PRICE_RULE_CHANGED: N_("Price rule changed"),
    AuditAction.PRICE_RULE_DELETED: N_("Price rule deleted"),
    AuditAction.USER_CREATED: N_("User added"),
    AuditAction.USER_CHANGED: N_("User changed"),
    AuditAction.LOGIN_SUCCEEDED: N_("Logged in"),
    AuditAction.LOGIN_FAILED: N_("Login failed"),
    AuditAction.LOGGED_OUT: N_("Logged out"),
    AuditAction.DEVICE_ADDED: N_("Device added"),
    AuditAction.DEVICE_ROTATED: N_("Device's secret renewed"),
    AuditAction.DEVICE_REVOKED: N_("Device access revoked"),
    AuditAction.INCIDENT_RAISED: N_("Incident"),
    AuditAction.INCIDENT_CLAIMED: N_("Incident assigned"),
    AuditAction.INCIDENT_RESOLVED: N_("Incident resolved"),
    AuditAction.BACKUP_RESTORED: N_("Backup restored"),
    AuditAction.WEBHOOK_CREATED: N_("Webhook added"),
    AuditAction.WEBHOOK_CHANGED: N_("Webhook changed"),
    AuditAction.WEBHOOK_DELETED: N_("Webhook deleted"),
    AuditAction.WEBHOOK_ROTATED: N_("Webhook's secret renewed"),
    AuditAction.WEBHOOK_TESTED: N_("Webhook tested"),
    AuditAction.WEBHOOK_REPLAYED: N_("Webhook events resent"),
    AuditAction.WEBHOOK_SWITCHED_OFF: N_("Webhook switched off"),
}
PROGRAMS: Final[Mapping[Program, str]] = {
    Program.CORE: N_("Core worker"),
    Program.SYNC_BROKER: N_("Device logins at the broker"),
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
