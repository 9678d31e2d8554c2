"""Pages of the site that are made from the code, so that they can't say anything else than it does."""

from collections.abc import Iterator, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

import yaml
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from prometheus_client import CollectorRegistry

from tapwire_admin.app import create_app
from tapwire_admin.metrics import RequestMetrics
from tapwire_admin.openapi.document import complete
from tapwire_admin.openapi.page import METHODS
from tapwire_contracts.messages import ROUTES, Route, Sender, message_type
from tapwire_contracts.reasons import DENIAL_TEXTS, IncidentKind, Locale, Outcome, SyncStatus, WebhookEventType
from tapwire_contracts.schemas import payload_schema
from tapwire_contracts.topics import ROOT
from tapwire_core.db.engine import Database
from tapwire_core.domain.pours import TRANSITIONS as POUR_TRANSITIONS
from tapwire_core.monitoring.metrics import BooksMetrics, DecisionMetrics, WorkerMetrics
from tapwire_core.settings import PREFIX, Settings
from tapwire_node.controller.transitions import TRANSITIONS as NODE_TRANSITIONS

NAMED: Final = {
    "tap-node.md": "Building a tap",
    "console.md": "The console",
    "hardware.md": "Hardware",
    "bench.md": "Measured figures",
}
"""Titles of pages that the navigation takes up by themselves when they are there."""


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Put every page into the navigation that mkdocs.yml does not name."""
    named = str(config.nav)
    further = [file.name for file in sorted(Path(config.docs_dir).glob("*.md")) if file.name not in named]
    if further:
        assert config.nav is not None
        config.nav.insert(-1, {"More": [{NAMED.get(name, name.removesuffix(".md").capitalize()): name} for name in further]})
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are made from code."""
    for name, lines in pages().items():
        files.append(File.generated(config, f"reference/{name}.md", content="\n".join(lines) + "\n"))
    return files


def pages() -> dict[str, list[str]]:
    """Every generated page."""
    return {
        "states": list(_states()),
        "mqtt": list(_mqtt()),
        "rest": list(_rest()),
        "settings": list(_settings()),
        "words": list(_words()),
        "metrics": list(_metrics()),
    }


def _states() -> Iterator[str]:
    yield "# States\n\nGenerated from the tables that the programs work by.\n\n## A pour\n"
    yield "```text"
    yield f"  granted ──▶ {SyncStatus.PENDING_SYNC} ──┬── {'what happens':34}──▶ ends as"
    for (_, event), after in POUR_TRANSITIONS.items():
        yield f"{' ' * 27}├── {event.value + ' ':─<34}──▶ {after}"
    yield "```\n"
    yield "Every way out frees the hold and both leases in the transaction that takes it. The other states have none.\n"
    yield "## A tap node\n\nWhat a node in a phase does when something happens. A pair that is not here moves nothing.\n"
    yield from _table(
        ("phase", "event", "what it does"), ((p.value, e.__name__, _sentence(h)) for (p, e), h in NODE_TRANSITIONS.items())
    )


def _sentence(handler: Any) -> str:
    return str(handler.__doc__ or handler.__name__.replace("_", " ")).split("\n")[0]


def _mqtt() -> Iterator[str]:
    yield "# MQTT\n\nGenerated from the contract's code. The same as machines read it: `contracts/schema/asyncapi.json`.\n"
    for route in ROUTES:
        yield f"## `{_topic(route)}`\n"
        yield f"From {route.sender.value}, QoS {route.qos}, {'retained' if route.retain else 'not retained'}.\n"
        for payload in route.payloads:
            yield f"### {message_type(payload)}{' of a desk reader' if payload.__name__.startswith('Reader') else ''}\n"
            yield f"{(payload.__doc__ or '').strip()}\n"
            schema = payload_schema(payload)
            required = schema.get("required", [])
            rows = ((f"`{n}`", _type(p), "yes" if n in required else "") for n, p in schema["properties"].items())
            yield from _table(("field", "type", "required"), rows)


def _topic(route: Route) -> str:
    if route.sender is Sender.CORE and not route.kinds:
        return f"{ROOT}/core/{{instance_id}}/{route.leaf}"
    kinds = "|".join(kind.value for kind in route.kinds)
    return f"{ROOT}/{{venue}}/{kinds}/{{device}}/{route.leaf}"


def _type(schema: Mapping[str, Any]) -> str:
    if "anyOf" in schema:
        return " or ".join(_type(one) for one in schema["anyOf"])
    if "$ref" in schema:
        return str(schema["$ref"]).rsplit("/", 1)[-1]
    if "enum" in schema:
        return ", ".join(f"`{one}`" for one in schema["enum"])
    if schema.get("type") == "array":
        return f"list of {_type(schema.get('items', {}))}"
    return str(schema.get("format") or schema.get("type", "any"))


def _rest() -> Iterator[str]:
    app = create_app(Database.nowhere())
    schema = complete(app.openapi_schema.to_schema(), app)
    yield "# REST\n\nGenerated from the admin API, which shows the same at `/schema` and as OpenAPI at `/schema/openapi.json`.\n"
    nouns: dict[str, list[tuple[str, str, str]]] = {}
    for path, item in sorted(schema["paths"].items()):
        for method in METHODS:
            if method in item:
                text, _, access = item[method]["description"].partition("\n\nAccess: ")
                row = (f"`{method.upper()} {path}`", access.rstrip("."), text.split("\n")[0])
                nouns.setdefault(path.removeprefix("/api/").strip("/").split("/")[0], []).append(row)
    for noun, rows in nouns.items():
        yield f"## {noun}\n"
        yield from _table(("request", "who may", "what it does"), rows)


def _settings() -> Iterator[str]:
    yield "# Settings\n\nOf core and admin API, generated from their code. Each may come from a file: append `_FILE` to its name.\n"
    rows = (
        (f"`{PREFIX}{n.upper()}`", f"`{f.default}`" if not f.is_required() else "required")
        for n, f in Settings.model_fields.items()
    )
    yield from _table(("variable", "default"), rows)


def _words() -> Iterator[str]:
    yield "# Words\n\nThe closed sets of the contract, generated from its code.\n\n## Why a card is denied\n"
    rows = ((f"`{reason}`", texts[Locale.EN], texts[Locale.RU]) for reason, texts in DENIAL_TEXTS.items())
    yield from _table(("reason", "English", "Russian"), rows)
    yield from _set("Verdicts on reports", Outcome)
    yield from _set("Incidents", IncidentKind)
    yield from _set("Webhooks' events", WebhookEventType)


def _set(title: str, members: type[StrEnum]) -> Iterator[str]:
    yield f"## {title}\n"
    yield from (f"- `{member}`" for member in members)
    yield ""


def _metrics() -> Iterator[str]:
    worker, admin = WorkerMetrics(), RequestMetrics()
    DecisionMetrics(admin.registry)
    BooksMetrics(worker.registry)
    yield "# Metrics and alerts\n\nGenerated from the code and from `deploy/prometheus/alerts.yml`.\n"
    for title, registry in (("Core worker", worker.registry), ("Admin API", admin.registry)):
        yield f"## {title}\n"
        yield from _table(("metric", "kind", "what it says"), _families(registry))
    alerts = yaml.safe_load((Path(__file__).parents[2] / "deploy/prometheus/alerts.yml").read_text(encoding="utf-8"))
    yield "## Alerts\n"
    rules = (rule for group in alerts["groups"] for rule in group["rules"])
    rows = ((rule["alert"], rule["labels"]["severity"], rule["annotations"]["action"]) for rule in rules)
    yield from _table(("alert", "how urgent", "what to do"), rows)


def _families(registry: CollectorRegistry) -> Iterator[tuple[str, str, str]]:
    for family in sorted(registry.collect(), key=lambda one: one.name):
        name = family.name + ("_total" if family.type == "counter" else "")
        yield f"`{name}`", family.type, family.documentation


def _table(heads: tuple[str, ...], rows: Any) -> Iterator[str]:
    yield "| " + " | ".join(heads) + " |"
    yield "|" + "---|" * len(heads)
    for row in rows:
        yield "| " + " | ".join(str(cell).replace("|", "\\|").replace("\n", " ") for cell in row) + " |"
    yield ""
