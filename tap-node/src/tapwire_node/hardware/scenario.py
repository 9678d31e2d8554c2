"""Guests of a simulated tap, and faults meanwhile, from a TOML file:

    repeat = true

    [[guests]]
    cards = ["04a1b2c3", "04a1b2c4"]   # used in turn, one for each visit
    flow_ml_per_s = 60                 # flow while the guest pours
    leave_after_ml = 300               # or leave_after_ms = 4000, or neither: stays until the valve closes
    pause_ms = 2000                    # before the guest comes
    retry_after_ms = 2000              # a guest who got no beer comes again after this, until there is some; else gives up
    walk_off_after_ml = 200            # closes the tap's lever and walks off; the card stays on
    flicker_every_ms = 900             # at this interval the card is not seen for flicker_ms = 300

    [[faults]]
    kind = "leaking_valve"             # or reader_loss, stuck_valve, power_cut
    after_ms = 10000                   # after the start, or after the previous fault was repaired
    lasts_ms = 5000

A guest who gets no beer leaves after `patience_ms`. A power cut kills the node.
"""

import logging
import tomllib
from itertools import count
from pathlib import Path
from threading import Event, Thread
from typing import Annotated, Final

import msgspec
from msgspec import Meta, Struct

from tapwire_contracts.card_uid import InvalidCardUid, normalize_card_uid
from tapwire_contracts.text_files import read_text_file
from tapwire_node.clock import monotonic_ms
from tapwire_node.hardware.scenario_faults import Fault, Wait, play_fault
from tapwire_node.hardware.simulated_tap import SimulatedTap

GUEST_POLL_S: Final = 0.02
"""Interval at which a guest checks glass and valve."""
MS_PER_S: Final = 1_000
logger: Final = logging.getLogger(__name__)


class InvalidScenario(ValueError):
    """The file is not a valid scenario; the text says what to change."""


class Guest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The behaviour of one guest; durations in ms."""

    cards: Annotated[tuple[str, ...], Meta(min_length=1)]
    flow_ml_per_s: Annotated[int, Meta(ge=0, le=1_000)] = 60
    leave_after_ml: Annotated[int, Meta(ge=1)] | None = None
    leave_after_ms: Annotated[int, Meta(ge=1)] | None = None
    patience_ms: Wait = 7_000
    linger_ms: Wait = 500
    """How long the card stays after the valve has closed by itself."""
    pause_ms: Wait = 2_000
    retry_after_ms: Annotated[int, Meta(ge=1)] | None = None
    walk_off_after_ml: Annotated[int, Meta(ge=1)] | None = None
    flicker_every_ms: Annotated[int, Meta(ge=1)] | None = None
    flicker_ms: Wait = 300


class Scenario(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Guests one after the other, and faults one after the other meanwhile; over again if `repeat`."""

    guests: Annotated[tuple[Guest, ...], Meta(min_length=1)]
    faults: tuple[Fault, ...] = ()
    repeat: bool = True


def load_scenario(file: Path) -> Scenario:
    """Read a scenario; raises `InvalidScenario`."""
    try:
        scenario = msgspec.convert(tomllib.loads(read_text_file(file)), Scenario)
        for card in (card for guest in scenario.guests for card in guest.cards):
            normalize_card_uid(card)
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError, msgspec.ValidationError, InvalidCardUid) as error:
        raise InvalidScenario(f"{file}: {error}") from error
    return scenario


class ScenarioPlayer:
    """Plays a scenario until it is over or stopped: guests on one thread, faults on another."""

    def __init__(self, tap: SimulatedTap, scenario: Scenario) -> None:
        self._tap = tap
        self._scenario = scenario
        self._ended = Event()
        self._threads = [Thread(target=self._play_guests, name="guests", daemon=True)]
        if scenario.faults:
            self._threads.append(Thread(target=self._play_faults, name="faults", daemon=True))

    def start(self) -> None:
        """Start the guests and the faults."""
        for thread in self._threads:
            thread.start()

    def end(self) -> None:
        """Stop guests and faults; also before `start`."""
        self._ended.set()
        for thread in self._threads:
            if thread.is_alive():
                thread.join()

    def _play_faults(self) -> None:
        while not self._ended.is_set():
            for fault in self._scenario.faults:
                play_fault(self._tap, fault, self._ended)
            if not self._scenario.repeat:
                return

    def _play_guests(self) -> None:
        for visit in count():
            for guest in self._scenario.guests:
                if self._ended.wait(guest.pause_ms / MS_PER_S):
                    return
                card = guest.cards[visit % len(guest.cards)]
                while not self._pour(guest, card) and guest.retry_after_ms is not None:
                    if self._ended.wait(guest.retry_after_ms / MS_PER_S):
                        return
            if not self._scenario.repeat:
                return

    def _pour(self, guest: Guest, card: str) -> bool:
        """Lay the card on, pour, and leave; whether the valve opened."""
        tap = self._tap
        tap.flow_ml_per_s = guest.flow_ml_per_s
        came_ms, from_ml = monotonic_ms(), tap.flowed_ml
        seen_ms = came_ms
        opened_ms: int | None = None
        tap.reader.present(card)
        while not self._ended.wait(GUEST_POLL_S):
            now_ms, poured_ml = monotonic_ms(), tap.flowed_ml - from_ml
            if opened_ms is None and tap.valve_is_driven:
                opened_ms = now_ms
            if opened_ms is None:
                if now_ms - came_ms >= guest.patience_ms:
                    break
            elif not tap.valve_is_driven:
                self._ended.wait(guest.linger_ms / MS_PER_S)
                break
            elif has_enough(guest, poured_ml, now_ms - opened_ms):
                break
            if guest.walk_off_after_ml is not None and poured_ml >= guest.walk_off_after_ml:
                tap.flow_ml_per_s = 0
            if guest.flicker_every_ms is not None and now_ms - seen_ms >= guest.flicker_every_ms:
                self._flicker(guest, card)
                seen_ms = monotonic_ms()
        tap.reader.remove()
        logger.info("guest with card %s leaves with %d ml", card, tap.flowed_ml - from_ml)
        return opened_ms is not None

    def _flicker(self, guest: Guest, card: str) -> None:
        self._tap.reader.remove()
        self._ended.wait(guest.flicker_ms / MS_PER_S)
        self._tap.reader.present(card)


def has_enough(guest: Guest, poured_ml: int, poured_ms: int) -> bool:
    """True when the guest has poured enough, or long enough."""
    if guest.leave_after_ml is not None and poured_ml >= guest.leave_after_ml:
        return True
    return guest.leave_after_ms is not None and poured_ms >= guest.leave_after_ms
