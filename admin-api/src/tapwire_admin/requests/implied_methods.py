"""Methods that HTTP implies: HEAD for each GET, and OPTIONS, which lists the methods of a path."""

from collections.abc import Iterable, Iterator
from copy import copy

from litestar.enums import HttpMethod, ScopeType
from litestar.handlers import HTTPRouteHandler
from litestar.middleware import ASGIMiddleware
from litestar.response import ServerSentEvent
from litestar.response.base import ASGIResponse
from litestar.types import ASGIApp, Receive, Scope, Send


def with_head(handlers: Iterable[HTTPRouteHandler]) -> Iterator[HTTPRouteHandler]:
    """The handlers, and a copy for HEAD of each GET handler except endless streams.

    The HTTP server drops the answer's body.
    """
    for handler in handlers:
        yield handler
        if HttpMethod.GET in handler.http_methods and handler.fn.__annotations__["return"] is not ServerSentEvent:
            head = copy(handler)
            head.http_methods, head.include_in_schema = {HttpMethod.HEAD.value}, False
            yield head


class AnswerOptions(ASGIMiddleware):
    """Answers OPTIONS without a login; Litestar's own answer names only the methods of the path's first handler."""

    scopes = (ScopeType.HTTP,)

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        """Answer OPTIONS with the path's methods; pass on other requests."""
        if scope.get("method") != HttpMethod.OPTIONS:
            await next_app(scope, receive, send)
            return
        routes = [route for route in scope["litestar_app"].routes if route.path_format == scope["path_template"]]
        methods = sorted({method for route in routes for method in route.methods})
        await ASGIResponse(status_code=204, headers={"Allow": ", ".join(methods)})(scope, receive, send)
