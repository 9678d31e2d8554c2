"""The hot statements find their rows by indexes: on tables with many rows, the database itself counts no sequential scan.

`pg_stat_xact_user_tables` counts scans as they happen, those inside functions included. So what is looked at are the plans that
ran, at first and when the connection has been in use for long.
"""

from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from inspect import unwrap
from typing import Any, Final
from uuid import uuid4

import msgspec
import pytest

from tapwire_core.db.engine import Database
from tapwire_core.db.store import Store
from tapwire_core.domain.actor import Actor
from tapwire_core.domain.authorization import Question
from tapwire_core.domain.closed_sets import PaymentMethod
from tapwire_core.domain.policy import Policy
from tapwire_core.domain.serving_limits import VolumeLimit
from tapwire_core.services import cards, money, nodes, pour_recovery, pours, venues, visits
from tapwire_core.services.flows import record_flow
from tapwire_core.services.pour_batches import LOCK_TIMEOUT_MS
from tapwire_core.services.pours import report_of_node
from tapwire_demo.postgres import EmbeddedPostgres
from tests.unit.core.bench import flow_of
from tests.unit.core.crowd import CROWDED, fill
from tests.venue import OPERATOR, RAW, Guest, Venue

ENOUGH_FOR_A_GENERIC_PLAN: Final = 8
"""Runs on one connection: after five, PostgreSQL may keep one plan for all values."""
MOST_PAGES: Final = 100
"""Pages of one index that a use case may ask for, again and again the same ones too; an index of the crowd has more."""


@pytest.fixture(scope="module")
async def crowd(postgres: EmbeddedPostgres, migrated_database: str) -> AsyncIterator[Venue]:
    """A venue that has been open for years."""
    url = await postgres.clone_database(migrated_database, "crowd")
    async with (
        Database.open(postgres.application_url_of("crowd"), Policy()) as db,
        Database.open(url, Policy(), pool_size=1) as owner_db,
    ):
        venue = await Venue.open(db)
        await fill(venue, owner_db)
        yield venue
    await postgres.drop_database("crowd")


async def grant(venue: Venue, ann: Guest, store: Store) -> None:
    """A question that is granted."""
    await _ask(venue, ann, store)


async def grant_after_one_that_never_started(venue: Venue, ann: Guest, store: Store) -> None:
    """A question that proves an older pour never started."""
    await _ask(venue, ann, store)
    await _ask(venue, ann, store)


async def grant_under_a_limit(venue: Venue, ann: Guest, store: Store) -> None:
    """A question at a venue with a serving limit, after another pour and a re-arm."""
    await unwrap(venues.change_venue)(store, OPERATOR, venue.venue_id, serving_limit=VolumeLimit(limit_ml=900, window_minutes=720))
    await _settle(venue, store, venue.tap.report(await _ask(venue, ann, store), ann.card_uid, 50))
    await unwrap(visits.rearm)(store, OPERATOR, ann.visit_id, "looked at")
    await _ask(venue, ann, store)


async def settlement(venue: Venue, ann: Guest, store: Store) -> None:
    """A report that is charged, and then is late."""
    pour_id = await _ask(venue, ann, store)
    for volume_ml in (50, 80):
        await _settle(venue, store, venue.tap.report(pour_id, ann.card_uid, volume_ml))


async def rejection(venue: Venue, ann: Guest, store: Store) -> None:
    """A report far over what the guest can pay."""
    await _settle(venue, store, venue.tap.report(await _ask(venue, ann, store), ann.card_uid, 2_000))


async def report_of_nobody(venue: Venue, ann: Guest, store: Store) -> None:
    """A report without an authorisation."""
    await _settle(venue, store, venue.tap.report(uuid4(), ann.card_uid, 50))


async def leak(venue: Venue, ann: Guest, store: Store) -> None:
    """A flow through a closed valve."""
    flow = flow_of(venue.tap, venue.tap.odometer_ml, venue.tap.odometer_ml + 30)
    await unwrap(record_flow)(store, venue.tap.path, flow, RAW)


async def decisions_made_together(venue: Venue, ann: Guest, store: Store) -> None:
    """A report of one tap, and questions of two others."""
    report = venue.tap.report(await _ask(venue, ann, store), ann.card_uid, 50)
    guests = [await venue.guest(balance_minor=100_00) for _ in range(2)]
    others = [await venue.another_tap(f"other-{uuid4().hex[:8]}") for _ in guests]
    asked = [venue.asks(tap.question(guest.card_uid), tap) for tap, guest in zip(others, guests, strict=True)]
    answers = await unwrap(pours.make_decisions)(store, [venue.reports(report), *asked], LOCK_TIMEOUT_MS)
    assert all("pour_settled" in answer.payload or "pour_authorized" in answer.payload for answer in answers)


async def reconcile(venue: Venue, ann: Guest, store: Store) -> None:
    """An operator settles a pour by hand."""
    await _ask(venue, ann, store)
    await unwrap(pour_recovery.reconcile_pour)(store, OPERATOR, ann.visit_id, volume_ml=50, reason="no report")


async def unlock_and_close(venue: Venue, ann: Guest, store: Store) -> None:
    """An operator closes a visit with its pour."""
    await _ask(venue, ann, store)
    await unwrap(visits.void_and_close_visit)(store, OPERATOR, ann.visit_id, None, "the guest left")


async def lost_card(venue: Venue, ann: Guest, store: Store) -> None:
    """A card is lost while it pours."""
    await _ask(venue, ann, store)
    await unwrap(cards.report_card_lost)(store, OPERATOR, ann.card_uid, "stolen")


async def top_up(venue: Venue, ann: Guest, store: Store) -> None:
    """A guest pays."""
    await unwrap(money.top_up)(store, OPERATOR, ann.guest_id, 5_00, PaymentMethod.CASH, venue.venue_id)


async def sweep(venue: Venue, ann: Guest, store: Store) -> None:
    """The core looks for pours without a report."""
    await _ask(venue, ann, store)
    await unwrap(nodes.ask_for_reports)(store, 0)


async def node_state(venue: Venue, ann: Guest, store: Store) -> None:
    """A node says that it is idle, and its odometer is checked."""
    await unwrap(nodes.note_state)(store, venue.tap.path, venue.tap.state())


UseCase = Callable[[Venue, Guest, Store], Awaitable[None]]
USE_CASES: Final[tuple[UseCase, ...]] = (
    grant,
    grant_after_one_that_never_started,
    grant_under_a_limit,
    settlement,
    rejection,
    report_of_nobody,
    leak,
    decisions_made_together,
    reconcile,
    unlock_and_close,
    lost_card,
    top_up,
    sweep,
    node_state,
)


@pytest.mark.parametrize("use_case", USE_CASES, ids=lambda use_case: use_case.__name__)
async def test_no_decision_reads_a_whole_table_or_a_whole_index(crowd: Venue, use_case: UseCase) -> None:
    ann = await crowd.guest(balance_minor=100_00)
    async with crowd.db.pool.acquire() as connection:
        for _ in range(ENOUGH_FOR_A_GENERIC_PLAN):
            transaction = connection.transaction()
            await transaction.start()
            before, pages_before = await sequential_scans(connection), await index_pages(connection)

            await use_case(crowd, ann, Store(connection, crowd.db.policy))

            after, pages = await sequential_scans(connection), await index_pages(connection) - pages_before
            await transaction.rollback()
            assert after - before == {}
            assert {name: count for name, count in pages.items() if count > MOST_PAGES} == {}


async def test_a_sequential_scan_would_be_counted(crowd: Venue) -> None:
    async with crowd.db.transaction() as store:
        before = await sequential_scans(store.connection)

        await store.connection.fetchval("SELECT count(*) FROM pours WHERE duration_ms = 1")

        assert await sequential_scans(store.connection) - before == {"pours": 1}


async def test_an_index_that_is_read_from_end_to_end_would_be_counted(crowd: Venue) -> None:
    async with crowd.db.transaction() as store:
        await store.connection.execute("SET LOCAL enable_seqscan = off")
        before = await index_pages(store.connection)

        await store.connection.fetchval("SELECT count(*) FROM odometer_stretches WHERE tap_path = $1", str(crowd.tap.path))

        assert max((await index_pages(store.connection) - before).values()) > MOST_PAGES


async def sequential_scans(connection: Any) -> Counter[str]:
    """How often this connection has read each crowded table from end to end; the counts of earlier transactions may still be in."""
    rows = await connection.fetch(
        "SELECT relname, seq_scan FROM pg_stat_xact_user_tables WHERE seq_scan > 0 AND relname = ANY($1)", list(CROWDED)
    )
    return Counter(dict(rows))


async def index_pages(connection: Any) -> Counter[str]:
    """How many pages of each index of the crowded tables this connection has asked for, with the same reservation."""
    rows = await connection.fetch(
        """SELECT indexrelid::regclass::text, pg_stat_get_xact_blocks_fetched(indexrelid)::int
        FROM pg_index WHERE indrelid = ANY($1::regclass[])""",
        list(CROWDED),
    )
    return Counter(dict(rows))


async def _ask(venue: Venue, ann: Guest, store: Store) -> Any:
    path, pour_id = str(venue.tap.path), uuid4()
    question = Question.of_node(path, venue.tap.question(ann.card_uid))
    answer = await unwrap(pours.authorize_pour)(store, question, "00" * 32, Actor(path), pour_id)
    assert str(pour_id) in answer.payload
    return pour_id


async def _settle(venue: Venue, store: Store, report: Any) -> None:
    path = str(venue.tap.path)
    content = msgspec.to_builtins(report)
    await unwrap(pours.settle_report)(store, report_of_node(path, report), report.journal_id, Actor(path), content, RAW)
