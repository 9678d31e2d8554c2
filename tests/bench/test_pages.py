"""The figures on the pages are those that were measured."""

from pathlib import Path

import msgspec
import pytest

from tests.bench import pages
from tests.bench.pages import DOCS, FIGURES, KINDS, PAGES, PARTS, filled


@pytest.mark.parametrize("name", PAGES)
def test_a_page_has_the_figures_of_its_source(name: str) -> None:
    page = (DOCS / name).read_text(encoding="utf-8")

    assert "<!-- figures: " in page
    assert filled(page) == page


def test_all_figures_have_their_part_of_a_page(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    together = "".join((DOCS / name).read_text(encoding="utf-8") for name in PAGES)
    for name, (_, sources) in PARTS.items():
        if all((FIGURES / f"{source}.json").exists() for source in sources):
            assert f"<!-- figures: {name} -->" in together

    for source in (file for file in FIGURES.glob("*.json")):
        figures = msgspec.json.decode(source.read_bytes(), type=KINDS[source.stem])
        monkeypatch.setattr(pages, "FIGURES", tmp_path)
        pages.keep_figures(source.stem, figures, tmp_path)
        assert (tmp_path / source.name).read_bytes() == source.read_bytes()


def test_a_page_without_figures_stays_as_it_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(pages, "FIGURES", tmp_path)
    page = "# A page\n\n<!-- figures: taps -->\n\nby hand\n\n<!-- /figures -->\n\nmore\n"

    assert filled(page) == page
