"""The API's documentation: `/schema/openapi.json` for programs, and `/schema` as one page that needs nothing from elsewhere."""

from html import escape
from importlib.metadata import version
from typing import Any, Final

from litestar import Litestar, Request, Router
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin, OpenAPIRenderPlugin
from litestar.openapi.spec import Components, OpenAPIMediaType, OpenAPIResponse, Operation, SecurityScheme

from tapwire_admin.auth import EVERYBODY
from tapwire_admin.errors import PROBLEM_JSON, Problem

BEARER: Final = "session"
METHODS: Final = ("get", "post", "put", "patch", "delete")
STYLE: Final = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 60rem; padding: 0 1rem; }
code { font-family: ui-monospace, monospace; } td { padding: .15rem .75rem .15rem 0; vertical-align: top; }
h2 { margin-top: 2rem; } .access { color: #666; white-space: nowrap; }
"""


class OnePage(OpenAPIRenderPlugin):
    """All routes on one page of plain HTML."""

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:  # noqa: ARG002
        """The page."""
        info = openapi_schema["info"]
        rows = "\n".join(_row(path, method, item[method]) for path, item in sorted(openapi_schema["paths"].items()) for method in METHODS if method in item)
        title = escape(f"{info['title']} {info['version']}")
        return f"""<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title><style>{STYLE}</style>
<h1>{title}</h1><p>{escape(info["description"])}</p><p><a href="/schema/openapi.json">OpenAPI document</a></p>
<table>{rows}</table></html>""".encode()


def openapi_config() -> OpenAPIConfig:
    """How the documentation is made and served."""
    page = OnePage(path="/", favicon="", style="")
    bearer = SecurityScheme(type="http", scheme="bearer", description="the token of POST /api/session")
    return OpenAPIConfig(
        title="Tapwire admin API",
        version=version("tapwire-admin"),
        description="Everything that an operator does. Money is in minor units, volume in millilitres, errors are RFC 9457 problems.",
        use_handler_docstrings=True,
        components=Components(security_schemes={BEARER: bearer}),
        render_plugins=[page, JsonRenderPlugin()],
        openapi_router=Router("/schema", route_handlers=[], opt={"access": EVERYBODY}, include_in_schema=False),
    )
