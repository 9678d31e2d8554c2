"""Simulated hardware: beer flows while the pin is driven, guests come and go, and the watchdog closes the valve."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event

import pytest

from tapwire_node.hardware import valve
from tapwire_node.hardware.drivers import Hardware, open_hardware
from tapwire_node.hardware.scenario import Guest, Scenario, ScenarioPlayer
from tapwire_node.hardware.scenario_faults import Fault, FaultKind
from tapwire_node.hardware.settings import SimulatedHardware
from tapwire_node.hardware.simulated_tap import VALVE_PIN, SimulatedTap, WatchedPin
from tapwire_node.hardware.valve import RETRY_MS, ValveStuck
from tests.stolen_time import Stolen

CARD = "04a1b2c3"
WAIT_S = 5.0
FLOW_ML_PER_S = 400
TRIES = 20
"""Of what a machine that stood still meanwhile can't show."""


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT_S
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.005)


class Bar:
    """Hardware whose valve opens for any card, as long as a card is there."""

    def __init__(self, watchdog_ms: int = 60_000) -> None:
        settings = SimulatedHardware(flow_ml_per_s=FLOW_ML_PER_S, pulses_per_liter=1_000, closing_ms=0)
        self.watchdog_tripped = Event()
        self.hardware: Hardware = open_hardware(settings, watchdog_ms, self)
        assert self.hardware.simulated is not None
        self.tap: SimulatedTap = self.hardware.simulated
        self.heard: list[str] = []
        self.heard_s: list[float] = []
        self.opens = True
        self.hardware.start()
        self.hardware.reader.start(self)

    @property
    def valve_pin(self) -> WatchedPin:
        pin = self.tap.factory.pin(VALVE_PIN)
        assert isinstance(pin, WatchedPin)
        return pin

    def card_seen(self, card_uid: str) -> None:
        self.hear(card_uid)
        if self.opens:
            self.hardware.valve.open()

    def card_lifted(self) -> None:
        self.hear("lifted")
        self.hardware.valve.close()

    def valve_tripped(self) -> None:
        self.watchdog_tripped.set()

    def valve_failed(self, text: str) -> None:
        self.hear("valve")

    def valve_recovered(self) -> None:
        self.hear("valve works")

    def reader_failed(self, text: str) -> None:
        self.hear(text)

    def reader_recovered(self) -> None:
        self.hear("works")

    def hear(self, text: str) -> None:
        self.heard_s.append(time.monotonic())
        self.heard.append(text)

    def play(self, guest: Guest) -> None:
        """One guest comes and goes."""
        player = ScenarioPlayer(self.tap, Scenario(guests=(guest,), repeat=False))
        player.start()
        until(lambda: self.heard[-1:] == ["lifted"] and len(self.heard) > 2)
        player.end()


@pytest.fixture
def bar() -> Iterator[Bar]:
    bar = Bar()
    yield bar
    bar.hardware.end()


def test_nothing_flows_until_the_pin_is_driven_and_the_meter_counts_what_does(bar: Bar) -> None:
    time.sleep(0.05)
    assert bar.tap.flowed_ml == 0
    bar.hardware.valve.open()
    until(lambda: bar.tap.flowed_ml >= 40)
    bar.hardware.valve.close()
    time.sleep(0.05)
    assert bar.hardware.meter.pulses == bar.tap.flowed_ml
    flowed_ml = bar.tap.flowed_ml
    time.sleep(0.1)
    assert bar.tap.flowed_ml == flowed_ml


def test_a_valve_that_sticks_lets_it_flow_on(bar: Bar) -> None:
    bar.tap.valve_sticks = True
    bar.hardware.valve.open()
    until(lambda: bar.tap.flowed_ml >= 10)
    bar.hardware.valve.close()
    until(lambda: bar.tap.flowed_ml >= 60)


def test_a_guest_leaves_with_enough(bar: Bar) -> None:
    with Stolen.measured() as stolen:
        bar.play(Guest(cards=(CARD,), flow_ml_per_s=FLOW_ML_PER_S, leave_after_ml=50, pause_ms=10))
    assert bar.heard == ["lifted", CARD, "lifted"]
    assert 50 <= bar.tap.flowed_ml <= 90 + stolen.flow_ml(FLOW_ML_PER_S)


def test_a_guest_leaves_after_a_time(bar: Bar) -> None:
    with Stolen.measured() as stolen:
        bar.play(Guest(cards=(CARD,), flow_ml_per_s=FLOW_ML_PER_S, leave_after_ms=100, pause_ms=10))
    slack_ml = stolen.flow_ml(FLOW_ML_PER_S)
    assert 20 - slack_ml <= bar.tap.flowed_ml <= 100 + slack_ml
    _, came_s, left_s = bar.heard_s
    assert left_s - came_s >= 0.1


def test_a_guest_who_is_not_served_loses_patience(bar: Bar) -> None:
    bar.opens = False
    bar.play(Guest(cards=(CARD,), patience_ms=50, pause_ms=10))
    assert bar.tap.flowed_ml == 0


def test_a_guest_who_tries_again_comes_until_there_is_beer(bar: Bar) -> None:
    bar.opens = False
    guest = Guest(cards=(CARD,), flow_ml_per_s=FLOW_ML_PER_S, patience_ms=30, retry_after_ms=30, leave_after_ml=30, pause_ms=10)
    player = ScenarioPlayer(bar.tap, Scenario(guests=(guest,), repeat=False))
    player.start()
    until(lambda: bar.heard.count(CARD) >= 3)
    assert bar.tap.flowed_ml == 0

    bar.opens = True
    until(lambda: bar.tap.flowed_ml >= 30)
    until(lambda: bar.heard[-1] == "lifted")
    player.end()
    assert bar.heard.count(CARD) >= 4


def test_a_guest_stays_until_the_valve_closes_by_itself(bar: Bar) -> None:
    player = ScenarioPlayer(bar.tap, Scenario(guests=(Guest(cards=(CARD,), pause_ms=10, linger_ms=10),), repeat=False))
    player.start()
    until(lambda: bar.tap.flowed_ml >= 30)
    assert bar.heard == ["lifted", CARD]
    bar.hardware.valve.close()
    until(lambda: bar.heard == ["lifted", CARD, "lifted"])
    player.end()


def test_an_open_valve_with_an_unfed_watchdog_closes_and_reports_it() -> None:
    watchdog_ms = 80
    for _ in range(TRIES):
        bar = Bar(watchdog_ms)
        longest_gap_ms, stayed_open = look_after_valve(bar)
        assert bar.watchdog_tripped.wait(WAIT_S)
        assert not bar.hardware.valve.is_open
        bar.hardware.end()
        if longest_gap_ms < watchdog_ms - 1:  # its clock has whole milliseconds
            assert stayed_open
            return
    pytest.fail("this machine never looked after the valve in time")


def look_after_valve(bar: Bar) -> tuple[float, bool]:
    """Open the valve and feed its watchdog for 160 ms; returns the longest gap in ms, and True if the valve is still open."""
    looked_s, longest_gap_s = time.monotonic(), 0.0
    bar.hardware.valve.open()
    for _ in range(8):
        time.sleep(0.02)
        before_s = time.monotonic()
        bar.hardware.valve.feed_watchdog()
        longest_gap_s, looked_s = max(longest_gap_s, time.monotonic() - looked_s), before_s
    is_open = bar.hardware.valve.is_open
    return max(longest_gap_s, time.monotonic() - looked_s) * 1_000, is_open


@pytest.mark.parametrize("who", ["the controller", "the watchdog"])
def test_an_unwritable_pin_is_reported_and_the_valve_closes_as_soon_as_it_can(who: str) -> None:
    bar = Bar(watchdog_ms=60_000 if who == "the controller" else 50)
    bar.hardware.valve.open()
    bar.valve_pin.is_dead = True
    if who == "the controller":
        bar.hardware.valve.close()
    until(lambda: bar.heard[-1] == "valve")
    time.sleep(2 * RETRY_MS / 1_000)
    assert bar.tap.valve_is_driven
    bar.valve_pin.is_dead = False
    until(lambda: not bar.tap.valve_is_driven)
    until(lambda: bar.heard == ["lifted", "valve", "valve works"])
    bar.hardware.end()


def test_feeding_the_watchdog_does_not_keep_a_valve_open_that_should_close(bar: Bar) -> None:
    bar.hardware.valve.open()
    bar.valve_pin.is_dead = True
    bar.hardware.valve.close()
    bar.hardware.valve.feed_watchdog()
    bar.valve_pin.is_dead = False
    until(lambda: not bar.tap.valve_is_driven)


def test_a_valve_that_cant_be_opened_is_closed(bar: Bar) -> None:
    bar.valve_pin.is_dead = True
    bar.hardware.valve.open()
    bar.valve_pin.is_dead = False
    until(lambda: bar.heard == ["lifted", "valve", "valve works"])
    assert not bar.tap.valve_is_driven


def test_a_process_that_cant_close_its_valve_for_long_gives_up(bar: Bar, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(valve, "GIVE_UP_MS", 300)
    bar.hardware.valve.open()
    bar.valve_pin.is_dead = True
    bar.hardware.valve.close()
    bar.hardware.valve.feed_watchdog()
    time.sleep(0.4)
    with pytest.raises(ValveStuck):
        bar.hardware.valve.feed_watchdog()


def test_ending_the_valve_closes_it_for_good(tmp_path: Path) -> None:
    bar = Bar()
    bar.hardware.valve.open()
    bar.hardware.end()
    bar.hardware.valve.open()
    assert not bar.tap.valve_is_driven


def test_a_card_that_flickers_is_lost_and_found_again_while_it_pours(bar: Bar) -> None:
    guest = Guest(cards=(CARD,), flow_ml_per_s=400, flicker_every_ms=60, flicker_ms=10, leave_after_ml=80, pause_ms=10)
    player = ScenarioPlayer(bar.tap, Scenario(guests=(guest,), repeat=False))
    player.start()
    until(lambda: bar.heard.count("lifted") >= 3)
    player.end()
    assert bar.heard[:5] == ["lifted", CARD, "lifted", CARD, "lifted"]


def test_a_guest_who_walks_off_closes_the_lever_and_leaves_the_card(bar: Bar) -> None:
    guest = Guest(cards=(CARD,), flow_ml_per_s=400, walk_off_after_ml=40, pause_ms=10)
    player = ScenarioPlayer(bar.tap, Scenario(guests=(guest,), repeat=False))
    player.start()
    until(lambda: bar.tap.flowed_ml >= 40 and bar.tap.flow_ml_per_s == 0)
    flowed_ml = bar.tap.flowed_ml
    time.sleep(0.1)
    assert bar.tap.flowed_ml <= flowed_ml + 4
    assert bar.tap.valve_is_driven
    assert bar.heard == ["lifted", CARD]
    player.end()


def test_faults_of_a_scenario_happen_in_their_order_and_are_repaired(bar: Bar) -> None:
    faults = (
        Fault(kind=FaultKind.READER_LOSS, after_ms=10, lasts_ms=50),
        Fault(kind=FaultKind.LEAKING_VALVE, after_ms=10, lasts_ms=300, leak_ml_per_s=200),
        Fault(kind=FaultKind.STUCK_VALVE, after_ms=10, lasts_ms=3_600_000),
    )
    bar.opens = False
    player = ScenarioPlayer(bar.tap, Scenario(guests=(Guest(cards=(CARD,), pause_ms=3_600_000),), faults=faults, repeat=False))
    player.start()
    until(lambda: bar.heard[-2:] == ["works", "lifted"])
    assert "the scenario has it lost" in bar.heard
    until(lambda: bar.tap.flowed_ml >= 20)
    until(lambda: bar.tap.valve_sticks)
    assert bar.tap.leak_ml_per_s == 0
    player.end()
    assert not bar.tap.valve_sticks, "the end mends everything"


class TapOnAMeter(SimulatedTap):
    """A simulated tap that only counts its power cuts."""

    cuts = 0

    def cut_power(self) -> None:
        self.cuts += 1


def test_a_power_cut_in_a_scenario_cuts_the_power_each_time() -> None:
    tap = TapOnAMeter(SimulatedHardware())
    fault = Fault(kind=FaultKind.POWER_CUT, after_ms=10, lasts_ms=10)
    player = ScenarioPlayer(tap, Scenario(guests=(Guest(cards=(CARD,), pause_ms=3_600_000),), faults=(fault,)))
    player.start()
    until(lambda: tap.cuts >= 3)
    player.end()
