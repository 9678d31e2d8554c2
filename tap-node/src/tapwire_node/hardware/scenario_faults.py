"""Faults of a simulated tap, as a scenario lists them."""

from enum import StrEnum
from threading import Event
from typing import Annotated, Final, assert_never

from msgspec import Meta, Struct

from tapwire_node.hardware.simulated_tap import SimulatedTap

MS_PER_S: Final = 1_000
Wait = Annotated[int, Meta(ge=0, le=3_600_000)]


class FaultKind(StrEnum):
    """A kind of fault."""

    READER_LOSS = "reader_loss"
    STUCK_VALVE = "stuck_valve"
    LEAKING_VALVE = "leaking_valve"
    POWER_CUT = "power_cut"


class Fault(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One fault: it begins `after_ms` after the previous one was repaired, and lasts `lasts_ms`; a power cut has no duration."""

    kind: FaultKind
    after_ms: Annotated[int, Meta(ge=10, le=3_600_000)] = 10_000
    lasts_ms: Wait = 5_000
    leak_ml_per_s: Annotated[int, Meta(ge=1, le=1_000)] = 5
    """Flow through the leaking valve."""


def play_fault(tap: SimulatedTap, fault: Fault, ended: Event) -> None:
    """Wait until the fault is due, cause it, and repair it; at once when `ended` is set."""
    if ended.wait(fault.after_ms / MS_PER_S):
        return
    _apply(tap, fault, broken=True)
    ended.wait(fault.lasts_ms / MS_PER_S)
    _apply(tap, fault, broken=False)


def _apply(tap: SimulatedTap, fault: Fault, *, broken: bool) -> None:
    match fault.kind:
        case FaultKind.READER_LOSS if broken:
            tap.reader.fail("the scenario has it lost")
        case FaultKind.READER_LOSS:
            tap.reader.recover()
        case FaultKind.STUCK_VALVE:
            tap.valve_sticks = broken
        case FaultKind.LEAKING_VALVE:
            tap.leak_ml_per_s = fault.leak_ml_per_s if broken else 0
        case FaultKind.POWER_CUT:
            if broken:
                tap.cut_power()
        case _:
            assert_never(fault.kind)
