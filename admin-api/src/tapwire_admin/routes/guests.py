"""Guests, their accounts and their cards."""

from datetime import date
from uuid import UUID

from litestar import delete, get, patch, post
from msgspec import UNSET, Struct, UnsetType

from tapwire_admin.auth import OPERATOR, SHIFT_LEAD
from tapwire_admin.bounds import AmountMinor, CardUid, Name, Phone, Reason, SignedAmountMinor, Slug, Text
from tapwire_admin.given import AskedPage, AskedText, By, CardInPath, Db, FromPath, JSONBody, RunOnce
from tapwire_admin.reading import changes_of, found
from tapwire_core.db.engine import Database
from tapwire_core.db.views import guests as views
from tapwire_core.db.views.guests import CardView, GuestView, LedgerEntry
from tapwire_core.db.views.reading import Page
from tapwire_core.domain.words import PaymentMethod
from tapwire_core.services import cards, guests, money
from tapwire_core.services.money import Booking
from tapwire_core.services.venues import VenueRequired


class NewGuest(Struct, kw_only=True):
    """A guest to be added; `age_checked`: the operator has seen that the guest is of age."""

    first_name: Name
    last_name: Text | None = None
    phone: Phone | None = None
    birth_date: date | None = None
    age_checked: bool = False


class GuestChange(Struct, kw_only=True):
    """What to change about a guest."""

    first_name: Name | UnsetType = UNSET
    last_name: Text | UnsetType | None = UNSET
    phone: Phone | UnsetType | None = UNSET
    birth_date: date | UnsetType | None = UNSET
    blocked: bool | UnsetType = UNSET
    age_checked: bool | UnsetType = UNSET


class TopUp(Struct, kw_only=True):
    """Money that a guest pays in."""

    amount_minor: AmountMinor
    method: PaymentMethod
    venue_id: Slug | None = None


class Refund(Struct, kw_only=True):
    """Money that a guest gets back."""

    amount_minor: AmountMinor
    method: PaymentMethod
    reason: Reason
    venue_id: Slug | None = None


class Adjustment(Struct, kw_only=True):
    """A correction of a balance."""

    amount_minor: SignedAmountMinor
    reason: Reason
    pour_id: UUID | None = None


class CardToBind(Struct, kw_only=True):
    """The card to make the guest's."""

    card_uid: CardUid


@get("/guests", access=OPERATOR)
async def list_guests(db: Db, page: AskedPage, search: AskedText = None, phone: AskedText = None) -> Page[GuestView]:
    """Guests, the newest first; `search` looks at the start of names and phone numbers."""
    return await views.list_guests(db, search=search, phone=phone, page=page)


@post("/guests", access=OPERATOR)
async def create_guest(db: Db, actor: By, once: RunOnce, data: JSONBody[NewGuest]) -> GuestView:
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
    return await _view(db, guest_id)


@get("/guests/{guest_id:uuid}", access=OPERATOR)
async def read_guest(db: Db, guest_id: FromPath[UUID]) -> GuestView:
    """One guest, with balance and cards."""
    return await _view(db, guest_id)


@patch("/guests/{guest_id:uuid}", access=OPERATOR)
async def change_guest(db: Db, actor: By, guest_id: FromPath[UUID], data: JSONBody[GuestChange]) -> GuestView:
    """Change a guest, block one, or note that the age was checked, or that it was not."""
    if changes := changes_of(data):
        await guests.change_guest(db, actor, guest_id, **changes)
    return await _view(db, guest_id)


@get("/guests/{guest_id:uuid}/ledger", access=OPERATOR)
async def read_ledger(db: Db, guest_id: FromPath[UUID], page: AskedPage) -> Page[LedgerEntry]:
    """The movements of a guest's account, the newest first."""
    await _view(db, guest_id)
    return await views.list_ledger(db, guest_id, page)


@post("/guests/{guest_id:uuid}/top-ups", access=OPERATOR, key_required=True, refuses=(money.ShiftClosed, VenueRequired))
async def top_up(actor: By, once: RunOnce, guest_id: FromPath[UUID], data: JSONBody[TopUp]) -> Booking:
    """Take a guest's money."""
    return await once(money.top_up, actor, guest_id, data.amount_minor, data.method, data.venue_id)


@post(
    "/guests/{guest_id:uuid}/refunds",
    access=SHIFT_LEAD,
    key_required=True,
    refuses=(money.ShiftClosed, money.InsufficientFunds, VenueRequired),
)
async def refund(actor: By, once: RunOnce, guest_id: FromPath[UUID], data: JSONBody[Refund]) -> Booking:
    """Give a guest money back, at most what is available."""
    return await once(money.refund, actor, guest_id, data.amount_minor, data.method, data.reason, data.venue_id)


@post(
    "/guests/{guest_id:uuid}/adjustments",
    access=SHIFT_LEAD,
    key_required=True,
    refuses=(money.InsufficientFunds, money.NotTheGuestsPour),
)
async def adjust(actor: By, once: RunOnce, guest_id: FromPath[UUID], data: JSONBody[Adjustment]) -> Booking:
    """Correct a balance up or down."""
    return await once(money.adjust, actor, guest_id, data.amount_minor, data.reason, data.pour_id)


@post("/guests/{guest_id:uuid}/cards", access=OPERATOR, refuses=(cards.BindConflict, cards.LostCard))
async def bind_card(db: Db, actor: By, once: RunOnce, guest_id: FromPath[UUID], data: JSONBody[CardToBind]) -> CardView:
    """Make a card a guest's."""
    await once(cards.bind_card, actor, guest_id, data.card_uid)
    card_uid = cards.read_card_uid(data.card_uid)
    return found(await views.get_card(db, card_uid), "card", card_uid)


@delete("/guests/{guest_id:uuid}/cards/{card_uid:str}", access=OPERATOR, refuses=(cards.CardBusy,))
async def unbind_card(db: Db, actor: By, guest_id: FromPath[UUID], card_uid: CardInPath) -> None:
    """Take a guest's card back, for anybody's use."""
    await cards.unbind_card(db, actor, guest_id, card_uid)


async def _view(db: Database, guest_id: UUID) -> GuestView:
    return found(await views.get_guest(db, guest_id), "guest", guest_id)


HANDLERS = (
    list_guests,
    create_guest,
    read_guest,
    change_guest,
    read_ledger,
    top_up,
    refund,
    adjust,
    bind_card,
    unbind_card,
)
