"""A reader that stops looking for cards, for a moment or for good: the controller's events, and when the tap is free."""

import time
from collections.abc import Callable
from threading import Event

import pytest

from tapwire_contracts.reasons import Phase
from tapwire_node.clock import monotonic_ms
from tapwire_node.controller.effects import LogLine
from tapwire_node.controller.events import EventFactory, Part
from tapwire_node.hardware.polled_reader import CardSource, PolledReader, ReaderBroken
from tapwire_node.hardware.reader import ReaderListener
from tapwire_node.runtime.reader_watch import ReaderWatch
from tests.unit.node.controller_bench import CARD, OTHER_CARD, TICK_MS, ControllerBench

STALL_MS, HANG_MS, POLL_MS, RETRY_MS = 200, 300, 10, 500
"""The defaults of tap.toml by ten."""


class HandReader:
    """A reader whose events and looks are triggered by the test."""

    looked_ms = 0

    def start(self, listener: ReaderListener) -> None:
        """It looks by hand only."""

    def end(self) -> None:
        """It looks by hand only."""


class Counter:
    """A controller bench with a hand-operated reader and its watch."""

    def __init__(self) -> None:
        self.tap, reader = ControllerBench().in_service(), HandReader()
        self.watch = ReaderWatch(reader, STALL_MS, self.hear, self.hear)
        self.reader = reader
        self.watch.card_lifted()
        self.look()

    def hear(self, make_event: EventFactory) -> None:
        self.tap.happen(make_event)

    def look(self) -> None:
        """The reader has just looked."""
        self.reader.looked_ms = monotonic_ms()
        self.watch.check_stall()

    def stall(self) -> None:
        """The reader has not looked for too long."""
        self.reader.looked_ms = monotonic_ms() - STALL_MS - 1
        self.watch.check_stall()
        assert self.tap.is_in(Phase.OUT_OF_SERVICE)
        assert Part.READER in self.tap.state.faults


@pytest.fixture
def counter() -> Counter:
    return Counter()


def free_again(tap: ControllerBench) -> bool:
    tap.wait(tap.limits.card_debounce_ms + TICK_MS)
    return tap.is_in(Phase.IDLE)


def test_a_reader_that_was_slow_with_nothing_on_it_leaves_the_tap_free(counter: Counter) -> None:
    counter.stall()
    counter.look()
    assert counter.tap.is_in(Phase.CARD_MUST_BE_REMOVED)
    assert free_again(counter.tap)
    counter.tap.lay()
    assert len(counter.tap.questions) == 1


def test_a_card_that_stayed_on_during_the_stall_must_be_removed_first(counter: Counter) -> None:
    counter.watch.card_seen(CARD)
    counter.stall()
    counter.look()
    assert not free_again(counter.tap)
    counter.watch.card_lifted()
    assert free_again(counter.tap)


def test_a_card_that_changed_during_the_stall_must_be_removed_first(counter: Counter) -> None:
    counter.watch.card_seen(CARD)
    counter.stall()
    counter.look()
    counter.watch.card_seen(OTHER_CARD)
    assert not free_again(counter.tap)
    counter.watch.card_lifted()
    assert free_again(counter.tap)


def test_a_reader_that_fails_during_a_stall_reports_its_recovery_itself(counter: Counter) -> None:
    counter.stall()
    counter.watch.reader_failed("unplugged")
    counter.look()
    assert Part.READER in counter.tap.state.faults
    counter.watch.reader_recovered()
    counter.watch.card_lifted()
    assert free_again(counter.tap)


# ── the real reader, with a source that fails ───────────────────────────────


class SlowSource:
    """Nothing lies on it; each look waits for `may_look`, or for a while."""

    def __init__(self, longest_s: float) -> None:
        self.may_look = Event()
        self.may_look.set()
        self._longest_s = longest_s

    def look(self) -> str | None:
        self.may_look.wait(self._longest_s)
        return None

    def close(self) -> None:
        """Nothing was opened."""


class Stand:
    """A tap on the bench with a polled reader, which is looked after for real time."""

    def __init__(self, open_source: Callable[[], CardSource]) -> None:
        self.tap = ControllerBench().in_service()
        self._said: list[EventFactory] = []
        self._reader = PolledReader(open_source, POLL_MS, RETRY_MS, HANG_MS)
        self._watch = ReaderWatch(self._reader, STALL_MS, self._said.append, self._said.append)
        self._reader.start(self._watch)

    def watch(self, for_s: float) -> None:
        deadline = time.monotonic() + for_s
        while time.monotonic() < deadline:
            time.sleep(0.01)
            self._watch.check_stall()
            while self._said:
                self.tap.happen(self._said.pop(0))

    def end(self) -> None:
        self._reader.end()


def test_a_look_that_takes_long_and_comes_back_leaves_the_tap_free() -> None:
    source = SlowSource(longest_s=5.0)
    stand = Stand(lambda: source)
    stand.watch(0.2)
    source.may_look.clear()
    stand.watch(0.23)
    assert Part.READER in stand.tap.state.faults
    source.may_look.set()
    stand.watch(1.0)
    stand.end()
    assert free_again(stand.tap)


def no_source() -> CardSource:
    raise ReaderBroken("no reader answers")


def hanging_source() -> CardSource:
    source = SlowSource(longest_s=5.0)
    source.may_look.clear()
    return source


@pytest.mark.parametrize("open_source", [no_source, hanging_source])
def test_retrying_a_broken_reader_does_not_make_it_count_as_working(open_source: Callable[[], CardSource]) -> None:
    stand = Stand(open_source)
    stand.watch(2.5)
    stand.end()
    assert stand.tap.state.faults == {Part.READER}
    assert not [note for note in stand.tap.all(LogLine) if "works again" in note.text]
