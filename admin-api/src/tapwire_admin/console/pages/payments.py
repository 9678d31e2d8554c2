"""Payments by guests: the list for staff, the guest's way to the provider's page and back, and the page of the provider `test`."""

from typing import Any, Final
from urllib.parse import urlencode
from uuid import UUID

from litestar import Request, Response, get, post
from litestar.datastructures import Cookie
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery
from litestar.response import Redirect

from tapwire_admin.access.auth import EVERYBODY, OPERATOR
from tapwire_admin.console.error_answers import refusal_text
from tapwire_admin.console.formats import Formats
from tapwire_admin.console.pages.menus import language_of
from tapwire_admin.console.render import html, render
from tapwire_admin.console.shell import ShellContext
from tapwire_admin.console.viewer import CurrentViewer
from tapwire_admin.guest_pages import GuestPages
from tapwire_admin.payments import BACK_PATH, Payments
from tapwire_admin.requests.dependencies import Db, PageQuery
from tapwire_contracts.reasons import Locale
from tapwire_core.db.views.guests import get_guest
from tapwire_core.db.views.payments import list_payments
from tapwire_core.domain.closed_sets import PaymentStatus
from tapwire_core.domain.payment_facts import ProviderPayment
from tapwire_core.errors import DomainError, NotFound
from tapwire_core.payment_providers.simulated import PAGE_PATH, Press, SimulatedProvider
from tapwire_core.services.guest_pages import TOKEN_LENGTH
from tapwire_core.services.payment_requests import receive_notification

PAGE_COOKIE: Final = "tapwire_guest_page"
"""Tells the telephone, and nobody else, to which page it returns from the provider's."""
PAGE_COOKIE_S: Final = 2 * 3_600


@get("/payments", access=OPERATOR)
async def show_payments(
    db: Db,
    viewer: CurrentViewer,
    shell: ShellContext,
    page: PageQuery,
    status: FromQuery[str] = "",
    guest_id: FromQuery[UUID | None] = None,
) -> Response[str]:
    """Payments by telephone, the latest first."""
    chosen = PaymentStatus(status) if status in set(PaymentStatus) else None
    shown = await list_payments(db, status=chosen, guest_id=guest_id, page=page)
    guest = await get_guest(db, guest_id) if guest_id else None
    query = urlencode({name: value for name, value in (("status", chosen), ("guest_id", guest_id)) if value})
    context = {"page": shown, "statuses": tuple(PaymentStatus), "status": chosen, "guest": guest, "query": query}
    return viewer.show("payments.html", shell=shell, **context)


@post("/g/{token:str}/top-up", access=EVERYBODY)
async def begin_top_up(
    request: Request[Any, Any, Any], pages: NamedDependency[GuestPages], payments: NamedDependency[Payments], token: FromPath[str]
) -> Response[str]:
    """Begin a payment of the page's guest, and lead to where it is paid.

    The answer is a page that goes on by itself: a form may not lead to another site.
    """
    locale, form = language_of(request), await request.form()
    formats = Formats(locale, request.app.state.db.policy.currency)
    context = {"locale": locale, "at": f"/g/{token}", "url": "", "problem": ""}
    try:
        amount_minor = formats.read_money(str(form.get("amount_minor", "")), "amount_minor")
        key = str(form.get("key", ""))[:200] or None
        begun = await payments.begin(request, pages, token, amount_minor, language=locale.value, key=key)
    except NotFound:
        return Redirect(f"/g/{token}", status_code=303)
    except DomainError as refusal:
        problem = refusal_text(locale, formats, refusal)
        return html(render(locale, "payment_begun.html", {**context, "problem": problem}))
    answer = html(render(locale, "payment_begun.html", {**context, "url": begun.url}))
    answer.cookies.append(_page_cookie(request, token))
    return answer


@get(BACK_PATH, access=EVERYBODY)
async def come_back(request: Request[Any, Any, Any]) -> Response[Any]:
    """Lead a guest back from the provider to their own page; without its cookie, say how to find it."""
    token = request.cookies.get(PAGE_COOKIE, "")
    if len(token) == TOKEN_LENGTH and token.replace("-", "").replace("_", "").isalnum():
        return Redirect(f"/g/{token}", status_code=303)
    locale = language_of(request)
    return html(render(locale, "payment_back.html", {"locale": locale}))


@get(f"{PAGE_PATH}{{provider_id:str}}", access=EVERYBODY)
async def show_test_page(
    request: Request[Any, Any, Any], payments: NamedDependency[Payments], provider_id: FromPath[str]
) -> Response[str]:
    """The page to pay of the provider `test`."""
    return _show_test_page(request, await _simulated(payments).read_page(provider_id))


@post(f"{PAGE_PATH}{{provider_id:str}}", access=EVERYBODY)
async def press_on_test_page(
    request: Request[Any, Any, Any], db: Db, payments: NamedDependency[Payments], provider_id: FromPath[str]
) -> Response[Any]:
    """Do what a button of the page says, and notify ourselves as a provider would."""
    provider, pressed = _simulated(payments), str((await request.form()).get("press", ""))
    press = Press(pressed) if pressed in set(Press) else Press.GIVE_UP
    notification = await provider.press(provider_id, press)
    await receive_notification(db, provider, notification.headers, notification.body)
    if press in (Press.PAY, Press.GIVE_UP):
        return Redirect(notification.return_url, status_code=303)
    return _show_test_page(request, await provider.read_page(provider_id))


def _simulated(payments: Payments) -> SimulatedProvider:
    if payments.simulated is None:
        raise NotFound("page to pay", "of this address")
    return payments.simulated


def _show_test_page(request: Request[Any, Any, Any], said: ProviderPayment) -> Response[str]:
    locale: Locale = language_of(request)
    context = {
        "locale": locale,
        "formats": Formats(locale, said.currency),
        "payment": said,
        "is_disputed": any(its.stands and its.return_id is None for its in said.returns),
        "was_disputed": any(its.return_id is None for its in said.returns),
        "path": f"{PAGE_PATH}{said.provider_id}",
        "back": BACK_PATH,
    }
    return html(render(locale, "test_payment.html", context))


def _page_cookie(request: Request[Any, Any, Any], token: str) -> Cookie:
    secure = bool(request.app.state.cookie_secure) or request.url.scheme == "https"
    return Cookie(PAGE_COOKIE, value=token, path=BACK_PATH, max_age=PAGE_COOKIE_S, httponly=True, samesite="lax", secure=secure)


HANDLERS = (show_payments, begin_top_up, come_back, show_test_page, press_on_test_page)
