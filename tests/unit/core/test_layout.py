"""One noun, one file name, in every layer: what is known as kegs is in kegs.py, whether it is a table, a view or a page."""

import re
from pathlib import Path
from typing import Final

import pytest

import tapwire_admin
import tapwire_core
from tapwire_core.db import tables

CORE: Final = Path(tapwire_core.__file__).parent
ADMIN: Final = Path(tapwire_admin.__file__).parent
LAYERS: Final = {
    "tables": CORE / "db" / "tables",
    "writes": CORE / "db" / "writes",
    "views": CORE / "db" / "views",
    "services": CORE / "services",
    "routes": ADMIN / "routes",
    "pages": ADMIN / "console" / "pages",
}
NOUNS: Final = frozenset(
    {
        "audit",
        "beverages",
        "books",
        "calibrations",
        "cards",
        "check_outs",
        "cleanings",
        "controllers",
        "dead_letters",
        "decision_rates",
        "deposits",
        "devices",
        "event_stream",
        "flows",
        "guests",
        "guest_pages",
        "heartbeats",
        "idempotency",
        "identities",
        "imports",
        "incidents",
        "installation",
        "kegs",
        "menus",
        "money",
        "nodes",
        "odometers",
        "outbox",
        "pairings",
        "payments",
        "pours",
        "price_rules",
        "receipts",
        "reports",
        "restore",
        "retention",
        "search",
        "sales_patterns",
        "sessions",
        "shifts",
        "shown",
        "system",
        "tap_walls",
        "taps",
        "tax",
        "users",
        "venues",
        "visits",
        "volumes",
        "webhooks",
    }
)
"""The nouns of files. A large part of a noun has a file of its own, named after it: `pour_recovery`, `shift_reports`."""
HELPERS: Final = {
    "tables": {"columns"},
    "writes": {"rows"},
    "views": {"queries", "monitoring"},
    "services": {"passwords", "request_limits", "sealing"},
    "routes": {"health"},
    "pages": {"check_in", "set_up"},
}
"""Files of one layer that are about no noun, or about several: each is a thing that its layer alone has."""
EVERYWHERE: Final = {
    "beverages": LAYERS.keys(),
    "cards": LAYERS.keys(),
    "devices": LAYERS.keys(),
    "guests": LAYERS.keys(),
    "incidents": LAYERS.keys(),
    "kegs": LAYERS.keys(),
    "shifts": LAYERS.keys(),
    "taps": LAYERS.keys(),
    "users": LAYERS.keys(),
    "venues": LAYERS.keys(),
    "visits": LAYERS.keys(),
    "webhooks": LAYERS.keys(),
    "money": {"tables", "views", "services", "routes", "pages"},
    "pours": {"tables", "views", "services", "routes"},
    "audit": {"tables", "views", "routes", "pages"},
    "reports": {"views", "routes", "pages"},
}
"""The layers in which a noun must have its file, since people look for it there."""
LOOSE: Final = {"__init__", "__main__", "errors", "progress", "settings"}
"""Modules of the core that are in no folder: everybody uses them."""


@pytest.mark.parametrize("layer", LAYERS)
def test_each_file_of_a_layer_is_named_by_a_noun(layer: str) -> None:
    unknown = {name for name in _files(LAYERS[layer]) if not _is_of_a_noun(name)} - HELPERS[layer]

    assert unknown == set()


@pytest.mark.parametrize("noun", EVERYWHERE)
def test_a_noun_has_its_file_in_each_layer(noun: str) -> None:
    assert [layer for layer in EVERYWHERE[noun] if noun not in _files(LAYERS[layer])] == []


def test_each_table_class_is_in_the_file_of_its_noun() -> None:
    for name in tables.__all__:
        module = getattr(tables, name).__module__.rsplit(".", 1)[-1]
        assert module in NOUNS, f"{name} is in tables/{module}.py"


def test_views_read_within_the_scope_of_their_reader() -> None:
    other_ways = re.compile(r"\bengine\.|\.(pool|snapshot|transaction)\b")
    around = {file.stem for file in (CORE / "db/views").glob("*.py") if other_ways.search(file.read_text())}

    assert around == {"monitoring", "restore"}, "`Database.read` is the way to read for people"


def test_the_core_has_no_loose_files_but_those_that_everybody_uses() -> None:
    assert _files(CORE) - LOOSE == set()


def _files(folder: Path) -> set[str]:
    return {file.stem for file in folder.glob("*.py") if folder == CORE or file.stem != "__init__"}


def _is_of_a_noun(name: str) -> bool:
    return name in NOUNS or any(name.startswith(f"{noun.removesuffix('s')}_") for noun in NOUNS)
