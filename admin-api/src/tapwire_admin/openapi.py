"""The API's documentation: `/schema/openapi.json` for programs, and `/schema` as one page that needs nothing from elsewhere.

What holds for every route is added here, from what the route declares: how it fails, who may call it, whether it takes a key.
"""

from html import escape
from importlib.metadata import version
from typing import Any, Final

from litestar import Litestar, Request, Router
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin, OpenAPIRenderPlugin
from litestar.openapi.spec import (
    Components,
    OpenAPIMediaType,
    OpenAPIResponse,
    Operation,
    Parameter,
    Reference,
    Schema,
    SecurityScheme,
)
from litestar.openapi.spec.enums import OpenAPIType
from litestar.routes import HTTPRoute

from tapwire_admin.auth import DEVICE_HEADER, DEVICES, EVERYBODY, OpenTo
from tapwire_admin.errors import PROBLEM_JSON
from tapwire_admin.idempotency import HEADER
from tapwire_core.domain.words import Role

BEARER: Final = "session"
DEVICE: Final = "device"
METHODS: Final = ("get", "post", "put", "patch", "delete")
STYLE: Final = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 70rem; padding: 0 1rem; }
code { font-family: ui-monospace, monospace; } td { padding: .15rem .75rem .15rem 0; vertical-align: top; }
.access { color: #666; white-space: nowrap; }
"""

_TEXT: Final = Schema(type=OpenAPIType.STRING)
_PROBLEM: Final = Schema(
    type=OpenAPIType.OBJECT,
    title="Problem",
    description="RFC 9457; beside `code` stand the ids and limits that the caller needs to act on",
    properties={
        "type": _TEXT,
        "title": _TEXT,
        "status": Schema(type=OpenAPIType.INTEGER),
        "code": _TEXT,
        "detail": _TEXT,
        "request_id": _TEXT,
    },
    required=["type", "title", "status", "code", "detail", "request_id"],
)
_FAILURE: Final = OpenAPIResponse(
    description="refused, or not found, or unreadable",
    content={PROBLEM_JSON: OpenAPIMediaType(schema=Reference(ref="#/components/schemas/Problem"))},
)


class OnePage(OpenAPIRenderPlugin):
    """All routes on one page of plain HTML."""

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:  # noqa: ARG002
        """The page."""
        info, paths = openapi_schema["info"], sorted(openapi_schema["paths"].items())
        rows = "\n".join(_row(path, method, item[method]) for path, item in paths for method in METHODS if method in item)
        title = escape(f"{info['title']} {info['version']}")
        return f"""<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title><style>{STYLE}</style>
<h1>{title}</h1><p>{escape(info["description"])}</p><p><a href="/schema/openapi.json">The OpenAPI document</a></p>
<table>{rows}</table></html>""".encode()


def openapi_config() -> OpenAPIConfig:
    """How the documentation is made and served."""
    bearer = SecurityScheme(type="http", scheme="bearer", description="the token of POST /api/session")
    device = SecurityScheme(type="apiKey", security_scheme_in="header", name=DEVICE_HEADER, description="a device's secret")
    return OpenAPIConfig(
        title="Tapwire admin API",
        version=version("tapwire-admin"),
        description="What an operator does. Money is in minor units, volume in millilitres; errors are RFC 9457 problems.",
        use_handler_docstrings=True,
        components=Components(security_schemes={BEARER: bearer, DEVICE: device}),
        render_plugins=[OnePage(path="/", favicon="", style=""), JsonRenderPlugin()],
        openapi_router=Router("/schema", route_handlers=[], opt={"access": EVERYBODY}, include_in_schema=False),
    )


def complete_documentation(app: Litestar) -> None:
    """Add to each operation what its route declares."""
    document = app.openapi_schema
    assert document.paths is not None
    assert isinstance(document.components, Components)
    document.components.schemas = {**(document.components.schemas or {}), "Problem": _PROBLEM}
    for route in app.routes:
        item = document.paths.get(route.path_format) if isinstance(route, HTTPRoute) else None
        if item is None or not isinstance(route, HTTPRoute):
            continue
        for method, (handler, _) in route.route_handler_map.items():
            operation = getattr(item, method.lower(), None)
            if operation is not None:
                _complete(operation, handler.opt, takes_key="once" in handler.parsed_fn_signature.parameters)


def _complete(operation: Operation, declared: dict[str, Any], *, takes_key: bool) -> None:
    responses = {status: response for status, response in (operation.responses or {}).items() if status != "400"}
    operation.responses = {**responses, "default": _FAILURE}
    access = declared["access"]
    operation.security = [{scheme: []} for scheme in _schemes(access)]
    operation.description = f"{operation.description or ''}\n\nAccess: {access}.".strip()
    if takes_key:
        required = bool(declared.get("key_required"))
        key = Parameter(name=HEADER, param_in="header", required=required, schema=Schema(type=OpenAPIType.STRING, max_length=200))
        operation.parameters = [*(operation.parameters or []), key]


def _schemes(access: Role | OpenTo) -> list[str]:
    if isinstance(access, Role):
        return [BEARER]
    return [DEVICE] if access is DEVICES else []


def _row(path: str, method: str, operation: dict[str, Any]) -> str:
    text, _, access = operation["description"].partition("\n\nAccess: ")
    return (
        f"<tr><td><code>{method.upper()}</code></td><td><code>{escape(path)}</code></td>"
        f'<td>{escape(text)}</td><td class="access">{escape(access.rstrip("."))}</td></tr>'
    )
