"""The states of a pour: every way out is taken by exactly one kind of decision, and no other way is."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapwire_contracts.reasons import AuditAction, EndReason, StopReason, SyncStatus
from tapwire_core.domain import pour_recovery
from tapwire_core.domain.actor import Actor
from tapwire_core.domain.authorization_changes import answer_question
from tapwire_core.domain.change_records import PourEnded
from tapwire_core.domain.changes import Changes
from tapwire_core.domain.closed_sets import Account
from tapwire_core.domain.money import charge
from tapwire_core.domain.policy import Policy
from tapwire_core.domain.pour_reports import CurrentTap, PourFacts, Report, SettlementFacts
from tapwire_core.domain.pours import TRANSITIONS, PourEvent, state_diagram
from tapwire_core.domain.settlement import settle_new_report
from tests.unit.core.situations import GUEST, JOURNAL, KEG, PENDING, PRICE_MINOR, TAP, VISIT, facts, pending, question

HOUSE: Final = Policy()
ARCHITECTURE: Final = Path(__file__).parents[3] / "ARCHITECTURE.md"


def pour(sync_status: SyncStatus = SyncStatus.PENDING_SYNC, balance_minor: int = 1_80, elapsed_ms: int = 10_000) -> PourFacts:
    """A pour of at most 200 ml, by a guest who has just enough for it."""
    return PourFacts(
        pour_id=PENDING,
        visit_id=VISIT,
        guest_id=GUEST,
        card_uid="04a1b2c3",
        tap_path=TAP,
        venue_id="bar",
        keg_id=KEG,
        sync_status=sync_status,
        sell_price_per_liter_minor=PRICE_MINOR,
        max_volume_ml=200,
        hold_minor=1_80,
        volume_ml=0,
        amount_minor=0,
        stock_ml=0,
        reported=False,
        refused=False,
        elapsed_ms=elapsed_ms,
        balance_minor=balance_minor,
        held_minor=1_80,
        keg_ml=30_000,
    )


def changes() -> Changes:
    """Changes that are still to be filled."""
    return Changes(tap_path=TAP, venue_id="bar", shift_id=None, actor="test")


def reported(volume_ml: int, of: PourFacts, duration_ms: int = 10_000) -> Changes:
    """The changes of a report of a volume."""
    report = Report(TAP, PENDING, "04a1b2c3", volume_ml, duration_ms, EndReason.CARD_REMOVED, 0, volume_ml)
    now = CurrentTap(venue_id="bar", shift_id=None, keg_id=KEG, keg_ml=30_000, price_minor=PRICE_MINOR)
    return settle_new_report(report, JOURNAL, SettlementFacts(tap=now, pour=of), (), HOUSE, Actor(TAP), {}).changes


def reconciled() -> Changes:
    """The changes of a reconcile."""
    filled = changes()
    pour_recovery.reconcile(pour(), 100, "no report", None, filled)
    return filled


def voided(event: PourEvent, action: AuditAction, why: StopReason) -> Changes:
    """The changes of a void."""
    filled = changes()
    pour_recovery.void(pour(), event, action, why, "no report", filled)
    return filled


def proved() -> Changes:
    """The changes of a newer question."""
    return answer_question(question(), "00", facts((), pending()), HOUSE, UUID(int=12), Actor(TAP))[1]


DECISIONS: Final[Mapping[PourEvent, Callable[[], Changes]]] = {
    PourEvent.REPORT_COVERED: lambda: reported(150, pour()),
    PourEvent.REPORT_NOT_COVERED: lambda: reported(300, pour()),
    PourEvent.REPORT_ZERO: lambda: reported(0, pour()),
    PourEvent.RECONCILED_BY_HAND: reconciled,
    PourEvent.PROVED_NEVER_STARTED: proved,
    PourEvent.UNLOCKED_BY_HAND: lambda: voided(
        PourEvent.UNLOCKED_BY_HAND, AuditAction.VISIT_FORCE_UNLOCK, StopReason.FORCE_UNLOCKED
    ),
    PourEvent.VISIT_CLOSED: lambda: voided(PourEvent.VISIT_CLOSED, AuditAction.POUR_VOIDED, StopReason.VISIT_CLOSED),
}


def test_pending_is_the_only_state_with_ways_out() -> None:
    assert {before for before, _ in TRANSITIONS} == {SyncStatus.PENDING_SYNC}
    assert set(TRANSITIONS.values()) == set(SyncStatus) - {SyncStatus.PENDING_SYNC}


def test_every_event_is_a_way_out_and_every_way_out_is_some_decisions() -> None:
    assert {event for _, event in TRANSITIONS} == set(PourEvent) == set(DECISIONS)


@pytest.mark.parametrize("event", list(PourEvent))
def test_a_decision_takes_the_way_that_the_table_names(event: PourEvent) -> None:
    (ended,) = DECISIONS[event]().ended

    assert ended.sync_status is TRANSITIONS[SyncStatus.PENDING_SYNC, event]
    assert (ended.pour_id, ended.visit_id, ended.guest_id) == (PENDING, VISIT, GUEST)


@pytest.mark.parametrize("volume_ml", [0, 4, 150, 300, 100_001])
@pytest.mark.parametrize("state", [state for state in SyncStatus if state is not SyncStatus.PENDING_SYNC])
def test_no_report_moves_a_pour_that_has_ended_nor_anybodys_money(state: SyncStatus, volume_ml: int) -> None:
    late = reported(volume_ml, pour(state, balance_minor=100_00))

    assert late.ended == []
    assert late.money == []


@pytest.mark.parametrize(("event", "volume_ml"), [(PourEvent.REPORT_COVERED, 150), (PourEvent.REPORT_ZERO, 0)])
def test_a_pour_that_a_report_ends_keeps_why_and_how_long_it_ran(event: PourEvent, volume_ml: int) -> None:
    (ended,) = DECISIONS[event]().ended

    assert ended == PourEnded(
        pour_id=PENDING,
        visit_id=VISIT,
        guest_id=GUEST,
        sync_status=TRANSITIONS[SyncStatus.PENDING_SYNC, event],
        volume_ml=volume_ml,
        amount_minor=volume_ml * PRICE_MINOR // 1_000,
        end_reason=EndReason.CARD_REMOVED,
        duration_ms=10_000,
    )


def test_the_architecture_shows_the_table_as_it_is() -> None:
    shown = re.search(r"<!-- pour states -->\s*```mermaid\n(.*?)\n```", ARCHITECTURE.read_text(encoding="utf-8"), re.DOTALL)

    assert shown is not None, f"{ARCHITECTURE.name} has no diagram after <!-- pour states -->"
    assert shown.group(1) == state_diagram()


@given(
    volume_ml=st.integers(1, 120_000),
    duration_ms=st.integers(0, 86_400_000),
    elapsed_ms=st.integers(-86_400_000, 86_400_000),
    balance_minor=st.integers(1_80, 1_000_000_00),
)
def test_a_guest_never_pays_for_more_than_the_grant_and_the_tolerance(
    volume_ml: int, duration_ms: int, elapsed_ms: int, balance_minor: int
) -> None:
    of = pour(balance_minor=balance_minor, elapsed_ms=elapsed_ms)

    found = reported(volume_ml, of, duration_ms)

    paid_minor = sum(moved.amount_minor for moved in found.money if moved.debit_account is Account.GUEST)
    assert paid_minor <= charge(of.max_volume_ml + HOUSE.overpour_tolerance_ml, PRICE_MINOR)
    if found.ended:
        assert sum(moved.volume_ml for moved in found.stock) == volume_ml
        longest_ms = elapsed_ms + 5_000 if elapsed_ms >= 0 else HOUSE.max_duration_ms
        assert volume_ml <= HOUSE.max_flow_ml_per_s * (min(duration_ms, longest_ms) + 5_000) // 1000
