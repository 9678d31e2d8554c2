"""Third-party assets of the console: copied from `node_modules` into `vendor/` by `make console`, and served from there.

`package.json` lists them, `package-lock.json` pins their bytes. Pages load nothing from other hosts.
"""

import re
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NewType

CONSOLE: Final = Path(__file__).parent
VENDOR: Final = CONSOLE / "vendor"
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
"""Served files, and their sources below `node_modules`."""
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

Icon = NewType("Icon", str)
"""An icon's name in `lucide-static`. Write it as `Icon("…")` in Python and `icon("…")` in templates: the build finds it so."""
_IN_USE: Final = re.compile(r"""\b[Ii]con\("([a-z0-9-]+)"\)""")


def find_icons() -> tuple[Icon, ...]:
    """The icons that the console's Python and templates name, sorted."""
    files = (file for kind in ("*.py", "*.html") for file in CONSOLE.rglob(kind))
    names = {name for file in files for name in _IN_USE.findall(file.read_text(encoding="utf-8"))}
    return tuple(Icon(name) for name in sorted(names))


ICONS: Final = find_icons()


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


def read_icon(name: Icon) -> str:
    """An icon's SVG."""
    return (VENDOR / _icon_file(name)).read_text(encoding="utf-8")


def fetch_libraries(node_modules: Path) -> None:
    """Copy what is served out of a `node_modules` that npm has filled."""
    VENDOR.mkdir(exist_ok=True)
    wanted = {**SCRIPTS, **LICENCES, **{_icon_file(name): f"lucide-static/icons/{name}.svg" for name in ICONS}}
    for name, source in wanted.items():
        shutil.copyfile(node_modules / source, VENDOR / name)


def _icon_file(name: Icon) -> str:
    return f"icon-{name}.svg"


if __name__ == "__main__":
    try:
        fetch_libraries(NODE_MODULES)
    except FileNotFoundError as error:
        sys.exit(f"{error.filename} is missing: run `npm ci` first")
