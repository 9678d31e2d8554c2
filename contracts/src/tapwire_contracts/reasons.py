"""Enums of the wire, the database and the API (SYSTEM.md).

Where a rule orders the members, their order here is the order of precedence.
"""

from enum import StrEnum


class DenyReason(StrEnum):
    """Reasons of a denial, in the order of the rules in SYSTEM.md, "Authorisation"."""

    TAP_UNKNOWN = "tap_unknown"
    STALE_REQUEST = "stale_request"
    EMERGENCY_STOP = "emergency_stop"
    TAP_LOCKED = "tap_locked"
    TAP_CLEANING = "tap_cleaning"
    TAP_NOT_CONFIGURED = "tap_not_configured"
    KEG_EMPTY = "keg_empty"
    SHIFT_CLOSED = "shift_closed"
    CARD_UNKNOWN = "card_unknown"
    LOST_CARD = "lost_card"
    NO_ACTIVE_VISIT = "no_active_visit"
    VISIT_EXPIRED = "visit_expired"
    GUEST_BLOCKED = "guest_blocked"
    AGE_RESTRICTED = "age_restricted"
    CARD_IN_USE_ON_OTHER_TAP = "card_in_use_on_other_tap"
    PROCESSING_SYNC = "processing_sync"
    SERVING_LIMIT_REACHED = "serving_limit_reached"
    INSUFFICIENT_FUNDS = "insufficient_funds"


class SyncStatus(StrEnum):
    """The states of a pour; only `pending_sync` has transitions."""

    PENDING_SYNC = "pending_sync"
    SYNCED = "synced"
    RECONCILED = "reconciled"
    REJECTED = "rejected"
    VOIDED = "voided"


class VerdictStatus(StrEnum):
    """The first field of the core's answer to a report."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"
    AUDIT_ONLY = "audit_only"


class Outcome(StrEnum):
    """Outcomes of a report; `synced_without_pending` must never exist."""

    PENDING_UPDATED_TO_SYNCED = "pending_updated_to_synced"
    ACCEPTED_ZERO_VOLUME = "accepted_zero_volume"
    REJECTED_INSUFFICIENT_FUNDS = "rejected_insufficient_funds"
    REJECTED_INVALID_REPORT = "rejected_invalid_report"
    AUDIT_MISSING_PENDING = "audit_missing_pending"
    AUDIT_LATE_MATCHED = "audit_late_matched"
    AUDIT_LATE_MISMATCH = "audit_late_mismatch"
    AUDIT_LATE_RECORDED = "audit_late_recorded"


class VerdictReason(StrEnum):
    """Reasons of a verdict other than plain acceptance."""

    MISSING_PENDING_AUTHORIZE = "missing_pending_authorize"
    LATE_SYNC_MATCHED = "late_sync_matched"
    LATE_SYNC_MISMATCH = "late_sync_mismatch"
    INSUFFICIENT_FUNDS = "insufficient_funds"
    INVALID_REPORT = "invalid_report"


class EndReason(StrEnum):
    """Reasons for the end of a pour, as its node reports them."""

    CARD_REMOVED = "card_removed"
    LIMIT = "limit"
    NO_FLOW = "no_flow"
    MAX_DURATION = "max_duration"
    STOPPED = "stopped"
    DISABLED = "disabled"
    POWER_LOSS = "power_loss"
    NEVER_STARTED = "never_started"
    FAULT = "fault"


class FlowCause(StrEnum):
    """Causes of a flow without a grant."""

    CLOSED_VALVE = "closed_valve"
    CLEANING = "cleaning"
    CALIBRATION = "calibration"
    TEST = "test"


class StopReason(StrEnum):
    """Reasons of `stop_pour`."""

    LOST_CARD = "lost_card"
    OPERATOR = "operator"
    RECONCILED = "reconciled"
    FORCE_UNLOCKED = "force_unlocked"
    VISIT_CLOSED = "visit_closed"


class Phase(StrEnum):
    """Phases of a tap node."""

    IDLE = "IDLE"
    AUTHORIZING = "AUTHORIZING"
    POURING = "POURING"
    SETTLING = "SETTLING"
    CARD_MUST_BE_REMOVED = "CARD_MUST_BE_REMOVED"
    OUT_OF_SERVICE = "OUT_OF_SERVICE"
    FAULT = "FAULT"


class Presence(StrEnum):
    """Presence of a node, from its state or its last will."""

    ONLINE = "online"
    OFFLINE = "offline"


class ValveState(StrEnum):
    """The commanded state of a node's valve."""

    OPEN = "open"
    CLOSED = "closed"


class ConfigStatus(StrEnum):
    """Statuses of `tap_config`; any but `active` ends a running pour."""

    ACTIVE = "active"
    LOCKED = "locked"
    CLEANING = "cleaning"
    EMERGENCY_STOP = "emergency_stop"


class Locale(StrEnum):
    """Languages of guests' and operators' texts."""

    EN = "en"
    RU = "ru"


class Malformation(StrEnum):
    """Faults of an unusable message; kept with its dead letter."""

    OVERSIZE = "oversize"
    NOT_JSON = "not_json"
    UNKNOWN_TYPE = "unknown_type"
    INVALID_FIELD = "invalid_field"
    UNKNOWN_TOPIC = "unknown_topic"
    UNKNOWN_DEVICE = "unknown_device"
    RETAINED_COMMAND = "retained_command"
    EVENT_ID_REUSED = "event_id_reused"
    INVALID_REPORT = "invalid_report"


class IncidentKind(StrEnum):
    """Kinds of incidents."""

    MISSING_PENDING = "missing_pending"
    LATE_MISMATCH = "late_mismatch"
    OVERPOUR = "overpour"
    REJECTED_INSUFFICIENT_FUNDS = "rejected_insufficient_funds"
    INVALID_REPORT = "invalid_report"
    ODOMETER_MISMATCH = "odometer_mismatch"
    ODOMETER_REWOUND = "odometer_rewound"
    VOLUME_GAP = "volume_gap"
    KEG_OVERDRAWN = "keg_overdrawn"
    UNATTRIBUTED_FLOW = "unattributed_flow"
    JOURNAL_LOST = "journal_lost"
    SYNC_TIMEOUT = "sync_timeout"
    DEAD_LETTER = "dead_letter"
    WEBHOOK_FAILING = "webhook_failing"
    PROGRAM_MISSING = "program_missing"
    DEVICE_MISBEHAVING = "device_misbehaving"
    JOURNAL_SET_BACK = "journal_set_back"
    IDENTITY_CONFLICT = "identity_conflict"
    KEG_LOW = "keg_low"
    KEG_EXPIRED = "keg_expired"
    CLEANING_DUE = "cleaning_due"
    PAYMENT_REVERSED = "payment_reversed"
    PAYMENT_MISMATCH = "payment_mismatch"


class IncidentStatus(StrEnum):
    """States of an incident."""

    OPEN = "open"
    CLAIMED = "claimed"
    RESOLVED = "resolved"


class Resolution(StrEnum):
    """Resolutions of an incident."""

    CHARGED = "charged"
    WRITTEN_OFF = "written_off"
    CORRECTED = "corrected"
    NO_ACTION = "no_action"


class AuditAction(StrEnum):
    """Actions of the audit log."""

    POUR_AUTHORIZED = "pour_authorized"
    POUR_DENIED = "pour_denied"
    INSUFFICIENT_FUNDS_DENIED = "insufficient_funds_denied"
    POUR_VOIDED = "pour_voided"
    POUR_SYNCED = "pour_synced"
    OVERPOUR_CHARGED = "overpour_charged"
    OVERPOUR_WRITTEN_OFF = "overpour_written_off"
    SYNC_REJECTED_INSUFFICIENT_FUNDS = "sync_rejected_insufficient_funds"
    SYNC_REJECTED_INVALID_REPORT = "sync_rejected_invalid_report"
    SYNC_MISSING_PENDING = "sync_missing_pending"
    LATE_SYNC_MATCHED = "late_sync_matched"
    LATE_SYNC_MISMATCH = "late_sync_mismatch"
    UNATTRIBUTED_FLOW_RECORDED = "unattributed_flow_recorded"
    VOLUME_GAP_BOOKED = "volume_gap_booked"
    VOLUME_GAP_TAKEN_BACK = "volume_gap_taken_back"
    RECONCILE_DONE = "reconcile_done"
    VISIT_FORCE_UNLOCK = "visit_force_unlock"
    VISIT_OPENED = "visit_opened"
    VISIT_CLOSED = "visit_closed"
    SERVING_LIMIT_REARMED = "serving_limit_rearmed"
    ALCOHOL_CHANGED = "alcohol_changed"
    CARDS_REGISTERED = "cards_registered"
    VISIT_EXTENDED = "visit_extended"
    VISIT_CHECKED_OUT = "visit_checked_out"
    CARD_BOUND = "card_bound"
    CARD_UNBOUND = "card_unbound"
    CARD_ASSIGNED = "card_assigned"
    CARD_ISSUE_REFUSED = "card_issue_refused"
    CARD_LOST = "card_lost"
    CARD_RESTORED = "card_restored"
    CARD_RETIRED = "card_retired"
    GUEST_CREATED = "guest_created"
    GUEST_CHANGED = "guest_changed"
    GUEST_READ = "guest_read"
    GUEST_PAGE_RENEWED = "guest_page_renewed"
    GUEST_EXPORTED = "guest_exported"
    GUEST_ERASED = "guest_erased"
    TOP_UP = "top_up"
    REFUND = "refund"
    ADJUSTMENT = "adjustment"
    COMP = "comp"
    TOP_UP_REVERSED = "top_up_reversed"
    DEPOSIT_TAKEN = "deposit_taken"
    DEPOSIT_RETURNED = "deposit_returned"
    DEPOSIT_FORFEITED = "deposit_forfeited"
    PAYMENT_PAID = "payment_paid"
    PAYMENT_REVERSED = "payment_reversed"
    PAYMENT_REFUNDED = "payment_refunded"
    SHIFT_OPENED = "shift_opened"
    SHIFT_CLOSED = "shift_closed"
    CASH_MOVED = "cash_moved"
    SHIFT_COUNTED = "shift_counted"
    Z_REPORT_MADE = "z_report_made"
    VENUE_CREATED = "venue_created"
    VENUE_CHANGED = "venue_changed"
    EMERGENCY_STOP_ON = "emergency_stop_on"
    EMERGENCY_STOP_OFF = "emergency_stop_off"
    TAP_CREATED = "tap_created"
    TAP_CHANGED = "tap_changed"
    TAP_STOPPED = "tap_stopped"
    TAP_CLEANED = "tap_cleaned"
    TAP_CALIBRATED = "tap_calibrated"
    KEG_CREATED = "keg_created"
    KEG_CHANGED = "keg_changed"
    KEG_PUT_ON = "keg_put_on"
    KEG_TAKEN_OFF = "keg_taken_off"
    STOCK_BOOKED = "stock_booked"
    BEVERAGE_CREATED = "beverage_created"
    BEVERAGE_CHANGED = "beverage_changed"
    PRICE_RULE_CREATED = "price_rule_created"
    PRICE_RULE_CHANGED = "price_rule_changed"
    PRICE_RULE_DELETED = "price_rule_deleted"
    USER_CREATED = "user_created"
    USER_CHANGED = "user_changed"
    LOGIN_SUCCEEDED = "login_succeeded"
    LOGIN_FAILED = "login_failed"
    LOGGED_OUT = "logged_out"
    DEVICE_ADDED = "device_added"
    DEVICE_ROTATED = "device_rotated"
    DEVICE_REVOKED = "device_revoked"
    INCIDENT_RAISED = "incident_raised"
    INCIDENT_CLAIMED = "incident_claimed"
    INCIDENT_RESOLVED = "incident_resolved"
    BACKUP_RESTORED = "backup_restored"
    WEBHOOK_CREATED = "webhook_created"
    WEBHOOK_CHANGED = "webhook_changed"
    WEBHOOK_DELETED = "webhook_deleted"
    WEBHOOK_ROTATED = "webhook_rotated"
    WEBHOOK_TESTED = "webhook_tested"
    WEBHOOK_REPLAYED = "webhook_replayed"
    WEBHOOK_SWITCHED_OFF = "webhook_switched_off"


class WebhookEventType(StrEnum):
    """Types of webhook events; `ping` is sent when an engineer tests an endpoint, and can't be subscribed to."""

    POUR_AUTHORIZED = "pour.authorized"
    POUR_SETTLED = "pour.settled"
    POUR_RECONCILED = "pour.reconciled"
    POUR_REJECTED = "pour.rejected"
    POUR_VOIDED = "pour.voided"
    TOP_UP_BOOKED = "top_up.booked"
    REFUND_BOOKED = "refund.booked"
    ADJUSTMENT_BOOKED = "adjustment.booked"
    COMP_BOOKED = "comp.booked"
    TOP_UP_REVERSED = "top_up.reversed"
    DEPOSIT_BOOKED = "deposit.booked"
    PAYMENT_REVERSED = "payment.reversed"
    INCIDENT_RAISED = "incident.raised"
    INCIDENT_RESOLVED = "incident.resolved"
    VISIT_OPENED = "visit.opened"
    VISIT_CLOSED = "visit.closed"
    SHIFT_OPENED = "shift.opened"
    SHIFT_CLOSED = "shift.closed"
    SHIFT_COUNTED = "shift.counted"
    CASH_MOVED = "cash.moved"
    GUEST_ERASED = "guest.erased"
    PING = "ping"
