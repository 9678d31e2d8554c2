"""What a device's own word may cost a guest: at most the grant and the tolerance, whatever it states."""

from typing import Final

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tapwire_contracts.reasons import EndReason, IncidentKind, SyncStatus
from tapwire_core.domain.actor import Actor
from tapwire_core.domain.changes import Changes
from tapwire_core.domain.closed_sets import Account, StockKind
from tapwire_core.domain.incidents import unpaid_minor
from tapwire_core.domain.money import charge
from tapwire_core.domain.policy import Policy
from tapwire_core.domain.pour_reports import CLOCK_GRACE_MS, FLOW_GRACE_MS, CurrentTap, PourFacts, Report, SettlementFacts
from tapwire_core.domain.settlement import settle_new_report
from tests.unit.core.situations import JOURNAL, KEG, PENDING, PRICE_MINOR, TAP
from tests.unit.core.test_pour_states import pour

HOUSE: Final = Policy()

grants_ml = st.integers(1, 1_000)
volumes_ml = st.integers(0, 2 * HOUSE.max_report_ml) | st.integers(0, 1_200)
durations_ms = st.integers(0, 10_000_000)
balances_minor = st.integers(0, 10_000_00)
elapsed_ms = st.integers(-86_400_000, 86_400_000) | st.integers(0, 600_000)


def _of(max_volume_ml: int, beyond_minor: int, elapsed: int) -> PourFacts:
    """A pour with this grant, by a guest who has so much beyond its hold."""
    hold_minor = charge(max_volume_ml, PRICE_MINOR)
    return replace(
        pour(),
        max_volume_ml=max_volume_ml,
        hold_minor=hold_minor,
        held_minor=hold_minor,
        balance_minor=hold_minor + beyond_minor,
        elapsed_ms=elapsed,
    )


def _settled(of: PourFacts, volume_ml: int, duration_ms: int) -> Changes:
    report = Report(TAP, PENDING, of.card_uid, volume_ml, duration_ms, EndReason.CARD_REMOVED, 0, volume_ml)
    now = CurrentTap(venue_id="bar", shift_id=None, keg_id=KEG, keg_ml=30_000, price_minor=PRICE_MINOR)
    return settle_new_report(report, JOURNAL, SettlementFacts(tap=now, pour=of), (), HOUSE, Actor(TAP), {}).changes


@given(grants_ml, volumes_ml, durations_ms, balances_minor, elapsed_ms)
def test_no_report_costs_more_than_the_grant_and_the_tolerance(
    grant_ml: int, volume_ml: int, duration_ms: int, beyond_minor: int, elapsed: int
) -> None:
    of = _of(grant_ml, beyond_minor, elapsed)

    changes = _settled(of, volume_ml, duration_ms)

    paid_minor = sum(moved.amount_minor for moved in changes.money if moved.debit_account is Account.GUEST)
    within_ml = grant_ml + HOUSE.overpour_tolerance_ml
    assert paid_minor <= charge(min(volume_ml, within_ml), PRICE_MINOR)
    if volume_ml > within_ml:
        assert paid_minor <= of.hold_minor


@given(grants_ml, volumes_ml, durations_ms, balances_minor, elapsed_ms)
def test_a_plausible_report_moves_its_whole_volume_and_its_rest_is_owed_by_an_incident(
    grant_ml: int, volume_ml: int, duration_ms: int, beyond_minor: int, elapsed: int
) -> None:
    changes = _settled(_of(grant_ml, beyond_minor, elapsed), volume_ml, duration_ms)

    if not changes.ended:
        assert not changes.stock
        return
    (ended,) = changes.ended
    assert sum(moved.volume_ml for moved in changes.stock) == volume_ml
    if ended.sync_status is not SyncStatus.SYNCED:
        return
    overpours = [raised for raised in changes.raised if raised.kind is IncidentKind.OVERPOUR]
    assert bool(overpours) == (volume_ml > grant_ml + HOUSE.overpour_tolerance_ml)
    assert ended.amount_minor + ended.loss_minor == charge(ended.volume_ml, PRICE_MINOR)
    for raised in overpours:
        assert ended.volume_ml == grant_ml
        assert sum(moved.volume_ml for moved in changes.stock if moved.kind is StockKind.OVERPOUR) == volume_ml - grant_ml
        owed_minor = unpaid_minor(raised.kind, raised.details, ended.amount_minor)
        assert owed_minor == charge(volume_ml, PRICE_MINOR) - charge(grant_ml, PRICE_MINOR)


@given(st.integers(0, 100_000), durations_ms, st.integers(-86_400_000, 86_400_000))
def test_a_duration_counts_only_as_far_as_the_database_saw_it_pass(volume_ml: int, duration_ms: int, elapsed: int) -> None:
    changes = _settled(_of(1_000, 10_000_00, elapsed), volume_ml, duration_ms)

    longest_ms = elapsed + CLOCK_GRACE_MS if elapsed >= 0 else HOUSE.max_duration_ms
    most_ml = HOUSE.max_flow_ml_per_s * (min(duration_ms, longest_ms) + FLOW_GRACE_MS) // 1000
    assert bool(changes.ended) == (volume_ml <= most_ml)
