"""Labels of incidents and of what a person decides about them, and how urgent each kind is."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from tapwire_admin.console.translations import N_
from tapwire_contracts.reasons import IncidentKind, IncidentStatus, Resolution


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
    IncidentKind.PAYMENT_MISMATCH: Severity.MONEY,
    IncidentKind.ODOMETER_MISMATCH: Severity.WATCH,
    IncidentKind.ODOMETER_REWOUND: Severity.WATCH,
    IncidentKind.DEAD_LETTER: Severity.WATCH,
    IncidentKind.WEBHOOK_FAILING: Severity.WATCH,
    IncidentKind.CLEANING_DUE: Severity.WATCH,
}
"""First beer that flows now and blocked guests or taps, then money to be booked, then what can wait till morning."""

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
    IncidentKind.PAYMENT_MISMATCH: N_("Paid otherwise than it was begun"),
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
    IncidentKind.PAYMENT_MISMATCH: N_(
        "None of it is in the books. Refund it at the payment provider, then resolve this without an action."
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
