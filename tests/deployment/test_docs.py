"""The documentation: it builds without a warning, and a reader needs no network."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tapwire_contracts.reasons import DenyReason, Outcome
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


def test_every_setting_is_in_the_readme_or_is_a_limit_of_the_rules() -> None:
    readme, rules = (ROOT / "README.md").read_text(), (ROOT / "docs" / "SYSTEM.md").read_text()

    for name in Settings.model_fields:
        assert f"{PREFIX}{name.upper()}" in readme or f"`{name}`" in rules or name in rules, name
