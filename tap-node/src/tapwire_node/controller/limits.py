"""The controller's limits with the defaults of SYSTEM.md; `[limits]` in tap.toml overrides them."""

from typing import Annotated, Final

from msgspec import Meta, Struct

Duration = Annotated[int, Meta(ge=1, le=86_400_000, description="milliseconds")]
Volume = Annotated[int, Meta(ge=1, le=100_000, description="millilitres")]

REMEMBERED_QUESTIONS: Final = 1_000
"""Questions of this boot whose late grants are reported at once; for older ones the core asks by `report_pour`."""


class Limits(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Durations in ms, volumes in ml."""

    request_timeout_ms: Duration = 5_000
    """How long a question waits for its answer, and a grant stays valid."""
    question_repeat_ms: Duration = 1_000
    """Interval of repeating a question until it is answered."""
    card_debounce_ms: Duration = 800
    """A card counts as removed when the reader has not seen it for this long."""
    tail_ms: Duration = 3_000
    """The longest tail: pulses this long after closing still belong to the pour."""
    tail_quiet_ms: Duration = 600
    """The tail ends earlier once nothing has flowed for this long."""
    settle_wait_ms: Duration = 2_000
    """How long the next question waits for the last report's verdict."""
    checkpoint_ms: Duration = 250
    checkpoint_ml: Volume = 20
    """The longest distance between checkpoints of a running pour, by time and by volume."""
    journal_stall_ms: Duration = 2_000
    """A journal write that takes longer makes the journal count as broken."""
    progress_ms: Annotated[int, Meta(ge=200, le=60_000)] = 200
    """The shortest interval of `pour_progress`."""
    leak_ml: Volume = 5
    """This volume through the closed valve is an alarm and a fact."""
    leak_quiet_ms: Duration = 2_000
    """A leak is over when nothing has flowed for this long."""
    leak_report_ms: Duration = 60_000
    """The longest interval of reports during a leak."""
    closing_max_ms: Duration = 1_000
    """A longer closing time means a valve that does not close; the closing lead ignores it."""
    closing_lead_max_ml: Volume = 50
    """The largest closing lead."""
    meter_max_ml_per_s: Annotated[int, Meta(ge=1, le=100_000)] = 500
    """A higher flow is a fault of the meter; 500 are the 30 l/min up to which a YF-S201 counts."""
    meter_window_ms: Duration = 1_000
    """The shortest time over which that flow is measured."""
    meter_recovery_ms: Duration = 30_000
    """How long the meter must be plausible before its fault is cleared."""
    service_max_ml: Volume = 20_000
    service_max_ms: Duration = 600_000
    """The largest caps of a service run."""
    service_hold_ms: Duration = 1_000
    """A service run ends when no hold has come from its program for this long."""
    service_idle_ms: Duration = 30_000
    """A service run ends when nothing has flowed for this long: a dead meter would never reach the cap."""
    core_absence_ms: Duration = 2_000
    """After the last core worker has said goodbye, cards are refused at once from this time on."""
    node_heartbeat_ms: Duration = 30_000
    """The longest interval of `node_state`; the core holds a node that misses three for offline."""
