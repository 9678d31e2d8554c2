"""Cards: found by reader or number; state, return, loss and retirement."""

from contextlib import suppress
from typing import Any, Final

from litestar import Request, Response, get, post
from litestar.di import NamedDependency

from tapwire_admin.access.auth import OPERATOR
from tapwire_admin.access.personal_data import shown_to
from tapwire_admin.console.forms import Form
from tapwire_admin.console.pages.check_in import readers_of
from tapwire_admin.console.render import go_to
from tapwire_admin.console.shell import ShellContext
from tapwire_admin.console.translations import N_
from tapwire_admin.console.viewer import CurrentViewer
from tapwire_admin.live import Live
from tapwire_admin.requests.dependencies import CardInPath, CurrentActor, Db, PageQuery, TextQuery
from tapwire_admin.routes.cards import Because
from tapwire_core.db.views.audit import list_audit
from tapwire_core.db.views.cards import get_card
from tapwire_core.domain.shown import Noun
from tapwire_core.errors import NotFound
from tapwire_core.services import cards
from tapwire_core.services.cards import read_card_uid
from tapwire_core.services.shown import read_shown

ACTIONS: Final = {"lost": cards.report_card_lost, "restore": cards.restore_card, "retire": cards.retire_card}
REASONS: Final = {"lost": N_("reported by the guest"), "restore": N_("card was found"), "retire": N_("card is damaged")}


@get("/cards", access=OPERATOR)
async def show_cards(
    request: Request[Any, Any, Any],
    db: Db,
    viewer: CurrentViewer,
    shell: ShellContext,
    live: NamedDependency[Live],
    page: PageQuery,
    card_uid: TextQuery = None,
) -> Response[str]:
    """The card with this id."""
    uid = read_card_uid(card_uid) if card_uid else None
    shown = card = None
    if uid:
        with suppress(NotFound):
            shown = shown_to(request, await read_shown(db, Noun.CARD, uid))
            card = await get_card(db, uid)
    history = await list_audit(db, subject=uid, page=page) if uid else None
    reasons = {name: viewer.translate(reason) for name, reason in REASONS.items()}
    context = {"readers": await readers_of(db, viewer, live), "uid": uid, "shown": shown, "card": card, "page": history}
    return viewer.show("cards.html", shell=shell, reasons=reasons, **context)


@post("/cards/{card_uid:str}/free", access=OPERATOR, shows=Noun.CARD)
async def free_card(actor: CurrentActor, form: Form, card_uid: CardInPath) -> Response[str]:
    """Free a returned card for the next guest."""
    await form.once(cards.free_card, actor, card_uid)
    return go_to(f"/cards?card_uid={read_card_uid(card_uid)}")


@post("/cards/{card_uid:str}/{action:str}", access=OPERATOR, shows=Noun.CARD)
async def change_card(actor: CurrentActor, form: Form, card_uid: CardInPath, action: CardInPath) -> Response[str]:
    """Report a card lost, reactivate it, or retire it."""
    await form.once(ACTIONS.get(action, cards.report_card_lost), actor, card_uid, form.read(Because).reason)
    return go_to(f"/cards?card_uid={read_card_uid(card_uid)}")


HANDLERS = (show_cards, free_card, change_card)
