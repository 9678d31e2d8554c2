"""The documentation: it builds without a warning, and a reader needs no network."""

import base64
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tapwire_contracts.reasons import DenyReason, Outcome, WebhookEventType
from tapwire_core.domain.webhooks import SECRET_BYTES, SECRET_PREFIX, sign_with_all
from tapwire_core.settings import PREFIX, Settings

ROOT = Path(__file__).parents[2]
LOADED = re.compile(
    r'<(?:script|img|iframe|source)[^>]*\bsrc="(\w+:)?//|<link[^>]*rel="(?:stylesheet|preconnect|icon)"[^>]*href="(\w+:)?//'
)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built strictly."""
    folder = tmp_path_factory.mktemp("docs") / "site"
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder


def test_no_page_loads_anything_from_elsewhere(site: Path) -> None:
    pages = list(site.glob("**/*.html"))

    assert len(pages) > 15
    assert {page.name: LOADED.search(page.read_text()) for page in pages if LOADED.search(page.read_text())} == {}
    for sheet in site.glob("**/*.css"):
        assert "url(http" not in sheet.read_text()


def test_the_reference_has_every_setting_reason_outcome_and_route(site: Path) -> None:
    settings = (site / "reference" / "settings.html").read_text()
    words = (site / "reference" / "words.html").read_text()
    rest = (site / "reference" / "rest.html").read_text()

    assert all(f"{PREFIX}{name.upper()}" in settings for name in Settings.model_fields)
    assert all(word.value in words for word in (*DenyReason, *Outcome))
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


def test_every_setting_is_in_the_readme_or_is_a_limit_of_the_rules() -> None:
    readme, rules = (ROOT / "README.md").read_text(), (ROOT / "docs" / "SYSTEM.md").read_text()

    for name in Settings.model_fields:
        assert f"{PREFIX}{name.upper()}" in readme or f"`{name}`" in rules or name in rules, name
