"""A guest's own page: its secret address, made with each visit (docs/SYSTEM.md, "The guest's page").

The token is in the address alone. The database has its hash, by which it is found, and its seal, by which staff see the address
again; the clear token never travels to it, so no log of its statements has it either. The key that seals is derived from random
bytes of the database and, where it is set, `guest_page_key` of the settings, which is in no backup of the database.
"""

import secrets
from datetime import datetime
from typing import Final
from uuid import UUID

from msgspec import Struct

from tapwire_contracts.reasons import AuditAction
from tapwire_core.db.engine import use_case
from tapwire_core.db.store import Store
from tapwire_core.db.writes import guest_pages as writes
from tapwire_core.db.writes.guest_pages import GuestOfPage, KeptPage
from tapwire_core.db.writes.visits import lock_visit
from tapwire_core.domain.actor import Actor
from tapwire_core.errors import NotFound, Refused
from tapwire_core.services.guests import require_guest_of_visit
from tapwire_core.services.sealing import seal, unseal
from tapwire_core.services.sessions import hash_token

TOKEN_BYTES: Final = 24
"""192 random bits: 32 letters, so that the QR code stays coarse enough for a receipt's printer."""
TOKEN_LENGTH: Final = 32


class GuestPageEnded(Refused):
    """The page ended: 24 hours after its visit, or with the guest's personal data."""

    code = "guest_page_ended"


class GuestPageAddress(Struct, frozen=True):
    """A page's token, and the moment from which it opens nothing; null while the visit is active."""

    token: str
    expires_at: datetime | None


async def make_page(store: Store, visit_id: UUID) -> str:
    """Give a visit that was just opened, or is locked, a page; returns its token. It replaces the one that it had."""
    token = secrets.token_urlsafe(TOKEN_BYTES)
    await writes.keep_token(store, visit_id, hash_token(token), seal(await _sealing_key(store), token))
    return token


@use_case
async def show_page(store: Store, visit_id: UUID) -> GuestPageAddress:
    """The address of a visit's page, made now for a visit that has none; raises `NotFound` and `GuestPageEnded`."""
    page = await _require_page(store, visit_id)
    token = await _read_token(store, page)
    if token is None:
        await lock_visit(store, visit_id)
        # another reader may have made it while this one waited
        page = await _require_page(store, visit_id)
        token = await _read_token(store, page) or await make_page(store, visit_id)
    return GuestPageAddress(token, page.closes_at)


@use_case
async def renew_page(store: Store, actor: Actor, visit_id: UUID) -> GuestPageAddress:
    """Give a visit's page a new address; the old one ends at once. Raises `NotFound`, `GuestErased` and `GuestPageEnded`."""
    await lock_visit(store, visit_id)
    await require_guest_of_visit(store, visit_id)
    page = await _require_page(store, visit_id)
    token = await make_page(store, visit_id)
    await store.audit(AuditAction.GUEST_PAGE_RENEWED, actor, visit_id, page.guest_id, page.venue_id)
    return GuestPageAddress(token, page.closes_at)


async def find_guest(store: Store, token: str) -> GuestOfPage:
    """The visit, guest and venue of a token; raises `NotFound` alike for one that is unknown, renewed or ended."""
    found = await writes.guest_of_token(store, hash_token(token))
    if found is None:
        raise unknown_page()
    return found


async def end_pages_of(store: Store, guest_id: UUID) -> None:
    """End all pages of a guest at once and for good, as part of erasing them."""
    await writes.end_pages(store, guest_id)


def unknown_page() -> NotFound:
    """The refusal of a token; what was sent may be a secret, so it is not repeated."""
    return NotFound("guest page", "of this address")


async def _require_page(store: Store, visit_id: UUID) -> KeptPage:
    page = await writes.read_page(store, visit_id)
    if page is None:
        raise NotFound("visit", visit_id)
    if page.is_over:
        raise GuestPageEnded("The guest's page has ended: it lasts until 24 hours after the visit.", visit_id=visit_id)
    return page


async def _read_token(store: Store, page: KeptPage) -> str | None:
    """The page's token; None without one, and for one that another key sealed."""
    return None if page.sealed_token is None else unseal(await _sealing_key(store), page.sealed_token)


async def _sealing_key(store: Store) -> bytes:
    return await writes.read_random_bytes(store) + store.policy.guest_page_key.encode()
