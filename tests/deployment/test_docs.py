"""The documentation: it builds without a warning, and a reader needs no network."""

import base64
import re
import subprocess
import sys
import time
from argparse import ArgumentParser, _SubParsersAction
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, Final

import pytest

from tapwire_admin.__main__ import parser as admin_parser
from tapwire_contracts.reasons import AuditAction, DenyReason, EndReason, IncidentKind, Outcome, Phase, WebhookEventType
from tapwire_core.__main__ import parser as core_parser
from tapwire_core.db.tables import Tap, Venue
from tapwire_core.domain.webhooks import SECRET_BYTES, SECRET_PREFIX, sign_with_all
from tapwire_core.settings import PREFIX, Settings
from tapwire_node.__main__ import parser as node_parser
from tapwire_node.controller.limits import Limits

ROOT = Path(__file__).parents[2]
DECISIONS: Final = ROOT / "docs" / "decisions"
CORE: Final = "core-service/src/tapwire_core"
ADMIN: Final = "admin-api/src/tapwire_admin"
FOLDERS: Final = (
    ".github",
    "contracts",
    "core-service",
    "tap-node",
    "admin-api",
    "conformance",
    "demo",
    "tests",
    "deploy",
    "broker-config",
    "docs",
    "requirements",
)
HEADINGS: Final = ("Money", "MQTT", "Database", "Node", "Console", "Operations")
DECISION: Final = re.compile(
    r"(?P<title>[^\n]+)\n\n\*(?P<date>20\d\d-\d\d-\d\d) · (?P<status>(?:accepted|superseded by \[)[^\n]*)\*\n\n"
    r"\*\*Context\.\*\* .+?\n\n\*\*Decision\.\*\* .+?\n\n\*\*Consequences\.\*\* .+?\n*",
    re.DOTALL,
)
WORD: Final = re.compile(r"`(\w+)`")
LOADS: Final = {
    "16 taps that pour without any pause": "closed loop, 16 taps",
    "64 taps without any pause": "closed loop, 64 taps",
    "256 taps without any pause": "closed loop, 256 taps",
    "16 taps at a third of one worker's rate": "a third of one worker's rate",
}
"""The rows of scaling.md, and those of performance.md that they are made from."""
ADDRESS: Final = re.compile(r"^(?:[a-z][a-z0-9+.-]*:)?//|^(?:mailto|tel|javascript):", re.IGNORECASE)
LOADING: Final = {"script": "src", "img": "src", "iframe": "src", "source": "srcset", "use": "href", "image": "href"}
"""Elements that load the address of an attribute; links do so by their `rel`."""


class SitePage(HTMLParser):
    """The addresses and ids of one page of the site."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.links: list[str] = []
        self.ids: set[str] = set()
        self.menu: list[str] = []
        self._nav = 0
        self.feed(file.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.ids |= {given[name] for name in ("id", "name") if name in given}
        self._nav += tag == "nav"
        if tag in LOADING and given.get(LOADING[tag]):
            self.loaded.append(given[LOADING[tag]])
        elif tag == "link" and given.get("rel") not in ("prev", "next", "canonical"):
            self.loaded.append(given["href"])
        elif tag == "a" and "href" in given:
            self.links.append(given["href"])
            if self._nav:
                self.menu.append(given["href"])

    def handle_endtag(self, tag: str) -> None:
        self._nav -= tag == "nav"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built strictly."""
    folder = tmp_path_factory.mktemp("docs") / "site"
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def parsed(site: Path) -> dict[Path, SitePage]:
    """Every page of the site."""
    return {file: SitePage(file) for file in site.glob("**/*.html") if file.name != "404.html"}


def test_no_page_loads_anything_from_elsewhere(site: Path, parsed: dict[Path, SitePage]) -> None:
    assert len(parsed) > 15
    assert {file.name: one.loaded for file, one in parsed.items() if any(map(ADDRESS.match, one.loaded))} == {}
    for file, one in parsed.items():
        assert [name for name in one.loaded if not (file.parent / name.partition("#")[0]).is_file()] == []
        assert 'class="mermaid' not in file.read_text()
    for sheet in site.glob("**/*.css"):
        assert re.findall(r"(?:url\(|@import )[\"']?(?:\w+:)?//", sheet.read_text()) == []


def test_every_link_of_the_site_leads_to_a_page_and_a_place_that_there_are(parsed: dict[Path, SitePage]) -> None:
    broken = []
    for file, one in parsed.items():
        for link in one.links:
            if ADDRESS.match(link):
                continue
            name, _, place = link.partition("#")
            to = (file.parent / name).resolve() if name else file
            if not to.is_file() or (place and to in parsed and place not in parsed[to].ids):
                broken.append(f"{file.name}: {link}")

    assert broken == []


def test_every_page_of_the_site_is_in_the_menu(site: Path, parsed: dict[Path, SitePage]) -> None:
    listed = {(site / link.partition("#")[0]).resolve() for link in parsed[site / "concepts.html"].menu if not ADDRESS.match(link)}

    assert {file.name for file in parsed if file.resolve() not in listed} == set()


def test_the_reference_has_routes_and_payloads(site: Path) -> None:
    rest = (site / "reference" / "rest.html").read_text()

    assert "POST /api/visits/open-and-assign-card" in rest
    assert "pour_completed" in (site / "reference" / "mqtt.html").read_text()


def test_the_page_about_webhooks_names_every_event_and_its_code_verifies_what_is_signed() -> None:
    page = (ROOT / "docs" / "webhooks.md").read_text()
    (code,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    given: dict[str, Any] = {}
    exec(code, given)
    secret, now, body = f"{SECRET_PREFIX}{base64.b64encode(b'k' * SECRET_BYTES).decode()}", int(time.time()), '{"a": "ж"}'

    def verified(signature: str, timestamp: int = now) -> bool:
        headers = {"webhook-id": "1", "webhook-timestamp": str(timestamp), "webhook-signature": signature}
        return bool(given["verify"](secret, headers, body.encode()))

    assert [kind for kind in WebhookEventType if f"`{kind}`" not in page] == []
    assert verified(sign_with_all([secret], "1", now, body))
    assert verified(sign_with_all([f"{SECRET_PREFIX}AAAA", secret], "1", now, body))
    assert not verified(sign_with_all([secret], "2", now, body))
    assert not verified(sign_with_all([secret], "1", now - 600, body), now - 600)


def test_every_setting_and_every_command_says_what_it_is_for(site: Path) -> None:
    settings, commands = rows(site / "reference" / "settings.html"), (site / "reference" / "commands.html").read_text()
    meanings = {name: meaning for name, _, meaning in settings if name.startswith(PREFIX)}

    assert meanings.keys() == {f"{PREFIX}{name.upper()}" for name in Settings.model_fields}
    assert [name for name, meaning in meanings.items() if not meaning] == []
    for program in (core_parser(), admin_parser(), node_parser()):
        described = re.findall(rf'<h3 id="[^"]*">{program.prog} ([\w-]+)<.*?</h3>\s*<p>\S', commands)
        assert set(described) == subcommands_of(program)


def test_the_contract_names_only_commands_that_there_are() -> None:
    (listed,) = re.findall(r"^```\n(tapwire-core migrate.*?)^```", page("CONTRACT.md"), re.MULTILINE | re.DOTALL)
    there = {program.prog: subcommands_of(program) for program in (core_parser(), admin_parser(), node_parser())}

    for line in listed.splitlines():
        program, _, rest = line.partition(" ")
        if program in there:
            named = {command.split()[0] for command in re.split(r" \| ", re.split(r" {3,}", rest)[0])}
            assert named - there[program] == set()


def test_the_rules_name_every_reason_to_deny_a_card_in_the_order_of_the_code() -> None:
    section = page("SYSTEM.md").partition("## Authorisation")[2].partition("\n## ")[0]
    named = [word for row in re.findall(r"^\| `AUTH-\d+` \| ([^|]+) \|", section, re.MULTILINE) for word in WORD.findall(row)]

    assert named == [reason.value for reason in DenyReason]


def test_the_rules_name_every_outcome_of_a_report() -> None:
    section = page("SYSTEM.md").partition("## Settlement")[2].partition("\n## ")[0]

    assert [outcome for outcome in Outcome if f"`{outcome}`" not in section] == []


def test_the_limits_of_the_rules_are_the_defaults_of_the_code() -> None:
    table = page("SYSTEM.md").partition("## Limits")[2].partition("\n## ")[0]
    defaults = {
        **{name: field.default for name, field in Settings.model_fields.items()},
        "request_timeout_ms": Limits().request_timeout_ms,
        "node_heartbeat_ms": Limits().node_heartbeat_ms,
        "max_pour_ml": Tap.model_fields["max_pour_ml"].default,
        "legal_age": Venue.model_fields["legal_age"].default,
    }
    rows = re.findall(r"^\| (`[^|]+) \| ([^|]+) \|", table, re.MULTILINE)
    said = {
        name: int(number.replace(",", ""))
        for names, numbers in rows
        for name, number in zip(WORD.findall(names), numbers.split(" / "), strict=True)
    }

    assert len(said) == 20
    assert said == {name: defaults[name] for name in said}


def test_the_reference_has_every_word_of_each_closed_set(site: Path) -> None:
    words = (site / "reference" / "words.html").read_text()

    for closed_set in (DenyReason, Outcome, IncidentKind, AuditAction, WebhookEventType):
        assert [word for word in closed_set if f"<code>{word}</code>" not in words] == []


def test_pages_that_list_words_of_a_closed_set_name_words_that_there_are() -> None:
    operators, home, contract = page("operators.md"), page("home-assistant.md"), " ".join(page("CONTRACT.md").split())
    incidents = operators.partition("## Incidents")[2]

    assert {word for row in re.findall(r"^\| (`[^|]+) \|", incidents, re.MULTILINE) for word in WORD.findall(row)} <= {
        *IncidentKind
    }
    assert f"`{' '.join(Phase)}`" in home
    assert f"`{' '.join(Phase)}`" in contract
    assert f"`{' '.join(EndReason)}`" in contract


def test_the_figures_to_plan_with_are_those_that_were_measured() -> None:
    measured, planned = page("performance.md"), page("scaling.md")

    for load, case in LOADS.items():
        rate, authorise = re.findall(rf"^\| {case} \| \d+ \| 1 \| ([\d.]+) \| ([\d./ ]+) \|", measured, re.MULTILINE)[0]
        p50, _, p99 = authorise.split(" / ")
        row = f"| {load} | {float(rate):.0f} pours a second | half within {float(p50):.0f} ms, 99 % within {float(p99):.0f} |"
        assert row in planned
    (offline,) = re.findall(r"reports of taps that were offline \| ([\d,]+)", measured)
    (screen,) = re.findall(r"event to screen: 50 taps pour.*?p95 (\d+) ms", measured)
    assert f"{offline} reports a second" in planned
    assert f"95 % within {screen} ms" in planned


def test_every_decision_has_its_parts_and_a_line_in_the_index() -> None:
    index, found = (DECISIONS / "index.md").read_text(), 0

    for file in sorted(DECISIONS.glob("*-*.md")):
        about, *decisions = re.split(r"^## ", file.read_text(), flags=re.MULTILINE)
        assert about.startswith(tuple(f"# {heading}: " for heading in HEADINGS)), file.name
        listed = index.partition(f"]({file.name})\n\n")[2].partition("\n\n")[0].splitlines()
        expected = []
        for decision in decisions:
            parts = DECISION.fullmatch(decision)
            assert parts, f"{file.name}: {decision}"
            expected.append(f"- {parts['title']} ({parts['date']}{', superseded' if 'superseded' in parts['status'] else ''})")
        assert listed == expected, file.name
        found += len(decisions)
    assert found > 100
    assert re.findall(r"^## (.+)$", index, re.MULTILINE) == list(HEADINGS)


def test_every_file_of_the_code_that_a_page_names_is_there() -> None:
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    there = [str(file) for folder in FOLDERS for file in (ROOT / folder).rglob("*.*")]
    short = {"core/": f"{CORE}/", "admin/": f"{ADMIN}/", "contracts/": "contracts/src/tapwire_contracts/"}
    missing = []
    for file in pages:
        for name in re.findall(r"`([\w./-]+\.(?:py|html|css|sql|yml))`", file.read_text().replace("NOUN", "cards")):
            names = {name, *(full + name.removeprefix(prefix) for prefix, full in short.items() if name.startswith(prefix))}
            if not any(path == one or path.endswith(f"/{one}") for path in there for one in names):
                missing.append(f"{file.name}: {name}")

    assert missing == []


def test_the_way_in_stays_short() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= 120
    assert len((ROOT / "ARCHITECTURE.md").read_text().splitlines()) <= 150


def page(name: str) -> str:
    """A page of the documentation as it is written."""
    return (ROOT / "docs" / name).read_text(encoding="utf-8")


def rows(file: Path) -> list[tuple[str, ...]]:
    """The rows of three cells in a page of the site, without their markup."""
    found = re.findall(r"<tr>\s*<td>(.*?)</td>\s*<td>(.*?)</td>\s*<td>(.*?)</td>\s*</tr>", file.read_text(), re.DOTALL)
    return [tuple(re.sub(r"<[^>]+>", "", cell) for cell in cells) for cells in found]


def subcommands_of(program: ArgumentParser) -> set[str]:
    """The commands that a program knows."""
    return {name for action in program._actions if isinstance(action, _SubParsersAction) for name in action.choices}
