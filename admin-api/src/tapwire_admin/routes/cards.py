"""Cards: registration, state, loss and retirement."""

from litestar import get, post
from msgspec import Struct

from tapwire_admin.access.auth import OPERATOR
from tapwire_admin.access.venue_guard import GUESTS
from tapwire_admin.requests.dependencies import CardInPath, CurrentActor, Db, JSONBody, RunOnce
from tapwire_admin.requests.field_types import CardUids, Reason
from tapwire_admin.requests.parameters import require_found
from tapwire_contracts.card_uid import CardUidProblem
from tapwire_core.db.engine import Database
from tapwire_core.db.views import cards as views
from tapwire_core.db.views.cards import CardView
from tapwire_core.services import cards
from tapwire_core.services.cards import card_warnings, read_card_uid


class Because(Struct, kw_only=True, forbid_unknown_fields=True):
    """The reason of an action, for the audit log."""

    reason: Reason


class NewCards(Struct, kw_only=True, forbid_unknown_fields=True):
    """Cards to be registered in advance."""

    card_uids: CardUids


class RegisteredCards(Struct, frozen=True, kw_only=True):
    """The cards as they are now, by their numbers. `added`: how many were new. `warnings`: of cards that may be misread."""

    items: list[CardView]
    added: int
    warnings: list[CardUidProblem]


@post("/cards", access=OPERATOR, about=GUESTS, refuses=(cards.CardUidRandom, cards.CardUidInvalid))
async def register_cards(db: Db, actor: CurrentActor, once: RunOnce, data: JSONBody[NewCards]) -> RegisteredCards:
    """Register cards in advance, as available; known ones stay as they are."""
    added = await once(cards.register_cards, actor, data.card_uids)
    items = await views.cards_by_uid(db, [read_card_uid(card_uid) for card_uid in data.card_uids])
    warnings = {warning for card in items for warning in card_warnings(card.card_uid)}
    return RegisteredCards(items=items, added=added, warnings=sorted(warnings))


@get("/cards/{card_uid:str}", access=OPERATOR)
async def read_card(db: Db, card_uid: CardInPath) -> CardView:
    """One card with its guest and its visit."""
    return await _view(db, card_uid)


@post("/cards/{card_uid:str}/lost", access=OPERATOR, status_code=200, refuses=(cards.LostCard,))
async def report_card_lost(db: Db, actor: CurrentActor, once: RunOnce, card_uid: CardInPath, data: JSONBody[Because]) -> CardView:
    """Stop a card from working at once; a running pour with it is ended."""
    await once(cards.report_card_lost, actor, card_uid, data.reason)
    return await _view(db, card_uid)


@post("/cards/{card_uid:str}/restore", access=OPERATOR, status_code=200, refuses=(cards.CardNotLost,))
async def restore_card(db: Db, actor: CurrentActor, once: RunOnce, card_uid: CardInPath, data: JSONBody[Because]) -> CardView:
    """Reactivate a lost card."""
    await once(cards.restore_card, actor, card_uid, data.reason)
    return await _view(db, card_uid)


@post("/cards/{card_uid:str}/retire", access=OPERATOR, status_code=200, refuses=(cards.CardBusy,))
async def retire_card(db: Db, actor: CurrentActor, once: RunOnce, card_uid: CardInPath, data: JSONBody[Because]) -> CardView:
    """Take a card out of use for good; a lost card's deposit is forfeited, another's goes back to its guest."""
    await once(cards.retire_card, actor, card_uid, data.reason)
    return await _view(db, card_uid)


async def _view(db: Database, card_uid: str) -> CardView:
    return require_found(await views.get_card(db, read_card_uid(card_uid)), "card", card_uid)


HANDLERS = (register_cards, read_card, report_card_lost, restore_card, retire_card)
