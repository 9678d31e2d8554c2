"""Guests and their cards."""

from datetime import date
from typing import Any, Final
from uuid import UUID

from litestar import Request, Response, delete, get, patch, post
from msgspec import UNSET, Struct, UnsetType

from tapwire_admin.access.auth import OPERATOR, SHIFT_LEAD
from tapwire_admin.access.personal_data import guest_on_own_page, may_read_personal_data
from tapwire_admin.access.venue_guard import GUESTS
from tapwire_admin.requests.dependencies import (
    CardInPath,
    CurrentActor,
    Db,
    FromPath,
    JSONBody,
    OwnVenue,
    PageQuery,
    RunOnce,
    TextQuery,
)
from tapwire_admin.requests.field_types import CardUid, Name, Phone, Reason, Slug, Text
from tapwire_admin.requests.parameters import changes_of, require_found
from tapwire_core.db.engine import Database
from tapwire_core.db.views import cards as card_views
from tapwire_core.db.views import guests as guest_views
from tapwire_core.db.views.cards import CardView
from tapwire_core.db.views.guest_exports import GuestExport
from tapwire_core.db.views.guests import GuestInList, GuestView
from tapwire_core.db.views.queries import Page
from tapwire_core.errors import AllVenuesRequired
from tapwire_core.services import cards, guest_erasures, guests
from tapwire_core.services.money import InsufficientFunds
from tapwire_core.services.venues import VenueRequired

ISSUING: Final = (
    cards.BindConflict,
    cards.LostCard,
    cards.CardUidRandom,
    cards.CardUidInvalid,
    InsufficientFunds,
    VenueRequired,
    guests.GuestErased,
)


class NewGuest(Struct, kw_only=True, forbid_unknown_fields=True):
    """A guest to be added. Without a name they are shown by the last four digits of their card.

    `age_checked`: the operator has checked that the guest is of age.
    """

    first_name: Name | None = None
    last_name: Text | None = None
    phone: Phone | None = None
    birth_date: date | None = None
    age_checked: bool = False


class GuestChange(Struct, kw_only=True, forbid_unknown_fields=True):
    """Changes of a guest."""

    first_name: Name | UnsetType | None = UNSET
    last_name: Text | UnsetType | None = UNSET
    phone: Phone | UnsetType | None = UNSET
    birth_date: date | UnsetType | None = UNSET
    blocked: bool | UnsetType = UNSET
    age_checked: bool | UnsetType = UNSET


class CardToBind(Struct, kw_only=True, forbid_unknown_fields=True):
    """The card to link to the guest. `venue_id`: the venue whose deposit it takes, by default that of the guest's visit."""

    card_uid: CardUid
    venue_id: Slug | None = None


class Erasure(Struct, kw_only=True, forbid_unknown_fields=True):
    """The reason for which a guest is erased. It stays in the audit log: write no name there."""

    reason: Reason


@get("/guests", access=OPERATOR)
async def list_guests(db: Db, page: PageQuery, search: TextQuery = None, phone: TextQuery = None) -> Page[GuestInList]:
    """Guests, the newest first; `search` matches names, telephone numbers and cards, as `/api/search` does."""
    return guest_views.in_list(await guest_views.list_guests(db, search=search, phone=phone, page=page))


@post("/guests", access=OPERATOR, about=GUESTS, refuses=(guests.AgeContradictory,))
async def create_guest(
    db: Db, request: Request[Any, Any, Any], actor: CurrentActor, once: RunOnce, data: JSONBody[NewGuest]
) -> GuestView:
    """Add a guest."""
    guest_id = await once(
        guests.create_guest,
        actor,
        first_name=data.first_name,
        last_name=data.last_name,
        phone=data.phone,
        birth_date=data.birth_date,
        age_checked=data.age_checked,
    )
    guest = await require_guest(db, guest_id)
    return guest if may_read_personal_data(request) else guest_views.masked(guest)


@get("/guests/{guest_id:uuid}", access=OPERATOR)
async def read_guest(db: Db, request: Request[Any, Any, Any], guest_id: FromPath[UUID]) -> GuestView:
    """One guest, with balance and cards. A shift lead gets the whole telephone number and the birth date, which is audited."""
    return await guest_on_own_page(db, request, guest_id)


@patch("/guests/{guest_id:uuid}", access=OPERATOR, refuses=(guests.AgeContradictory, guests.GuestErased))
async def change_guest(
    db: Db, request: Request[Any, Any, Any], actor: CurrentActor, guest_id: FromPath[UUID], data: JSONBody[GuestChange]
) -> GuestView:
    """Change or block a guest, or set and clear the age check."""
    if changes := changes_of(data):
        await guests.change_guest(db, actor, guest_id, **changes)
    return await guest_on_own_page(db, request, guest_id)


@post(
    "/guests/{guest_id:uuid}/cards",
    access=OPERATOR,
    refuses=ISSUING,
)
async def bind_card(
    db: Db, actor: CurrentActor, once: RunOnce, guest_id: FromPath[UUID], own_venue: OwnVenue, data: JSONBody[CardToBind]
) -> CardView:
    """Link a card to a guest; takes the venue's deposit from the guest."""
    await once(cards.bind_card, actor, guest_id, data.card_uid, data.venue_id or own_venue)
    card_uid = cards.read_card_uid(data.card_uid)
    return require_found(await card_views.get_card(db, card_uid), "card", card_uid)


@delete("/guests/{guest_id:uuid}/cards/{card_uid:str}", access=OPERATOR, refuses=(cards.CardBusy, guests.GuestErased))
async def unbind_card(db: Db, actor: CurrentActor, guest_id: FromPath[UUID], card_uid: CardInPath) -> None:
    """Unlink a guest's card, so that any guest may get it; its deposit goes back to the guest."""
    await cards.unbind_card(db, actor, guest_id, card_uid)


@get("/guests/{guest_id:uuid}/export", access=SHIFT_LEAD, refuses=(AllVenuesRequired,))
async def export_guest(db: Db, actor: CurrentActor, guest_id: FromPath[UUID]) -> Response[GuestExport]:
    """All that is kept about a guest, to hand to them; audited. A guest who was seen elsewhere takes an operator of all venues."""
    export = await guest_erasures.export_guest(db, actor, guest_id, db.scope)
    return Response(export, headers={"Content-Disposition": f'attachment; filename="guest-{guest_id}.json"'})


@post(
    "/guests/{guest_id:uuid}/erase",
    access=SHIFT_LEAD,
    status_code=200,
    refuses=(guest_erasures.GuestNotSettled, guests.GuestErased, AllVenuesRequired),
)
async def erase_guest(db: Db, actor: CurrentActor, once: RunOnce, guest_id: FromPath[UUID], data: JSONBody[Erasure]) -> GuestView:
    """Forget who a guest is, for good: names, telephone number, birth date; the cards are retired. Ids and books stay."""
    await once(guest_erasures.erase_guest, actor, guest_id, data.reason, db.scope)
    return await require_guest(db, guest_id)


async def require_guest(db: Database, guest_id: UUID) -> GuestView:
    return require_found(await guest_views.get_guest(db, guest_id), "guest", guest_id)


HANDLERS = (
    list_guests,
    create_guest,
    read_guest,
    change_guest,
    bind_card,
    unbind_card,
    export_guest,
    erase_guest,
)
