"""Cards: state, loss and retirement."""

from litestar import get, post
from msgspec import Struct

from tapwire_admin.access.auth import OPERATOR
from tapwire_admin.requests.dependencies import CardInPath, CurrentActor, Db, JSONBody, RunOnce
from tapwire_admin.requests.field_types import Reason
from tapwire_admin.requests.parameters import require_found
from tapwire_core.db.engine import Database
from tapwire_core.db.views import cards as views
from tapwire_core.db.views.cards import CardView
from tapwire_core.services import cards
from tapwire_core.services.cards import read_card_uid


class Because(Struct, kw_only=True, forbid_unknown_fields=True):
    """The reason of an action, for the audit log."""

    reason: Reason


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
    """Take a card out of use for good."""
    await once(cards.retire_card, actor, card_uid, data.reason)
    return await _view(db, card_uid)


async def _view(db: Database, card_uid: str) -> CardView:
    return require_found(await views.get_card(db, read_card_uid(card_uid)), "card", card_uid)


HANDLERS = (read_card, report_card_lost, restore_card, retire_card)
