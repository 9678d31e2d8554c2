"""A node's memory card is set back to an older image, or two nodes have one journal: the core knows better than the card."""

from uuid import UUID, uuid4

import msgspec
from msgspec.structs import replace

from tapwire_contracts.messages import PourAuthorized, PourDenied, RenewJournal
from tapwire_contracts.reasons import DenyReason, EndReason
from tapwire_core.services.flows import record_flow
from tapwire_core.services.nodes import note_state
from tests.venue import KEG_ML, RAW, Guest, SimulatedTap, Venue


def set_back(tap: SimulatedTap, seq: int, odometer_ml: int) -> SimulatedTap:
    """The same tap after its card was set back: it starts again, with an older journal."""
    return SimulatedTap(tap.path, journal_id=tap.journal_id, seq=seq, odometer_ml=odometer_ml)


async def pour(venue: Venue, guest: Guest, volume_ml: int, tap: SimulatedTap | None = None) -> PourAuthorized:
    """A pour from its question to its verdict."""
    granted = await venue.grant(guest, tap)
    await venue.report(granted, volume_ml, tap)
    return granted


async def renewals(venue: Venue) -> list[UUID]:
    """The journals that the tap was told to renew."""
    rows = await venue.db.pool.fetch("SELECT payload FROM command_outbox WHERE payload LIKE '%renew_journal%' ORDER BY command_id")
    return [msgspec.json.decode(row["payload"], type=RenewJournal).journal_id for row in rows]


async def test_the_first_question_of_a_set_back_journal_raises_and_renews_it(venue: Venue) -> None:
    guest = await venue.guest(balance_minor=5_000_00)
    for _ in range(3):
        await pour(venue, guest, 100)
    older = set_back(venue.tap, seq=1, odometer_ml=100)

    denied = await venue.ask(older.question(guest.card_uid))

    assert isinstance(denied, PourDenied)
    assert denied.reason == DenyReason.STALE_REQUEST
    (incident,) = await venue.incidents("journal_set_back")
    assert incident["tap_path"] == str(venue.tap.path)
    assert await renewals(venue) == [venue.tap.journal_id]

    older.journal_id, older.seq = uuid4(), 0
    await pour(venue, guest, 50, older)

    assert await venue.keg_ml() == KEG_ML - 350
    assert len(await venue.incidents("journal_set_back")) == 1
    assert await venue.incidents("odometer_rewound") == []
    await venue.books_balance()


async def test_an_old_question_that_nobody_else_asked_proves_nothing_until_its_boot_names_a_newer_config(venue: Venue) -> None:
    guest = await venue.guest(balance_minor=5_000_00)
    venue.tap.seq = 9
    await pour(venue, guest, 100)
    older = set_back(venue.tap, seq=1, odometer_ml=0)
    revision = await venue.db.pool.fetchval("SELECT config_revision FROM taps")

    await venue.ask(older.question(guest.card_uid))
    await note_state(venue.db, older.path, replace(older.state(), config_revision=revision))

    assert await venue.incidents("journal_set_back") == []

    await note_state(venue.db, older.path, replace(older.state(connection=2), config_revision=revision + 1))

    assert len(await venue.incidents("journal_set_back")) == 1
    assert await renewals(venue) == [venue.tap.journal_id]


async def test_flow_below_the_old_odometer_is_booked_as_it_flowed(venue: Venue) -> None:
    guest = await venue.guest(balance_minor=5_000_00)
    venue.tap.odometer_ml = 0
    await venue.idle()
    venue.tap.odometer_ml = 3
    await venue.idle()
    await pour(venue, guest, 300)
    older = set_back(venue.tap, seq=0, odometer_ml=0)
    flow = older.flow(200)

    await record_flow(venue.db, older.path, flow, RAW)
    await record_flow(venue.db, older.path, flow, RAW)
    await note_state(venue.db, older.path, older.state())

    assert await venue.keg_ml() == KEG_ML - 3 - 300 - 200
    assert len(await venue.incidents("journal_set_back")) == 1
    assert await venue.incidents("odometer_rewound") == []
    await venue.books_balance()


async def test_a_node_that_forgot_a_pour_can_not_say_that_nothing_flowed(venue: Venue) -> None:
    guest = await venue.guest(balance_minor=5_000_00)
    await pour(venue, guest, 100)
    running = await venue.grant(guest)
    older = set_back(venue.tap, seq=1, odometer_ml=0)
    forgot = replace(older.report(running.pour_id, guest.card_uid, 0), end_reason=EndReason.NEVER_STARTED)

    verdict = await venue.deliver(forgot)

    assert verdict.outcome == "rejected_invalid_report"
    assert (await venue.pour(running.pour_id))["sync_status"] == "pending_sync"
    assert len(await venue.incidents("journal_set_back")) == 1


async def test_a_set_back_question_voids_no_pour_that_its_card_forgot(venue: Venue) -> None:
    guest, other = await venue.guest(balance_minor=5_000_00), await venue.guest(balance_minor=5_000_00)
    running = await venue.grant(guest)
    listed = venue.tap.question(other.card_uid, unsettled=(running.pour_id,))
    await venue.ask(listed)
    older = set_back(venue.tap, seq=1, odometer_ml=0)

    await venue.ask(older.question(other.card_uid))

    assert (await venue.pour(running.pour_id))["sync_status"] == "pending_sync"


async def test_a_state_of_a_journal_that_was_set_back_renews_it_again(venue: Venue) -> None:
    guest = await venue.guest(balance_minor=5_000_00)
    await pour(venue, guest, 100)
    older = set_back(venue.tap, seq=0, odometer_ml=0)
    await venue.ask(older.question(guest.card_uid))

    await venue.idle(older)

    assert await renewals(venue) == [venue.tap.journal_id] * 2
    assert (await venue.incidents("journal_set_back"))[0]["occurrences"] == 1
