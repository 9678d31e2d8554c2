"""The console's routes under `/`, with their shared dependencies, headers and error handlers."""

from importlib import import_module
from pkgutil import iter_modules
from types import ModuleType
from typing import Any, Final

from litestar import Router
from litestar.datastructures import MutableScopeHeaders
from litestar.di import Provide
from litestar.enums import MediaType
from litestar.exceptions import HTTPException, NotAuthorizedException
from litestar.types import ControllerRouterHandler

from tapwire_admin.console import activity, pages, shell, stream
from tapwire_admin.console.assets import static_files
from tapwire_admin.console.error_answers import redirect_to_login, show_domain_error, show_fault, show_http_error
from tapwire_admin.console.forms import provide_form
from tapwire_admin.console.viewer import provide_viewer
from tapwire_admin.requests.implied_methods import with_head
from tapwire_admin.requests.parameters import provide_counted_page
from tapwire_core.errors import DomainError

HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'"
    ),
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}
"""Headers of every page: no other hosts, no framing, no caching."""
PARTS: Final = (activity, shell, stream)


def console() -> list[ControllerRouterHandler]:
    """The console's routes."""
    handlers = with_head(handler for module in (*PARTS, *_page_modules()) for handler in module.HANDLERS)
    router = Router(
        "/",
        route_handlers=[*handlers],
        dependencies={
            "viewer": Provide(provide_viewer),
            "shell": Provide(shell.provide_shell),
            "form": Provide(provide_form),
            "page": Provide(provide_counted_page, sync_to_thread=False),
        },
        exception_handlers={
            NotAuthorizedException: redirect_to_login,
            HTTPException: show_http_error,
            DomainError: show_domain_error,
            Exception: show_fault,
        },
        response_headers=HEADERS,
        include_in_schema=False,
    )
    return [router, static_files()]


async def protect_pages(message: Any, _: Any) -> None:
    """Give each page the headers of the console, also those that no route has made: errors, and addresses of nothing."""
    if message["type"] != "http.response.start":
        return
    headers = MutableScopeHeaders.from_message(message)
    if headers.get("content-type", "").startswith(MediaType.HTML):
        for name, value in HEADERS.items():
            headers.setdefault(name, value)


def _page_modules() -> list[ModuleType]:
    """All modules of `pages/`, so that a new page needs no row here."""
    return [import_module(f"{pages.__name__}.{module.name}") for module in iter_modules(pages.__path__)]
