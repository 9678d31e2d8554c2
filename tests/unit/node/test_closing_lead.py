"""The closing lead: it is learned from tails, never pours more than without it, and loses nothing."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapwire_contracts.reasons import EndReason
from tapwire_node.controller.closing_lead import REMEMBERED_CLOSINGS, FlowRate, closing_lead_ml, is_cap_reached, learn_closing
from tapwire_node.controller.effects import LogLine, WriteReport
from tapwire_node.controller.events import JournalOpened, Ticked
from tapwire_node.controller.flow_facts import Closing
from tapwire_node.controller.limits import Limits
from tests.unit.node.controller_bench import ControllerBench

CAP_ML = 300


class Line(ControllerBench):
    """A bench whose valve takes a while to close; the flow meanwhile is metered."""

    def __init__(self, latency_ms: int, flow_ml_per_s: int, tick_ms: int = 20) -> None:
        super().__init__()
        self.latency_ms, self.flow_ml_per_s, self.tick_ms = latency_ms, flow_ml_per_s, tick_ms
        self.in_service()
        self._closed_ms: int | None = None
        self._thousandths = 0

    def pass_tick(self) -> None:
        if self.state.valve_open:
            self._closed_ms = None
        elif self._closed_ms is None:
            self._closed_ms = self.now_ms
        self.now_ms += self.tick_ms
        if self._closed_ms is None:
            flowing_ms = self.tick_ms
        else:
            flowing_ms = max(0, min(self.tick_ms, self._closed_ms + self.latency_ms - (self.now_ms - self.tick_ms)))
        pulses, self._thousandths = divmod(self._thousandths + flowing_ms * self.flow_ml_per_s, 1_000)
        self.pulses += pulses
        self.happen(Ticked)

    def until(self, holds: Callable[[], bool]) -> None:
        while not holds():
            self.pass_tick()

    def pour_to_the_cap(self, cap_ml: int = CAP_ML) -> WriteReport:
        """One pour up to the cap, its report, and the card removed."""
        before = len(self.all(WriteReport))
        grant = self.pour(max_volume_ml=cap_ml)
        self.until(lambda: len(self.all(WriteReport)) > before)
        self.settle(grant.pour_id)
        self.lift()
        self.until(lambda: self.state.phase.value == "IDLE")
        return self.all(WriteReport)[-1]


def closing(report: WriteReport) -> Closing:
    assert report.report.closing is not None
    return report.report.closing


def test_the_first_pour_overshoots_and_the_next_ones_meet_the_cap() -> None:
    tap = Line(latency_ms=100, flow_ml_per_s=60)
    first, second = closing(tap.pour_to_the_cap()), closing(tap.pour_to_the_cap())

    assert first.latency_ms is not None
    assert 80 <= first.latency_ms <= 120
    assert first.over_ml is not None
    assert first.over_ml >= first.tail_ml >= 5
    assert second.over_ml is not None
    assert -1 <= second.over_ml <= 2
    assert second.tail_ml >= 5, "the tail is counted all the same"


def test_each_pour_reports_its_tail() -> None:
    tap = Line(latency_ms=100, flow_ml_per_s=60)
    tap.pour_to_the_cap()
    closed = closing(tap.all(WriteReport)[-1])
    said = f"{closed.tail_ml} ml after closing, {closed.over_ml:+d} ml against the cap, the valve took {closed.latency_ms} ms"
    assert any(said in note.text for note in tap.all(LogLine))


def test_the_lead_follows_the_rate_and_not_the_last_volume() -> None:
    tap = Line(latency_ms=100, flow_ml_per_s=60)
    tap.pour_to_the_cap()
    tap.flow_ml_per_s = 30
    over_ml = closing(tap.pour_to_the_cap()).over_ml
    assert over_ml is not None
    assert -1 <= over_ml <= 1


@pytest.mark.parametrize("pulses_per_liter", [450, 1_000])
def test_over_a_thousand_pours_nothing_drifts_and_every_pulse_is_in_a_report(pulses_per_liter: int) -> None:
    tap = Line(latency_ms=100, flow_ml_per_s=100, tick_ms=50)
    tap.config(pulses_per_liter=pulses_per_liter, revision=2)
    overshoots = []
    for _ in range(1_000):
        overshoots.append(closing(tap.pour_to_the_cap(60)).over_ml or 0)
        tap.effects = [*tap.all(WriteReport)[-2:]]

    last = tap.all(WriteReport)[-1].report.message
    assert last.odometer_to_ml == tap.pulses * 1_000 // pulses_per_liter
    assert set(tap.state.closings) <= set(range(80, 121))
    one_tick_and_one_pulse_ml = 5 + 3
    assert overshoots[0] >= 10
    assert max(overshoots[1:]) <= one_tick_and_one_pulse_ml


@given(
    closings=st.lists(st.integers(0, 1_000), max_size=REMEMBERED_CLOSINGS).map(tuple),
    flow_ml_per_s=st.integers(1, 500),
    cap_ml=st.integers(1, 2_000),
)
def test_with_a_lead_no_pour_closes_later_than_without_and_each_lets_something_flow(
    closings: tuple[int, ...], flow_ml_per_s: int, cap_ml: int
) -> None:
    limits, flow_rate, ml = Limits(), FlowRate.begin(0, 0), 0
    for now_ms in range(0, 600_000, 20):
        ml = flow_ml_per_s * now_ms // 1_000
        lead = closing_lead_ml(closings, flow_rate, limits, now_ms, ml)
        assert 0 <= lead <= limits.closing_lead_max_ml
        if is_cap_reached(ml, cap_ml, lead):
            assert ml >= 1
            assert ml >= cap_ml - limits.closing_lead_max_ml
            return
        assert ml < cap_ml
        flow_rate = flow_rate.sample(now_ms, ml)


def test_a_valve_that_does_not_close_and_a_trickle_are_not_learned_from() -> None:
    stuck = Line(latency_ms=2_500, flow_ml_per_s=60)
    stuck.pour_to_the_cap()
    assert stuck.state.closings == ()

    trickle = Line(latency_ms=100, flow_ml_per_s=4)
    trickle.pour_to_the_cap(cap_ml=20)
    assert trickle.state.closings == ()


def test_one_odd_closing_changes_nothing() -> None:
    limits, flow_rate = Limits(), FlowRate(0, 0, 250, 25)
    assert closing_lead_ml((100, 100, 900), flow_rate, limits, 300, 30) == closing_lead_ml((100,), flow_rate, limits, 300, 30) == 10


def test_the_last_closings_are_remembered_over_a_restart() -> None:
    tap = ControllerBench()
    tap.happen(JournalOpened, recovered=tap.recovered(closings=(90, 100, 110)))
    assert tap.state.closings == (90, 100, 110)
    assert learn_closing((1, 2, 3, 4, 5), Closing(tail_ml=6, over_ml=None, latency_ms=6)) == (2, 3, 4, 5, 6)
    assert learn_closing((1,), Closing(tail_ml=6, over_ml=None, latency_ms=None)) == (1,)


def test_a_pour_ended_by_the_guest_is_learned_from_but_has_no_overshoot() -> None:
    tap = Line(latency_ms=100, flow_ml_per_s=60)
    tap.pour(max_volume_ml=CAP_ML)
    for _ in range(50):
        tap.pass_tick()
    tap.lift()
    tap.until(lambda: bool(tap.all(WriteReport)))
    report = tap.all(WriteReport)[-1]
    assert report.report.message.volume_ml == tap.pulses
    assert closing(report).over_ml is None
    assert tap.reports[-1].end_reason is EndReason.CARD_REMOVED
    assert len(tap.state.closings) == 1
