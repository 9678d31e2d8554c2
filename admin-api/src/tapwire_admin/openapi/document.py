"""The API's documentation: `/schema/openapi.json` for programs, and `/schema` as one self-contained page.

Common parts are added here from each route's declaration: refusals, access, idempotency key, and an example of each body.
"""

from importlib.metadata import version
from types import UnionType
from typing import Any, Final, get_args

from litestar import Litestar, Request, Router
from litestar.handlers import HTTPRouteHandler
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin, OpenAPIRenderPlugin
from litestar.openapi.spec import Components, Reference, SecurityScheme
from litestar.routes import HTTPRoute
from msgspec.json import schema_components

from tapwire_admin.access.auth import DEVICE_HEADER, DEVICES, OpenTo
from tapwire_admin.access.cookies import CSRF_HEADER, SESSION_COOKIE
from tapwire_admin.openapi.examples import EXAMPLE_REQUEST_ID, example_of
from tapwire_admin.openapi.page import POLICY, make_page, noun_of
from tapwire_admin.openapi.refusals import PROBLEM, document_refusals, refusals_of
from tapwire_admin.requests.idempotency import HEADER, KEY_PATTERN
from tapwire_admin.requests.parameters import changeable_fields
from tapwire_core.domain.closed_sets import Role

BEARER: Final = "session"
COOKIE: Final = "cookie"
DEVICE: Final = "device"
JSON: Final = "application/json"


class OnePage(OpenAPIRenderPlugin):
    """All routes on one page of plain HTML."""

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
        """The page."""
        return make_page(complete(openapi_schema, request.app))


class Document(JsonRenderPlugin):
    """The whole document."""

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
        """The document as JSON."""
        return super().render(request, complete(openapi_schema, request.app))


def openapi_config() -> OpenAPIConfig:
    """Configuration of the document and its routes."""
    schemes: dict[str, SecurityScheme | Reference] = {
        BEARER: SecurityScheme(type="http", scheme="bearer", description="the token of POST /api/session"),
        COOKIE: SecurityScheme(
            type="apiKey",
            security_scheme_in="cookie",
            name=SESSION_COOKIE,
            description=f"the console's login; all but reading needs the session's CSRF token in {CSRF_HEADER} too",
        ),
        DEVICE: SecurityScheme(type="apiKey", security_scheme_in="header", name=DEVICE_HEADER, description="a device's secret"),
    }
    return OpenAPIConfig(
        title="Tapwire admin API",
        version=version("tapwire-admin"),
        description="Operators' actions. Money is in minor units, volume in millilitres; errors are RFC 9457 problems.",
        use_handler_docstrings=True,
        components=Components(security_schemes=schemes),
        render_plugins=[OnePage(path="/", favicon="", style=""), Document()],
        openapi_router=Router(
            "/schema",
            route_handlers=[],
            opt={"access": OpenTo.EVERYBODY},
            include_in_schema=False,
            response_headers={"Content-Security-Policy": POLICY},
        ),
    )


def complete(document: dict[str, Any], app: Litestar) -> dict[str, Any]:
    """Add what each route declares to its operation, once."""
    schemas = document["components"]["schemas"]
    if "Problem" not in schemas:
        for route in app.routes:
            if isinstance(route, HTTPRoute) and route.path_format in document["paths"]:
                item = document["paths"][route.path_format]
                for method, (handler, _) in route.route_handler_map.items():
                    if method.lower() in item:
                        _complete(route.path_format, method, item[method.lower()], handler, schemas)
        schemas["Problem"] = PROBLEM
    return document


def _complete(path: str, method: str, operation: dict[str, Any], handler: HTTPRouteHandler, schemas: dict[str, Any]) -> None:
    access = handler.opt["access"]
    operation["tags"] = [noun_of(path)]
    operation["security"] = [{scheme: []} for scheme in _schemes(access)]
    operation["description"] = f"{operation.get('description', '')}\n\nAccess: {access}."
    _complete_body(method, operation, handler, schemas)
    _complete_parameters(operation, handler, schemas)
    _complete_responses(method, operation, handler, schemas)


def _complete_body(method: str, operation: dict[str, Any], handler: HTTPRouteHandler, schemas: dict[str, Any]) -> None:
    if kind := handler.opt.get("body"):
        operation["requestBody"] = {"required": True, "content": {JSON: {"schema": _schema_of(kind, schemas)}}}
    body = operation.get("requestBody")
    if body is None:
        return
    given = handler.parsed_fn_signature.parameters.get("data")
    if given is not None:
        body["required"] = not given.has_default
        if method == "PATCH" and (fields := changeable_fields(given.annotation)):
            schemas[given.annotation.__name__]["anyOf"] = [{"required": [field]} for field in fields]
        for kind in get_args(given.annotation) or (given.annotation,):
            if getattr(getattr(kind, "__struct_config__", None), "forbid_unknown_fields", False):
                schemas[kind.__name__]["additionalProperties"] = False
    body["content"][JSON]["example"] = example_of(body["content"][JSON]["schema"], schemas)


def _complete_parameters(operation: dict[str, Any], handler: HTTPRouteHandler, schemas: dict[str, Any]) -> None:
    parameters = operation.setdefault("parameters", [])
    if "once" in handler.parsed_fn_signature.parameters or handler.opt.get("keeps_keys_itself"):
        schema = {"type": "string", "pattern": KEY_PATTERN}
        text = "a repeated key with the same body takes effect once, and gets the first answer again"
        required = bool(handler.opt.get("key_required"))
        parameters.append(
            {
                "name": HEADER,
                "in": "header",
                "required": required,
                "schema": schema,
                "description": text,
                "example": EXAMPLE_REQUEST_ID,
            }
        )
    for parameter in parameters:
        if parameter.get("required") and "example" not in parameter:
            parameter["example"] = example_of(parameter["schema"], schemas, parameter["name"])


def _complete_responses(method: str, operation: dict[str, Any], handler: HTTPRouteHandler, schemas: dict[str, Any]) -> None:
    responses, refused = operation["responses"], document_refusals(refusals_of(method, handler))
    responses.pop("400", None)
    responses.get("204", {}).pop("content", None)
    for status, (kind, description) in handler.opt.get("answers", {}).items():
        content = {JSON: {"schema": _schema_of(kind, schemas)}}
        responses[str(status)] = {"description": description, "content": content | refused.pop(str(status), {}).get("content", {})}
    if texts := handler.opt.get("as_text"):
        kept = responses["200"]["content"] if 200 in handler.opt.get("answers", {}) else {}
        as_text = {media_type: {"schema": {"type": "string"}, "example": example} for media_type, example in texts.items()}
        responses["200"]["content"] = kept | as_text
    for response in responses.values():
        for media in response.get("content", {}).values():
            if "example" not in media and "examples" not in media:
                media["example"] = example_of(media["schema"], schemas)
    responses |= refused


def _schema_of(kind: type | UnionType, schemas: dict[str, Any]) -> dict[str, Any]:
    """The schema of a body that the route reads or writes by itself; adds the schemas that it refers to."""
    # of untagged structs msgspec makes no schema of the union, only of each
    parts = get_args(kind) if isinstance(kind, UnionType) else (kind,)
    found, named = schema_components(parts, ref_template="#/components/schemas/{name}")
    for name, definition in named.items():
        schemas.setdefault(name, definition)
    return found[0] if len(found) == 1 else {"anyOf": list(found)}


def _schemes(access: Role | OpenTo) -> list[str]:
    if isinstance(access, Role):
        return [BEARER, COOKIE]
    return [DEVICE] if access is DEVICES else []
