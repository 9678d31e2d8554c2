"""Dashboard and alert rules: they parse, and name only metrics and labels' values that there are."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml
from prometheus_client import CollectorRegistry, generate_latest

from tapwire_admin.metrics import RequestMetrics
from tapwire_core.commands.backup_folder import BackupCollector
from tapwire_core.db.views.monitoring import PENDING_AGES_S, DeviceGauges, InstallationGauges, ProgramGauges, WebhookGauges
from tapwire_core.monitoring.metrics import BooksMetrics, DecisionMetrics, WebhookMetrics, WorkerMetrics

DEPLOY = Path(__file__).parents[2] / "deploy"
ALERTS = yaml.safe_load((DEPLOY / "prometheus" / "alerts.yml").read_text())
DASHBOARD = json.loads((DEPLOY / "grafana" / "dashboards" / "tapwire.json").read_text())
SCRAPES = {"up"}
"""Metrics that Prometheus itself adds."""
_NAME = re.compile(r"\b(tapwire_[a-z_]+|up)\b(?=[{\[)\s]|$)")
_VALUE = re.compile(r'(\w+)(=~?)"([^"]*)"')


def rules() -> list[dict[str, Any]]:
    return [rule for group in ALERTS["groups"] for rule in group["rules"]]


def expressions() -> Iterator[tuple[str, str]]:
    for rule in rules():
        yield rule["alert"], rule["expr"]
    for panel in DASHBOARD["panels"]:
        for target in panel["targets"]:
            yield panel["title"], target["expr"].replace("$__rate_interval", "5m")


def exposed() -> str:
    """All that core and admin show, each of them once it has had something to show."""
    worker, admin = WorkerMetrics(), RequestMetrics()
    DecisionMetrics(admin.registry)
    admin._seconds.labels("GET", "/api/taps", "200").observe(0.1)
    books = BooksMetrics(worker.registry)
    books._differences.labels("a rule").set(0)
    device = DeviceGauges(path="bar/taps/left", online=True, facts_open=0, contract_version=None)
    webhook = WebhookGauges(webhook_id="9c", waiting=0, oldest_waiting_ms=0, failures=0, failing_ms=0)
    WebhookMetrics(worker.registry)
    worker.registry.register(BackupCollector(DEPLOY))
    programs = (ProgramGauges(program="core", heartbeat_ms=0),)
    books._gauges.latest = InstallationGauges(tuple(0 for _ in PENDING_AGES_S), {}, (device,), 0, 0, (webhook,), programs)
    registries: list[CollectorRegistry] = [worker.registry, admin.registry]
    return "".join(generate_latest(registry).decode() for registry in registries)


EXPOSED = exposed()
NAMES = {re.split(r"[{ ]", line)[0] for line in EXPOSED.splitlines() if not line.startswith("#")}


@pytest.mark.parametrize(("title", "expression"), list(expressions()), ids=lambda text: text[:40])
def test_each_expression_is_promql_and_names_only_metrics_that_there_are(title: str, expression: str) -> None:
    promql_parser.parse(expression)

    named = set(_NAME.findall(expression))
    assert named, title
    assert named <= NAMES | SCRAPES


@pytest.mark.parametrize(("title", "expression"), list(expressions()), ids=lambda text: text[:40])
def test_each_label_that_is_asked_for_has_such_a_value(title: str, expression: str) -> None:
    for label, operator, wanted in _VALUE.findall(expression):
        if label in ("job", "status"):
            continue
        values = set(re.findall(rf'\b{label}="([^"]*)"', EXPOSED))
        assert any(re.fullmatch(wanted, value) if operator == "=~" else value == wanted for value in values), (title, label)


def test_each_alert_says_how_urgent_it_is_and_what_to_do() -> None:
    for rule in rules():
        assert rule["labels"]["severity"] in ("page", "ticket"), rule["alert"]
        assert rule["annotations"].keys() == {"summary", "action"}, rule["alert"]
    names = [rule["alert"] for rule in rules()]
    assert len(names) == len(set(names))


def test_prometheus_finds_its_rules_and_grafana_its_source_and_dashboard() -> None:
    prometheus = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text())
    sources = yaml.safe_load((DEPLOY / "grafana/provisioning/datasources/prometheus.yml").read_text())["datasources"]

    assert all((DEPLOY / "prometheus" / file).exists() for file in prometheus["rule_files"])
    assert {panel["datasource"]["uid"] for panel in DASHBOARD["panels"]} == {sources[0]["uid"]}
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])
