"""The parts of the console that others make: taken from `node_modules` into `vendor/`, by `make console`, and served from there.

`package.json` says which libraries, `package-lock.json` which bytes of them. Nothing comes from anywhere else when a page is read.
"""

import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

VENDOR: Final = Path(__file__).parent / "vendor"
NODE_MODULES: Final = Path("node_modules")

_INTER: Final = "@fontsource-variable/inter"
SCRIPTS: Final[Mapping[str, str]] = {
    "htmx.js": "htmx.org/dist/htmx.min.js",
    "idiomorph.js": "idiomorph/dist/idiomorph-ext.min.js",
    "uplot.js": "uplot/dist/uPlot.iife.min.js",
    "uplot.css": "uplot/dist/uPlot.min.css",
    **{
        f"inter-{subset}.woff2": f"{_INTER}/files/inter-{subset}-wght-normal.woff2" for subset in ("latin", "latin-ext", "cyrillic")
    },
}
"""What is served, and where it lies below `node_modules`."""
LICENCES: Final[Mapping[str, str]] = {
    f"LICENSE-{name}.txt": f"{package}/LICENSE"
    for name, package in (
        ("htmx", "htmx.org"),
        ("idiomorph", "idiomorph"),
        ("inter", _INTER),
        ("lucide", "lucide-static"),
        ("uplot", "uplot"),
    )
}
"""The licences' texts, which must go wherever the libraries go."""

ICONS: Final = (
    "banknote",
    "barrel",
    "beer",
    "ban",
    "chart-column",
    "check",
    "chevron-right",
    "circle-stop",
    "clock",
    "cpu",
    "credit-card",
    "door-open",
    "download",
    "droplets",
    "ellipsis",
    "history",
    "languages",
    "lock",
    "lock-open",
    "log-out",
    "moon",
    "nfc",
    "octagon-x",
    "plus",
    "printer",
    "radio-tower",
    "receipt",
    "router",
    "scale",
    "search",
    "settings",
    "spray-can",
    "sun",
    "triangle-alert",
    "user-cog",
    "user-plus",
    "users",
    "wallet",
    "webhook",
    "wifi-off",
    "x",
)
"""The icons that pages use, of `lucide-static`; they are written into the pages."""


class LibrariesMissing(Exception):
    """The console's libraries were not fetched."""


def require_libraries(*more: str) -> None:
    """Raise `LibrariesMissing` unless everything that pages need, and `more`, is there."""
    missing = [name for name in (*SCRIPTS, *map(_icon_file, ICONS), *more) if not (VENDOR / name).exists()]
    if missing:
        raise LibrariesMissing(f"the console lacks {', '.join(missing[:3])}: run `make console` in the checkout, which fetches it")


def list_vendored() -> list[str]:
    """The names of everything that belongs into `vendor/`."""
    return [*SCRIPTS, *LICENCES, *map(_icon_file, ICONS)]


def read_icon(name: str) -> str:
    """An icon's SVG."""
    return (VENDOR / _icon_file(name)).read_text(encoding="utf-8")


def fetch_libraries(node_modules: Path) -> None:
    """Copy what is served out of a `node_modules` that npm has filled."""
    VENDOR.mkdir(exist_ok=True)
    wanted = {**SCRIPTS, **LICENCES, **{_icon_file(name): f"lucide-static/icons/{name}.svg" for name in ICONS}}
    for name, source in wanted.items():
        shutil.copyfile(node_modules / source, VENDOR / name)


def _icon_file(name: str) -> str:
    return f"icon-{name}.svg"


if __name__ == "__main__":
    try:
        fetch_libraries(NODE_MODULES)
    except FileNotFoundError as error:
        sys.exit(f"{error.filename} is missing: run `npm ci` first")
