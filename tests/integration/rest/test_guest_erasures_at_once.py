"""An erasure and what comes at the same moment: one is done first, and the other knows it."""

import asyncio
from typing import Any

import pytest

from tapwire_contracts.reasons import Resolution
from tapwire_core.domain.closed_sets import PaymentMethod
from tapwire_core.errors import Refused
from tapwire_core.services import cards, guest_erasures, guests, incidents, money, visits
from tests.venue import OPERATOR, Guest, Venue


@pytest.mark.parametrize("beside", ["check-in", "top-up", "card", "change", "late report", "grant"])
async def test_of_an_erasure_and_what_comes_at_once_one_is_done_and_the_other_refused(venue: Venue, beside: str) -> None:
    for turn in range(6):
        guest = await venue.guest(balance_minor=100_00 if beside in ("late report", "grant") else 0)
        pour = await venue.grant(guest) if beside == "late report" else None
        report = venue.tap.report(pour.pour_id, guest.card_uid, 100) if pour else None
        if report:
            await venue.deliver(report)
        if beside != "grant":
            await visits.close_visit(venue.db, OPERATOR, guest.visit_id)
        if beside == "late report":
            await money.refund(venue.db, OPERATOR, guest.guest_id, 50_00, PaymentMethod.CASH, "bye", "bar")
        done_by_erasing, done_beside = await asyncio.gather(
            attempt(guest_erasures.erase_guest(venue.db, OPERATOR, guest.guest_id, "x")),
            alongside(venue, beside, guest, turn, report),
        )

        names = await venue.db.pool.fetchval("SELECT first_name FROM guests WHERE guest_id = $1", guest.guest_id)
        if beside == "grant":
            assert (done_by_erasing, done_beside, names) == ("guest_not_settled", "allow", "Ann")
            await venue.idle()
        elif beside == "late report":
            assert done_beside == "audit_late_recorded"
            assert (done_by_erasing, names) in ((None, None), ("guest_not_settled", "Ann"))
        elif beside in ("card", "change"):
            # neither keeps a guest from being erased: the erasure is done before or after
            assert (done_by_erasing, names) == (None, None)
            assert done_beside in (None, "guest_erased")
        else:
            assert (done_by_erasing, done_beside) in ((None, "guest_erased"), ("guest_not_settled", None))
            assert names == (None if done_by_erasing is None else "Ann")
        held = await venue.db.pool.fetchval("SELECT count(*) FROM cards WHERE guest_id = $1", guest.guest_id)
        assert held == 0 if done_by_erasing is None else held >= 1
    await venue.books_balance()


@pytest.mark.parametrize("resolution", [Resolution.CHARGED, Resolution.CORRECTED])
async def test_a_resolution_beside_an_erasure_moves_no_money_of_an_erased_guest(venue: Venue, resolution: Resolution) -> None:
    guest = await venue.guest(balance_minor=50_00)
    pour = await venue.grant(guest)
    await venue.report(pour, 100)
    await venue.report(pour, 130)
    await visits.close_visit(venue.db, OPERATOR, guest.visit_id)
    [incident] = await venue.incidents("late_mismatch")

    refused, _ = await asyncio.gather(
        attempt(guest_erasures.erase_guest(venue.db, OPERATOR, guest.guest_id, "x")),
        attempt(incidents.resolve_incident(venue.db, OPERATOR, incident["incident_id"], resolution=resolution, comment="x")),  # type: ignore[arg-type]
    )

    balance = (await venue.balance(guest))[0]
    assert refused in (None, "guest_not_settled")
    assert balance == 0
    await venue.books_balance()


async def attempt(work: Any) -> str | None:
    """Do it; the refusal's code, or None."""
    try:
        await work
    except Refused as refused:
        return refused.code
    return None


async def alongside(venue: Venue, beside: str, guest: Guest, turn: int, report: Any) -> str | None:
    """What comes at the same time."""
    db, guest_id, new_card = venue.db, guest.guest_id, f"04b{turn:05x}"
    match beside:
        case "check-in":
            return await attempt(visits.open_and_assign_card(db, OPERATOR, "bar", guest_id, guest.card_uid))
        case "top-up":
            return await attempt(money.top_up(db, OPERATOR, guest_id, 5_00, PaymentMethod.CASH, "bar"))
        case "card":
            return await attempt(cards.bind_card(db, OPERATOR, guest_id, new_card))
        case "change":
            return await attempt(guests.change_guest(db, OPERATOR, guest_id, first_name="Zoe"))
        case "late report":
            return (await venue.deliver(venue.tap.report(report.pour_id, guest.card_uid, 130))).outcome
        case _:
            answer = await venue.ask(venue.tap.question(guest.card_uid))
            return "allow" if hasattr(answer, "pour_id") else str(answer)
