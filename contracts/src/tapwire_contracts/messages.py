"""Every payload of CONTRACT.md, and in `ROUTES` its topic, sender, QoS and retain flag.

Integers are minor units of money (`*_minor`), millilitres (`*_ml`) or milliseconds (`*_ms`). Receivers ignore fields that they
don't know; a missing field or an unknown `type` makes a message malformed.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Final
from uuid import UUID

from msgspec import Meta, Struct

from tapwire_contracts.card_uid import CARD_UID_PATTERN
from tapwire_contracts.reasons import (
    ConfigStatus,
    DenyReason,
    EndReason,
    FlowCause,
    Locale,
    Outcome,
    Phase,
    Presence,
    StopReason,
    ValveState,
    VerdictReason,
    VerdictStatus,
)
from tapwire_contracts.topics import DeviceKind

MAX_INTEGER: Final = 2**53 - 1
"""Largest integer that every JSON reader keeps exactly."""
MAX_NAME_LENGTH: Final = 200
MAX_TEXT_LENGTH: Final = 1_000
MAX_UNSETTLED: Final = 200
"""Limit of pours listed in a question; 200 UUIDs stay well under the payload limit."""

MISSED_HEARTBEATS: Final = 3
"""A peer that says its heartbeat interval is offline once this many heartbeats in a row have not come."""
MAX_HEARTBEAT_MS: Final = 86_400_000

CardUid = Annotated[str, Meta(pattern=CARD_UID_PATTERN, description="card id: lower-case hex, 8, 14 or 20 digits")]
Count = Annotated[int, Meta(ge=0, le=MAX_INTEGER)]
Milliliters = Annotated[int, Meta(ge=0, le=MAX_INTEGER, description="millilitres")]
Milliseconds = Annotated[int, Meta(ge=0, le=MAX_INTEGER, description="milliseconds")]
Heartbeat = Annotated[int, Meta(ge=1, le=MAX_HEARTBEAT_MS, description="milliseconds; comes again at least this often")]
Minor = Annotated[int, Meta(ge=-MAX_INTEGER, le=MAX_INTEGER, description="minor units of the currency")]
PriceMinor = Annotated[int, Meta(ge=1, le=MAX_INTEGER, description="minor units of the currency per litre")]
Name = Annotated[str, Meta(max_length=MAX_NAME_LENGTH)]
Text = Annotated[str, Meta(max_length=MAX_TEXT_LENGTH)]
Currency = Annotated[str, Meta(pattern="^[A-Z]{3}$", description="ISO 4217 code")]


def _open_set(members: type[StrEnum]) -> Meta:
    """Text of which these values are known today: a receiver reads another one as text, and trusts nothing to it."""
    return Meta(min_length=1, max_length=MAX_NAME_LENGTH, description="later versions add values", examples=list(members))


DenyReasonText = Annotated[str, _open_set(DenyReason)]
VerdictStatusText = Annotated[str, _open_set(VerdictStatus)]
OutcomeText = Annotated[str, _open_set(Outcome)]
VerdictReasonText = Annotated[str, _open_set(VerdictReason)]
StopReasonText = Annotated[str, _open_set(StopReason)]
ConfigStatusText = Annotated[str, _open_set(ConfigStatus)]
WallClock = Annotated[str, Meta(max_length=64, description="the node's wall clock, RFC 3339; information only")]


class Message(Struct, frozen=True, kw_only=True, tag_field="type"):
    """An MQTT payload, named by its `type` field."""


# ── node → core ────────────────────────────────────────────────────────────


class CardPresented(Message, frozen=True, kw_only=True, tag="card_presented"):
    """A request to pour, made by a card on a tap's reader. Repeated unchanged each second until answered."""

    event_id: UUID
    card_uid: CardUid
    reader_id: Name
    read_at: WallClock
    boot_id: UUID
    journal_id: UUID
    seq: Annotated[int, Meta(ge=1, le=MAX_INTEGER, description="counts this journal's questions; never goes back")]
    unsettled: Annotated[tuple[UUID, ...], Meta(max_length=MAX_UNSETTLED, description="pours of this journal without a verdict")]


class ReaderCardPresented(Message, frozen=True, kw_only=True, tag="card_presented"):
    """A card on a desk reader; it authorises nothing."""

    event_id: UUID
    card_uid: CardUid
    reader_id: Name
    read_at: WallClock
    boot_id: UUID


class CardRemoved(Message, frozen=True, kw_only=True, tag="card_removed"):
    """Removal of a card, once it has been gone for the debounce time; one per `card_presented`."""

    event_id: UUID
    card_uid: CardUid
    reader_id: Name
    removed_at: WallClock
    boot_id: UUID


class PourProgress(Message, frozen=True, kw_only=True, tag="pour_progress"):
    """A running pour's volume so far; best effort, at most five per second."""

    pour_id: UUID
    volume_ml: Milliliters
    elapsed_ms: Milliseconds


class PourCompleted(Message, frozen=True, kw_only=True, tag="pour_completed"):
    """The node's one report of a pour; `volume_ml` is the length of the odometer's stretch."""

    pour_id: UUID
    card_uid: CardUid
    volume_ml: Milliliters
    duration_ms: Milliseconds
    end_reason: EndReason
    interrupted: bool
    started_at: WallClock | None
    age_ms: Milliseconds | None
    odometer_from_ml: Milliliters
    odometer_to_ml: Milliliters
    journal_id: UUID
    boot_id: UUID


class PourUnknown(Message, frozen=True, kw_only=True, tag="pour_unknown"):
    """The answer to `report_pour` for a journal that this node has lost: it can't report the pour."""

    pour_id: UUID
    journal_id: UUID


class UnattributedFlow(Message, frozen=True, kw_only=True, tag="unattributed_flow"):
    """Beer that flowed without a grant: a leak, or a service run. A durable fact like a pour's report."""

    event_id: UUID
    cause: FlowCause
    volume_ml: Milliliters
    duration_ms: Milliseconds
    card_uid: CardUid | None
    age_ms: Milliseconds | None
    odometer_from_ml: Milliliters
    odometer_to_ml: Milliliters
    journal_id: UUID
    boot_id: UUID


class PresentCard(Struct, frozen=True, kw_only=True):
    """The card on a reader now."""

    card_uid: CardUid
    reader_id: Name
    read_at: WallClock


class NodeState(Message, frozen=True, kw_only=True, tag="node_state"):
    """The state of a tap node or desk reader; retained, its last will has status `offline`.

    With `heartbeat_ms` it comes again at least that often, changed or not: a node that missed three is offline without a will, too.
    """

    status: Presence
    phase: Phase
    valve: ValveState
    card: PresentCard | None
    pour_id: UUID | None
    facts_open: Count
    odometer_ml: Milliliters
    journal_id: UUID
    boot_id: UUID
    connection: Annotated[int, Meta(ge=0, le=MAX_INTEGER, description="counts the connections of this boot")]
    config_revision: Count
    software: Name
    contract_version: Name
    uptime_ms: Milliseconds
    heartbeat_ms: Heartbeat | None = None


# ── core → node ────────────────────────────────────────────────────────────


class BeverageShown(Struct, frozen=True, kw_only=True):
    """The beverage on the tap's screen."""

    name: Name
    style: Name | None = None
    abv: float | None = None


class PriceRuleShown(Struct, frozen=True, kw_only=True):
    """The price rule that is on at a tap. `until`: the next moment at which it is off; null if it never is."""

    price_rule_id: UUID
    name: Name
    until: Annotated[datetime, Meta(tz=True)] | None


class Display(Struct, frozen=True, kw_only=True):
    """The content of a tap's screen; its only personal data are first name, balance and what a serving limit leaves.

    `allowance_left_ml`: of this beverage, before this answer; null without a limit, or for a beverage without alcohol.
    """

    message: Text
    beverage: BeverageShown | None = None
    sell_price_per_liter_minor: PriceMinor | None = None
    currency: Currency | None = None
    guest_first_name: Name | None = None
    balance_minor: Minor | None = None
    allowance_left_ml: Milliliters | None = None


class PourAuthorized(Message, frozen=True, kw_only=True, tag="pour_authorized"):
    """A grant for the card of the question, with its limits of volume and time."""

    request_id: UUID
    pour_id: UUID
    card_uid: CardUid
    max_volume_ml: Annotated[int, Meta(ge=1, le=MAX_INTEGER)]
    max_duration_ms: Annotated[int, Meta(ge=1, le=MAX_INTEGER)]
    idle_timeout_ms: Annotated[int, Meta(ge=1, le=MAX_INTEGER)]
    display: Display


class PourDenied(Message, frozen=True, kw_only=True, tag="pour_denied"):
    """A refusal; the guest may ask again. A reason that a node does not know is a refusal too."""

    request_id: UUID
    reason: DenyReasonText
    message: Text
    display: Display


class PourSettled(Message, frozen=True, kw_only=True, tag="pour_settled"):
    """The verdict on a report; a repeated report gets it again to the letter."""

    pour_id: UUID
    status: VerdictStatusText
    outcome: OutcomeText
    reason: VerdictReasonText | None
    volume_ml: Milliliters
    amount_minor: Minor
    balance_minor: Minor | None
    currency: Currency


class FlowRecorded(Message, frozen=True, kw_only=True, tag="flow_recorded"):
    """The verdict on an `unattributed_flow`."""

    event_id: UUID


class StopPour(Message, frozen=True, kw_only=True, tag="stop_pour"):
    """An order to end a pour now; a node that doesn't know it journals its id as dead."""

    pour_id: UUID
    reason: StopReasonText


class ReportPour(Message, frozen=True, kw_only=True, tag="report_pour"):
    """A request to report a pour again; `journal_id` is the journal that it was asked with."""

    pour_id: UUID
    journal_id: UUID


class RenewJournal(Message, frozen=True, kw_only=True, tag="renew_journal"):
    """An order to begin a new journal: `journal_id` was set back. A node that writes another journal ignores it."""

    journal_id: UUID


class TapConfig(Message, frozen=True, kw_only=True, tag="tap_config"):
    """A tap's settings; retained. The node applies a newer `revision`, and a `status` other than `active` always.

    `sell_price_per_liter_minor` is the price now; the list price and the rule, with its end as the venue's clock shows it, are for
    the tap's screen only.

    A status that a node does not know keeps the tap closed.
    """

    status: ConfigStatusText
    beverage: BeverageShown | None
    sell_price_per_liter_minor: PriceMinor | None
    currency: Currency
    pulses_per_liter: Annotated[int, Meta(ge=1, le=1_000_000)]
    max_pour_ml: Annotated[int, Meta(ge=1, le=MAX_INTEGER)]
    locale: Locale
    revision: Count
    list_price_per_liter_minor: PriceMinor | None = None
    price_rule: PriceRuleShown | None = None


class CoreState(Message, frozen=True, kw_only=True, tag="core_state"):
    """A core worker's presence; retained, and cleared by an empty message.

    With `heartbeat_ms` it comes again that often while the worker can answer: one that missed three is gone.
    """

    instance_id: Name
    software: Name
    contract_version: Name
    heartbeat_ms: Heartbeat | None = None


# ── routes ────────────────────────────────────────────────────────────


class Sender(StrEnum):
    """Publishers of topics."""

    NODE = "node"
    CORE = "core"


@dataclass(frozen=True, slots=True)
class Route:
    """A topic: its leaf below a device's path (or below `core/{instance_id}`), sender, QoS, retain flag and payloads.

    `kinds`: the kinds of devices with this topic; empty for a core worker's own.
    """

    leaf: str
    sender: Sender
    qos: int
    retain: bool
    kinds: tuple[DeviceKind, ...]
    payloads: tuple[type[Message], ...]


_TAP: Final = (DeviceKind.TAP,)
_READER: Final = (DeviceKind.READER,)
_ANY_DEVICE: Final = (DeviceKind.TAP, DeviceKind.READER)

STATE: Final = Route("state", Sender.NODE, 1, True, _ANY_DEVICE, (NodeState,))
CARD: Final = Route("card", Sender.NODE, 1, False, _TAP, (CardPresented, CardRemoved))
READER_CARD: Final = Route("card", Sender.NODE, 1, False, _READER, (ReaderCardPresented, CardRemoved))
PROGRESS: Final = Route("pour/progress", Sender.NODE, 0, False, _TAP, (PourProgress,))
COMPLETED: Final = Route("pour/completed", Sender.NODE, 1, False, _TAP, (PourCompleted, PourUnknown))
FLOW: Final = Route("flow", Sender.NODE, 1, False, _TAP, (UnattributedFlow,))
COMMAND: Final = Route(
    "command",
    Sender.CORE,
    1,
    False,
    _TAP,
    (PourAuthorized, PourDenied, PourSettled, FlowRecorded, StopPour, ReportPour, RenewJournal),
)
CONFIG: Final = Route("config", Sender.CORE, 1, True, _TAP, (TapConfig,))
CORE_STATE: Final = Route("state", Sender.CORE, 1, True, (), (CoreState,))

ROUTES: Final = (STATE, CARD, READER_CARD, PROGRESS, COMPLETED, FLOW, COMMAND, CONFIG, CORE_STATE)


def message_type(payload: type[Message]) -> str:
    """The `type` field of a payload on the wire."""
    return str(payload.__struct_config__.tag)
