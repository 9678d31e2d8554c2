"""The site's reference pages, made from the code."""

import argparse
import ast
import inspect
import re
import sys
import textwrap
from collections.abc import Iterator, Mapping
from enum import StrEnum
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import msgspec
import yaml
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from prometheus_client import CollectorRegistry

from tapwire_admin.__main__ import parser as admin_parser
from tapwire_admin.app import create_app
from tapwire_admin.console.audit_labels import ACTIONS
from tapwire_admin.console.incident_labels import INCIDENT_HINTS, INCIDENTS, SEVERITIES
from tapwire_admin.metrics import RequestMetrics
from tapwire_admin.openapi.document import complete
from tapwire_admin.openapi.page import METHODS
from tapwire_conformance.__main__ import parser as conformance_parser
from tapwire_contracts.denials import DENIALS
from tapwire_contracts.messages import ROUTES, Route, Sender, message_type
from tapwire_contracts.reasons import AuditAction, IncidentKind, Outcome, WebhookEventType
from tapwire_contracts.schemas import payload_schema
from tapwire_contracts.topics import ROOT
from tapwire_core.__main__ import parser as core_parser
from tapwire_core.commands.backup_folder import BackupCollector
from tapwire_core.db.engine import Database
from tapwire_core.monitoring.metrics import BooksMetrics, DecisionMetrics, WorkerMetrics
from tapwire_core.settings import PREFIX, Settings
from tapwire_node import settings as node_settings
from tapwire_node.__main__ import parser as node_parser
from tapwire_node.controller.limits import Limits
from tapwire_node.controller.transitions import TRANSITIONS as NODE_TRANSITIONS
from tapwire_node.fleet import parser as fleet_parser
from tapwire_node.hardware.settings import GpioHardware, Mfrc522Hardware, PcscHardware, SimulatedHardware
from tapwire_node.simulator.__main__ import parser as simulator_parser
from tapwire_node.simulator.rig import parser as rig_parser

sys.path.insert(0, str(Path(__file__).parent))
from drawings import inline_made

DECISIONS: Final = "decisions"
TAP_TOML: Final[Mapping[str, type]] = {
    "tap": node_settings.TapSettings,
    "broker": node_settings.BrokerSettings,
    "journal": node_settings.JournalSettings,
    'hardware]` with `driver = "gpio"': GpioHardware,
    'hardware]` with `driver = "simulated"': SimulatedHardware,
    'hardware]` with `driver = "mfrc522"': Mfrc522Hardware,
    'hardware]` with `driver = "pcsc"': PcscHardware,
    "pairing": node_settings.PairingSettings,
    "limits": Limits,
    "process": node_settings.ProcessSettings,
}
"""The tables of tap.toml."""


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Add the decisions to the navigation, as their index lists them."""
    assert config.nav is not None
    folder = Path(config.docs_dir) / DECISIONS
    config.nav.append({"Decisions": [f"{DECISIONS}/index.md", *(f"{DECISIONS}/{name}" for name in _listed(folder / "index.md"))]})
    return config


def _listed(index: Path) -> list[str]:
    return re.findall(r"\]\(([\w-]+\.md)\)", index.read_text(encoding="utf-8"))


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
        "commands": list(_commands()),
        "words": list(_words()),
        "metrics": list(_metrics()),
    }


def _states() -> Iterator[str]:
    yield "# States\n\nMade from the tables that the programs work by.\n\n## A pour\n"
    yield f"{inline_made('pour-states.svg')}\n"
    yield "Every way out frees the hold and both leases in the transaction that takes it. The other states have none.\n"
    yield "## A tap node\n\nThe reaction of each phase to each event. A pair that is not here changes nothing.\n"
    yield from _table(
        ("phase", "event", "what it does"), ((p.value, e.__name__, _sentence(h)) for (p, e), h in NODE_TRANSITIONS.items())
    )


def _sentence(handler: Any) -> str:
    return str(handler.__doc__ or handler.__name__.replace("_", " ")).split("\n")[0]


def _mqtt() -> Iterator[str]:
    yield "# MQTT\n\nMade from the contract's code. The same as machines read it: `contracts/schema/asyncapi.json`.\n"
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
    yield "# REST\n\nMade from the admin API, which shows the same at `/schema` and as OpenAPI at `/schema/openapi.json`.\n"
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
    yield "# Settings\n\nCore and admin API read `TAPWIRE_*` variables, a tap node reads one `tap.toml`. Made from the code.\n"
    yield "## Core and admin API\n"
    yield f"Variables come from the environment or from a file of such lines that `{PREFIX}SETTINGS_FILE` names. Each may have"
    yield f"a file of its own: `{PREFIX}DATABASE_URL_FILE=/run/secrets/database_url`. The environment wins.\n"
    meanings = _attribute_docs(Settings)
    rows = (
        (f"`{PREFIX}{name.upper()}`", "required" if field.is_required() else _default(field.default), meanings.get(name, ""))
        for name, field in Settings.model_fields.items()
    )
    yield from _table(("variable", "default", "meaning"), rows)
    yield "## tap.toml\n"
    yield f"```text\n{inspect.cleandoc(node_settings.__doc__ or '')}\n```\n"
    for name, table in TAP_TOML.items():
        yield f"### `[{name}`\n" if "`" in name else f"### `[{name}]`\n"
        yield f"{inspect.cleandoc(table.__doc__ or '')}\n"
        meanings = _attribute_docs(table)
        rows = ((f"`{one.name}`", _toml_default(one), meanings.get(one.name, "")) for one in msgspec.structs.fields(table))
        yield from _table(("setting", "default", "meaning"), rows)


def _attribute_docs(kind: type) -> dict[str, str]:
    """The strings below a class's fields, its parents' included."""
    found: dict[str, str] = {}
    for one in reversed(kind.__mro__[:-1]):
        if not one.__module__.startswith("tapwire_"):
            continue
        (body,) = [node.body for node in ast.parse(textwrap.dedent(inspect.getsource(one))).body if isinstance(node, ast.ClassDef)]
        for field, below in pairwise(body):
            match field, below:
                case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                    found[name] = inspect.cleandoc(text)
    return found


def _default(value: object) -> str:
    match value:
        case None | "":
            return ""
        case bool():
            return f"`{str(value).lower()}`"
        case _:
            return f"`{value}`"


def _toml_default(field: msgspec.structs.FieldInfo) -> str:
    return "required" if field.required else _default(field.default)


def _commands() -> Iterator[str]:
    yield "# Commands\n\nWhat each program is told on its command line, made from the code. `--help` prints the same.\n"
    for program in (
        core_parser(),
        admin_parser(),
        node_parser(),
        simulator_parser(),
        rig_parser(),
        fleet_parser(),
        conformance_parser(),
    ):
        yield f"## {program.prog}\n"
        yield f"{program.description}\n"
        helps, commands = _subcommands(program)
        if not commands:
            yield from _command(program)
        for name, command in commands.items():
            yield f"### {command.prog}\n"
            yield f"{_as_sentence(helps[name])}\n"
            yield from _command(command)


def _subcommands(program: argparse.ArgumentParser) -> tuple[dict[str, str], Mapping[str, argparse.ArgumentParser]]:
    for action in program._actions:
        if isinstance(action, argparse._SubParsersAction):
            return {choice.dest: choice.help or "" for choice in action._choices_actions}, action.choices
    return {}, {}


def _command(command: argparse.ArgumentParser) -> Iterator[str]:
    usage = " ".join(command.format_usage().removeprefix("usage: ").split())
    yield f"```text\n{usage.replace(' [-h]', '')}\n```\n"
    rows = [
        (f"`{', '.join(one.option_strings) or one.dest}`", _argument_default(one), _meaning(one))
        for one in command._actions
        if not isinstance(one, argparse._HelpAction)
    ]
    if rows:
        yield from _table(("argument", "default", "meaning"), rows)


def _argument_default(action: argparse.Action) -> str:
    return "required" if action.required else _default(action.default or None)


def _meaning(action: argparse.Action) -> str:
    choices = ", ".join(f"`{choice}`" for choice in action.choices or ())
    return ": ".join(part for part in (action.help, choices) if part)


def _as_sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."


def _words() -> Iterator[str]:
    yield "# Words\n\nThe closed sets of the contract: everything that a field of this kind can say. Made from the code.\n"
    yield "## Why a card is denied\n"
    denials = ((f"`{reason}`", denial.en, denial.ru) for reason, denial in DENIALS.items())
    yield from _table(("reason", "English", "Russian"), denials)
    yield from _set("Verdicts on reports", Outcome)
    yield "## Incidents\n"
    yield "`urgent`: beer flows now, or a guest or tap is stuck. `money`: a person must book it. `watch`: it can wait.\n"
    incidents = ((f"`{kind}`", INCIDENTS[kind], SEVERITIES[kind], INCIDENT_HINTS[kind]) for kind in IncidentKind)
    yield from _table(("kind", "the console says", "how soon", "what to do"), incidents)
    yield "## The audit log\n"
    yield from _table(("action", "the console says"), ((f"`{action}`", ACTIONS[action]) for action in AuditAction))
    yield from _set("Webhooks' events", WebhookEventType)


def _set(title: str, members: type[StrEnum]) -> Iterator[str]:
    yield f"## {title}\n"
    yield from (f"- `{member}`" for member in members)
    yield ""


def _metrics() -> Iterator[str]:
    worker, admin = WorkerMetrics(), RequestMetrics()
    DecisionMetrics(admin.registry)
    BooksMetrics(worker.registry)
    worker.registry.register(BackupCollector(Path()))
    yield "# Metrics and alerts\n\nMade from the code and from `deploy/prometheus/alerts.yml`.\n"
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
