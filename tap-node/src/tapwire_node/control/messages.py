"""What is said over the control socket: one JSON object a line, each with its `type`."""

from typing import Final

import msgspec
from msgspec import Struct

from tapwire_contracts.reasons import ConfigStatus, EndReason, FlowCause, Phase

MAX_LINE: Final = 16_384
"""Bytes; a longer line ends the connection."""


class Line(Struct, frozen=True, kw_only=True, tag_field="type"):
    """One line, in either direction."""


# ── from a person's program to the node ────────────────────────────────────


class StartRun(Line, frozen=True, kw_only=True, tag="start_run"):
    """Let it flow, up to these caps; answered by `RunStarted` or `Refused`, then `RunProgress` and `RunEnded`."""

    cause: FlowCause
    max_volume_ml: int
    max_duration_ms: int


class Hold(Line, frozen=True, kw_only=True, tag="hold"):
    """Still here: the run goes on."""


class StopRun(Line, frozen=True, kw_only=True, tag="stop_run"):
    """Enough: close the valve."""


class AskStatus(Line, frozen=True, kw_only=True, tag="ask_status"):
    """Answered by `Status`."""


# ── from the node ──────────────────────────────────────────────────────────


class Refused(Line, frozen=True, kw_only=True, tag="refused"):
    """There is no run, or no answer; the text says what to do."""

    text: str


class RunStarted(Line, frozen=True, kw_only=True, tag="begun"):
    """The valve is open."""


class RunProgress(Line, frozen=True, kw_only=True, tag="progress"):
    """How far the run has come."""

    volume_ml: int
    pulses: int
    elapsed_ms: int


class RunEnded(Line, frozen=True, kw_only=True, tag="ended"):
    """What flowed, tail included; `over_ml`, `latency_ms` as in `controller.facts.Closing`."""

    reason: EndReason
    volume_ml: int
    pulses: int
    duration_ms: int
    tail_ml: int
    over_ml: int | None
    latency_ms: int | None


class Status(Line, frozen=True, kw_only=True, tag="status"):
    """How the node is. `faults` names broken parts, `out_of_service` what keeps the tap from asking, None when nothing does."""

    software: str
    phase: Phase
    valve_open: bool
    faults: tuple[str, ...]
    out_of_service: str | None
    connected: bool
    cores: int
    config_status: ConfigStatus | None
    config_revision: int
    pulses_per_liter: int
    journal_writable: bool
    facts_open: int
    odometer_ml: int
    uptime_ms: int


Request = StartRun | Hold | StopRun | AskStatus
Answer = Refused | RunStarted | RunProgress | RunEnded | Status
request_decoder: Final = msgspec.json.Decoder(Request)
answer_decoder: Final = msgspec.json.Decoder(Answer)


def to_line(message: Line) -> bytes:
    """The message as it goes over the socket."""
    return msgspec.json.encode(message) + b"\n"
