"""The messages of the control socket: one JSON object per line, each with its `type`."""

from typing import Final
from uuid import UUID

import msgspec
from msgspec import Struct

from tapwire_contracts.reasons import EndReason, FlowCause, Phase

MAX_LINE: Final = 16_384
"""Bytes; a longer line ends the connection."""


class Line(Struct, frozen=True, kw_only=True, tag_field="type"):
    """One line, in either direction."""


# ── from a person's program to the node ────────────────────────────────────


class StartRun(Line, frozen=True, kw_only=True, tag="start_run"):
    """Start a service run with these caps; answered by `RunStarted` or `Refused`, then `RunProgress` and `RunEnded`."""

    cause: FlowCause
    max_volume_ml: int
    max_duration_ms: int


class Hold(Line, frozen=True, kw_only=True, tag="hold"):
    """Renew the run: the program is still there."""


class StopRun(Line, frozen=True, kw_only=True, tag="stop_run"):
    """End the run: close the valve."""


class AskStatus(Line, frozen=True, kw_only=True, tag="ask_status"):
    """Ask for the node's state; answered by `Status`."""


# ── from the node ──────────────────────────────────────────────────────────


class Refused(Line, frozen=True, kw_only=True, tag="refused"):
    """The request is refused; the text says why and what to do."""

    text: str


class RunStarted(Line, frozen=True, kw_only=True, tag="begun"):
    """The valve is open."""


class RunProgress(Line, frozen=True, kw_only=True, tag="progress"):
    """The run's volume and duration so far."""

    volume_ml: int
    pulses: int
    elapsed_ms: int


class RunEnded(Line, frozen=True, kw_only=True, tag="ended"):
    """The end of the run, volume with its tail; `over_ml` and `latency_ms` as in `controller.facts.Closing`."""

    reason: EndReason
    volume_ml: int
    pulses: int
    duration_ms: int
    tail_ml: int
    over_ml: int | None
    latency_ms: int | None


class Status(Line, frozen=True, kw_only=True, tag="status"):
    """The node's state. `faults` names broken parts; `out_of_service` says why the tap asks no questions, None when it does.

    `other_node`: the boot of another node that has used this tap's login since the node started.
    """

    software: str
    phase: Phase
    valve_open: bool
    faults: tuple[str, ...]
    out_of_service: str | None
    connected: bool
    cores: int
    config_status: str | None
    config_revision: int
    pulses_per_liter: int
    journal_writable: bool
    facts_open: int
    odometer_ml: int
    uptime_ms: int
    other_node: UUID | None = None


Request = StartRun | Hold | StopRun | AskStatus
Answer = Refused | RunStarted | RunProgress | RunEnded | Status
request_decoder: Final = msgspec.json.Decoder(Request)
answer_decoder: Final = msgspec.json.Decoder(Answer)


def to_line(message: Line) -> bytes:
    """Encode a message as a line."""
    return msgspec.json.encode(message) + b"\n"
