"""The API's documentation: `/schema/openapi.json` for programs, and `/schema` as one page that needs nothing from elsewhere.

What holds for every route is added here, from what the route declares: how it fails, who may call it, whether it takes a key.
"""

from html import escape
from importlib.metadata import version
from typing import Any, Final

from litestar import Litestar, Request, Router
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin, OpenAPIRenderPlugin
from litestar.openapi.spec import Components, SecurityScheme
from litestar.routes import HTTPRoute
from msgspec import Struct
from msgspec.json import schema_components

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

_TEXT: Final = {"type": "string"}
_PROBLEM: Final = {
    "type": "object",
    "title": "Problem",
    "description": "RFC 9457; beside `code` stand the ids and limits that the caller needs to act on",
    "properties": {**dict.fromkeys(("type", "title", "code", "detail", "request_id"), _TEXT), "status": {"type": "integer"}},
    "required": ["type", "title", "status", "code", "detail", "request_id"],
}
_FAILURE: Final = {
    "description": "refused, or not found, or unreadable",
    "content": {PROBLEM_JSON: {"schema": {"$ref": "#/components/schemas/Problem"}}},
}


class OnePage(OpenAPIRenderPlugin):
    """All routes on one page of plain HTML."""

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
        """The page."""
        complete(openapi_schema, request.app)
        info, paths = openapi_schema["info"], sorted(openapi_schema["paths"].items())
        rows = "\n".join(_row(path, method, item[method]) for path, item in paths for method in METHODS if method in item)
        title = escape(f"{info['title']} {info['version']}")
        return f"""<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title><style>{STYLE}</style>
<h1>{title}</h1><p>{escape(info["description"])}</p><p><a href="/schema/openapi.json">The OpenAPI document</a></p>
<table>{rows}</table></html>""".encode()


class Document(JsonRenderPlugin):
    """The whole document."""

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
        """The document as JSON."""
        complete(openapi_schema, request.app)
        return super().render(request, openapi_schema)


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
        render_plugins=[OnePage(path="/", favicon="", style=""), Document()],
        openapi_router=Router("/schema", route_handlers=[], opt={"access": EVERYBODY}, include_in_schema=False),
    )


def complete(document: dict[str, Any], app: Litestar) -> None:
    """Add to each operation of the document, once, what its route declares."""
    schemas = document["components"]["schemas"]
    if "Problem" in schemas:
        return
    schemas["Problem"] = _PROBLEM
    for route in app.routes:
        item = document["paths"].get(route.path_format, {})
        if isinstance(route, HTTPRoute):
            for method, (handler, _) in route.route_handler_map.items():
                if method.lower() in item:
                    _complete(item[method.lower()], handler.opt, takes_key="once" in handler.parsed_fn_signature.parameters)
                    schemas |= _bodies(item[method.lower()], handler.opt.get("body"))


def _complete(operation: dict[str, Any], declared: dict[str, Any], *, takes_key: bool) -> None:
    operation["responses"].pop("400", None)
    operation["responses"]["default"] = _FAILURE
    access = declared["access"]
    operation["security"] = [{scheme: []} for scheme in _schemes(access)]
    operation["description"] = f"{operation.get('description', '')}\n\nAccess: {access}."
    if takes_key:
        required = bool(declared.get("key_required"))
        key = {"name": HEADER, "in": "header", "required": required, "schema": {"type": "string", "maxLength": 200}}
        operation.setdefault("parameters", []).append(key)


def _bodies(operation: dict[str, Any], body: type[Struct] | None) -> dict[str, Any]:
    """Document a body that the route reads by itself; the schemas that this takes."""
    if body is None:
        return {}
    (schema,), named = schema_components([body], ref_template="#/components/schemas/{name}")
    operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": schema}}}
    return named


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
