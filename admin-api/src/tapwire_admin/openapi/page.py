"""`/schema`: the OpenAPI document as one page of plain HTML, without scripts or external files."""

import json
from collections import defaultdict
from html import escape
from http import HTTPStatus
from typing import Any, Final

METHODS: Final = ("get", "post", "put", "patch", "delete")
POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'"
"""The page's content security policy: its own style only."""
STYLE: Final = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 70rem; padding: 0 1rem; color-scheme: light dark; }
code, pre { font-family: ui-monospace, monospace; font-size: .9em; }
pre { overflow-x: auto; padding: .5rem; border: 1px solid #8884; }
summary { cursor: pointer; padding: .2rem 0; } details > div { margin: 0 0 1rem 1.5rem; }
td { padding: .15rem .75rem .15rem 0; vertical-align: top; } .access { color: #888; white-space: nowrap; }
"""


def make_page(document: dict[str, Any]) -> bytes:
    """The page; each operation opens to its parameters, body, answers and refusals, with an example of each."""
    by_noun: defaultdict[str, list[str]] = defaultdict(list)
    for path, item in sorted(document["paths"].items()):
        for method in METHODS:
            if method in item:
                by_noun[noun_of(path)].append(_operation(path, method, item[method]))
    title = escape(f"{document['info']['title']} {document['info']['version']}")
    parts = "".join(f'<h2 id="{noun}">{noun}</h2>{"".join(rows)}' for noun, rows in sorted(by_noun.items()))
    links = " · ".join(f'<a href="#{noun}">{noun}</a>' for noun in sorted(by_noun))
    return f"""<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title><style>{STYLE}</style>
<h1>{title}</h1><p>{escape(document["info"]["description"])}</p>
<p><a href="/schema/openapi.json">The OpenAPI document</a></p><p>{links}</p>{parts}</html>""".encode()


def noun_of(path: str) -> str:
    """The noun of an operation: the part of its path after `/api`."""
    parts = path.strip("/").split("/")
    return parts[1] if parts[0] == "api" else parts[0]


def _operation(path: str, method: str, operation: dict[str, Any]) -> str:
    text, _, access = operation["description"].partition("\n\nAccess: ")
    rows = "".join(_parameter(parameter) for parameter in operation.get("parameters", []))
    parts = [f"<p>{escape(text)}</p>", f"<table>{rows}</table>" if rows else "", _body(operation.get("requestBody"))]
    parts += [_response(status, response) for status, response in sorted(operation["responses"].items())]
    access_note = f'<span class="access">{escape(access.rstrip("."))}</span>'
    summary = f"<summary><code>{method.upper()} {escape(path)}</code> {escape(text)} {access_note}</summary>"
    return f"<details>{summary}<div>{''.join(parts)}</div></details>"


def _parameter(parameter: dict[str, Any]) -> str:
    needed = "required" if parameter.get("required") else "optional"
    text = parameter.get("description") or parameter["schema"].get("description", "")
    return (
        f"<tr><td><code>{escape(parameter['name'])}</code></td><td>{parameter['in']}, {needed}</td>"
        f"<td>{escape(text)}</td><td><code>{escape(str(parameter.get('example', '')))}</code></td></tr>"
    )


def _body(body: dict[str, Any] | None) -> str:
    return "" if body is None else f"<p>Body</p>{_content(body['content'])}"


def _response(status: str, response: dict[str, Any]) -> str:
    heading = f"<p>{status} {HTTPStatus(int(status)).phrase}</p>"
    content = response.get("content", {})
    refusals = [row for media in content.values() for row in media.get("examples", {}).items()]
    rows = "".join(f"<tr><td><code>{code}</code></td><td>{escape(example['summary'])}</td></tr>" for code, example in refusals)
    return f"{heading}<table>{rows}</table>" if rows else f"{heading}{_content(content)}"


def _content(content: dict[str, Any]) -> str:
    return "".join(
        f"<p><code>{kind}</code></p>{_example(media['example'])}" for kind, media in content.items() if "example" in media
    )


def _example(example: object) -> str:
    shown = example if isinstance(example, str) else json.dumps(example, indent=2, ensure_ascii=False)
    return f"<pre>{escape(shown)}</pre>"
