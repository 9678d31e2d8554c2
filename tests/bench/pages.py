"""The parts of the documentation's pages that are made of figures: `docs/figures` is their one source.

`make bench DOCS=1` and `make scale DOCS=1` write there, and fill each part anew: what stands between `<!-- figures: NAME -->` and
`<!-- /figures -->`. A test fails when a page has something else there.
"""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec

from tests.bench.report import Figures, as_text, load_text
from tests.bench.stage import ROOT
from tests.scale.report import HistoryReport, TapsReport, history_text, paper_text, partitions_text, taps_text

DOCS: Final = ROOT / "docs"
FIGURES: Final = DOCS / "figures"
PERFORMANCE: Final = "performance"
TAPS: Final = "taps"
HISTORY: Final = "history"
KINDS: Final[Mapping[str, Any]] = {PERFORMANCE: Figures, TAPS: TapsReport, HISTORY: HistoryReport}
PARTS: Final[Mapping[str, tuple[Callable[..., str], tuple[str, ...]]]] = {
    "performance": (as_text, (PERFORMANCE,)),
    "load": (load_text, (PERFORMANCE,)),
    "taps": (taps_text, (TAPS,)),
    "history": (history_text, (HISTORY,)),
    "partitions": (partitions_text, (HISTORY,)),
    "paper": (paper_text, (TAPS, HISTORY)),
}
"""How each part is written, and of which figures."""
PAGES: Final = ("performance.md", "scaling.md")
_PART: Final = re.compile(r"(?<=<!-- figures: )(\w+)( -->\n)(.*?)(?=<!-- /figures -->)", re.DOTALL)
T = TypeVar("T")


def keep_figures(name: str, figures: msgspec.Struct, folder: Path = FIGURES) -> None:
    """Write figures to where the pages take them from."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.json").write_bytes(msgspec.json.format(msgspec.json.encode(figures), indent=2) + b"\n")


def fill_pages() -> None:
    """Fill the parts of all pages."""
    for name in PAGES:
        file = DOCS / name
        file.write_text(filled(file.read_text(encoding="utf-8")), encoding="utf-8")


def filled(page: str) -> str:
    """The page with its parts written anew, of the figures that there are."""
    return _PART.sub(lambda part: f"{part[1]}{part[2]}{_written(part[1], part[3])}", page)


def _written(name: str, before: str) -> str:
    write, sources = PARTS[name]
    files = [FIGURES / f"{source}.json" for source in sources]
    if not all(file.exists() for file in files):
        return before
    figures = [msgspec.json.decode(file.read_bytes(), type=KINDS[source]) for file, source in zip(files, sources, strict=True)]
    return f"\n{write(*figures)}\n"
