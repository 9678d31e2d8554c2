"""The console's answers to errors: the reason and the next step, shown in the form that was sent.

A refusal inside a page is an expected answer, so its status is 200; a missing page has 404.
"""

from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import quote, urlsplit

from litestar import Request, Response
from litestar.exceptions import HTTPException, NotAuthorizedException
from litestar.response import Redirect

from tapwire_admin.access.venue_guard import without_hidden
from tapwire_admin.console.field_problems import explain_field
from tapwire_admin.console.formats import Formats
from tapwire_admin.console.problem_texts import DEPOSIT_NOT_COVERED, PROBLEMS
from tapwire_admin.console.render import html
from tapwire_admin.console.translations import N_, translations
from tapwire_admin.console.viewer import Viewer, plain_viewer
from tapwire_admin.responses.errors import CODE_OF, FAULTS, STATUS_OF, fault_of
from tapwire_contracts.reasons import Locale
from tapwire_core.errors import DomainError
from tapwire_core.services.money import InsufficientFunds
from tapwire_core.services.payments import BalanceLimit, TopUpLimit

SLOT: Final = "find .problem"
"""The element of a form that shows a refusal."""
TOASTS: Final = "#toasts"
FALLBACK_TEXT: Final = N_("This can't be done.")
WITH_STATUS: Final = frozenset({"changed_meanwhile", "page_out_of_date"})
"""Codes whose status stays that of the REST API inside a page too: the page itself was wrong."""
MAX_NEXT_LENGTH: Final = 250
"""Longest address of a page to which a login leads back with its query."""
LIMIT_TEXTS: Final = {
    TopUpLimit.code: N_("It can be %(min_minor)s to %(max_minor)s."),
    BalanceLimit.code: N_("You can add %(left_minor)s."),
}
"""What is possible instead of a refused payment."""
WITH_FIELD: Final = frozenset({"invalid"})
"""Codes with a general text: below it stands what is wrong with which field."""


def show_domain_error(request: Request[Any, Any, Any], error: DomainError) -> Response[Any]:
    """Show a use case's refusal."""
    status = next((STATUS_OF[parent] for parent in type(error).__mro__ if parent in STATUS_OF), HTTPStatus.CONFLICT)
    return _show_problem(request, error.code, str(error), without_hidden(request, error.facts), status)


def show_http_error(request: Request[Any, Any, Any], error: HTTPException) -> Response[Any]:
    """Show a refusal before any use case."""
    answer = _show_problem(request, CODE_OF.get(error.status_code, "invalid"), error.detail, {}, HTTPStatus(error.status_code))
    answer.headers |= error.headers or {}
    return answer


def redirect_to_login(request: Request[Any, Any, Any], _: NotAuthorizedException) -> Response[Any]:
    """Redirect to the login, and back to the page afterwards."""
    is_part = request.headers.get("HX-Request") == "true"
    at = urlsplit(request.headers.get("HX-Current-URL", "") if is_part else str(request.url))
    page = f"{at.path}?{at.query}" if at.query and len(at.path) + len(at.query) < MAX_NEXT_LENGTH else at.path
    is_known = is_part or request.method == "GET"
    login = f"/login?next={quote(page)}" if is_known and page not in ("", "/") else "/login"
    return html("", headers={"HX-Redirect": login}) if is_part else Redirect(login, status_code=303)


def show_fault(request: Request[Any, Any, Any], error: Exception) -> Response[Any]:
    """Show an unexpected error without its details."""
    code = fault_of(request, error)
    return _show_problem(request, code, "", {}, FAULTS[code])


def problem_text(viewer: Viewer, code: str, otherwise: str, facts: Mapping[str, object]) -> str:
    """A problem in the viewer's language."""
    texts = translations(viewer.locale)
    deposit_minor = facts.get("deposit_minor")
    if code == InsufficientFunds.code and isinstance(deposit_minor, int):
        return texts.gettext(DEPOSIT_NOT_COVERED) % {"amount": viewer.formats.money(deposit_minor)}
    known = PROBLEMS.get(code)
    return texts.gettext(known) if known else otherwise or texts.gettext(FALLBACK_TEXT)


def refusal_text(locale: Locale, formats: Formats, refusal: DomainError) -> str:
    """A refusal on a page without a login; for an unreadable field, what is wrong with it."""
    texts = translations(locale)
    if refusal.code in WITH_FIELD and (problem := explain_field(locale, formats, refusal.facts)):
        return problem
    limits = {name: formats.money(value) for name, value in refusal.facts.items() if isinstance(value, int)}
    return texts.gettext(PROBLEMS.get(refusal.code, FALLBACK_TEXT)) + _limits_in(texts.gettext, refusal.code, limits)


def _limits_in(translate: Callable[[str], str], code: str, limits: Mapping[str, str]) -> str:
    """The limits that a refused payment names, after its text."""
    known = LIMIT_TEXTS.get(code)
    return f" {translate(known) % limits}" if known else ""


def _show_problem(
    request: Request[Any, Any, Any], code: str, detail: str, facts: Mapping[str, object], status: HTTPStatus
) -> Response[Any]:
    viewer = plain_viewer(request, request.scope["state"].get("operator"))
    text = problem_text(viewer, code, detail, facts)
    problem = explain_field(viewer.locale, viewer.formats, facts) if code in WITH_FIELD else ""
    context = {"code": code, "text": text, "detail": problem, "facts": facts}
    if not viewer.is_part:
        return html(viewer.render("problem_page.html", **context), status.value)
    is_ours = status >= HTTPStatus.INTERNAL_SERVER_ERROR or code in WITH_STATUS
    answer = html(viewer.render("parts/problem.html", **context), status.value if is_ours else HTTPStatus.OK)
    return show_in(SLOT if request.method == "POST" else TOASTS, answer)


def show_in(place: str, answer: Response[Any]) -> Response[Any]:
    """Make htmx put the answer into another element than the form's target."""
    answer.headers |= {"HX-Retarget": place, "HX-Reswap": "innerHTML"}
    return answer
