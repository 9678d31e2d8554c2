"""The guest's own page: its secret address, what it shows, and what it withholds."""

from uuid import UUID

import pytest

from tapwire_core.db.engine import Database
from tapwire_core.domain.actor import Actor
from tapwire_core.errors import NotFound
from tapwire_core.services import guest_pages
from tests.venue import Venue

STAFF = Actor("ann")


async def whose(db: Database, token: str) -> UUID:
    """The visit of a token."""
    async with db.transaction() as store:
        return (await guest_pages.find_guest(store, token)).visit_id


async def test_each_visit_gets_a_page_whose_token_only_the_seal_tells(db: Database, venue: Venue) -> None:
    ann, bob = await venue.guest(), await venue.guest()

    pages = [await guest_pages.show_page(db, guest.visit_id) for guest in (ann, bob)]

    tokens = [page.token for page in pages]
    assert [len(token) for token in tokens] == [guest_pages.TOKEN_LENGTH] * 2
    assert tokens[0] != tokens[1]
    assert [await whose(db, token) for token in tokens] == [ann.visit_id, bob.visit_id]
    assert await guest_pages.show_page(db, ann.visit_id) == pages[0]
    kept = str([dict(row) for row in await db.pool.fetch("SELECT * FROM guest_pages")])
    assert not any(token in kept for token in tokens)


async def test_a_renewed_page_ends_the_old_address_at_once(db: Database, venue: Venue) -> None:
    ann = await venue.guest()
    before = await guest_pages.show_page(db, ann.visit_id)

    after = await guest_pages.renew_page(db, STAFF, ann.visit_id)

    with pytest.raises(NotFound):
        await whose(db, before.token)
    assert await whose(db, after.token) == ann.visit_id
    assert await venue.audited("guest_page_renewed") == 1


async def test_the_pages_of_an_erased_guest_end_for_good(db: Database, venue: Venue) -> None:
    ann, bob = await venue.guest(), await venue.guest()
    tokens = [(await guest_pages.show_page(db, guest.visit_id)).token for guest in (ann, bob)]

    async with db.transaction() as store:
        await guest_pages.end_pages_of(store, ann.guest_id)

    with pytest.raises(NotFound):
        await whose(db, tokens[0])
    with pytest.raises(guest_pages.GuestPageEnded):
        await guest_pages.show_page(db, ann.visit_id)
    with pytest.raises(guest_pages.GuestPageEnded):
        await guest_pages.renew_page(db, STAFF, ann.visit_id)
    assert await whose(db, tokens[1]) == bob.visit_id


async def test_a_visit_of_before_gets_its_page_when_it_is_asked_for(db: Database, venue: Venue) -> None:
    ann = await venue.guest()
    await db.pool.execute("DELETE FROM guest_pages")

    page = await guest_pages.show_page(db, ann.visit_id)

    assert await whose(db, page.token) == ann.visit_id
    assert await guest_pages.show_page(db, ann.visit_id) == page
