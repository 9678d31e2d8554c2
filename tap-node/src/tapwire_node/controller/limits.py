"""Every limit of the controller, with the defaults of SYSTEM.md; `[limits]` in tap.toml sets them."""

from typing import Annotated, Final

from msgspec import Meta, Struct

Duration = Annotated[int, Meta(ge=1, le=86_400_000, description="milliseconds")]
Volume = Annotated[int, Meta(ge=1, le=100_000, description="millilitres")]

REMEMBERED_QUESTIONS: Final = 1_000
"""Questions of this boot whose late grants are still answered at once; older ones wait for `report_pour`."""


class Limits(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Durations in ms, volumes in ml."""

    request_timeout_ms: Duration = 5_000
    """How long a question waits, and how long a grant is good."""
    question_repeat_ms: Duration = 1_000
    """A question is repeated this often until it is answered."""
    card_debounce_ms: Duration = 800
    """A card counts as gone when the reader has not seen it for this long."""
    tail_ms: Duration = 3_000
    """Pulses this long after closing still belong to the pour."""
    tail_quiet_ms: Duration = 600
    """The tail ends earlier once nothing has flowed for this long."""
    settle_wait_ms: Duration = 2_000
    """How long the next question waits for the last report's verdict."""
    checkpoint_ms: Duration = 250
    checkpoint_ml: Volume = 20
    """Checkpoints of a running pour are at most this far apart, whichever comes first."""
    journal_stall_ms: Duration = 2_000
    """A write to the journal that is not answered for longer makes it count as broken."""
    progress_ms: Annotated[int, Meta(ge=200, le=60_000)] = 200
    """`pour_progress` at most this often: five a second."""
    leak_ml: Volume = 5
    """This much through a closed valve is an alarm and a fact."""
    leak_quiet_ms: Duration = 2_000
    """Flow through a closed valve counts as over when nothing came for this long."""
    leak_report_ms: Duration = 60_000
    """While it lasts, it is reported at the latest this often."""
    closing_max_ms: Duration = 1_000
    """A valve that seems to take longer to close does not close: it teaches the closing lead nothing."""
    closing_lead_max_ml: Volume = 50
    """The valve closes at most this much before the cap."""
    meter_max_ml_per_s: Annotated[int, Meta(ge=1, le=100_000)] = 500
    """More than this through the meter is a fault; 500 are the 30 l/min up to which a YF-S201 counts."""
    meter_window_ms: Duration = 1_000
    """The shortest time over which that is measured."""
    meter_recovery_ms: Duration = 30_000
    """How long the meter must have been plausible before it counts as sound again."""
    service_max_ml: Volume = 20_000
    service_max_ms: Duration = 600_000
    """The longest service run."""
    service_hold_ms: Duration = 1_000
    """A service run ends when the program that started it has not said for this long that it is still there."""
    service_idle_ms: Duration = 30_000
    """A service run ends when nothing has flowed for this long: what the meter does not count, no cap can hold."""
    core_absence_ms: Duration = 2_000
    """No core worker for this long: cards are refused at once."""
