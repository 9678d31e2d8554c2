"""Guests and beverages from CSV files: all of a file or nothing, and nothing twice."""

from datetime import date
from pathlib import Path

import pytest

from tapwire_core.db.engine import Database
from tapwire_core.db.views.beverages import list_beverages
from tapwire_core.db.views.guests import list_guests
from tapwire_core.errors import Invalid
from tapwire_core.services.imports import ImportResult, import_beverages, import_guests
from tests.command_line import command, done
from tests.venue import OPERATOR

GUESTS = ["first_name,last_name,phone,birth_date,age_checked\n", 'Ann,"O\'Neil, sr.",+1,1990-05-01,\n', "Боб,,+2,,yes\n"]
BEVERAGES = ["name,sell_price_per_liter_minor,style,abv\n", "Harbour Pils,700,Pils,4.9\n", "Water,1,,\n"]


async def test_guests_are_added_once_however_often_the_file_is_imported(db: Database) -> None:
    first = await import_guests(db, OPERATOR, GUESTS)
    again = await import_guests(db, OPERATOR, [*GUESTS, "Cleo,,+3,,no\n", "Cleo,,+3,,no\n"])

    assert (first, again) == (ImportResult(2, 0), ImportResult(1, 3))
    (ann,) = (await list_guests(db, phone="+1")).items
    assert (ann.first_name, ann.last_name, ann.birth_date) == ("Ann", "O'Neil, sr.", date(1990, 5, 1))
    assert await db.pool.fetchval("SELECT age_checked_by FROM guests WHERE phone = '+2'") == OPERATOR.name


async def test_beverages_are_added_once_and_keep_their_price(db: Database) -> None:
    await import_beverages(db, OPERATOR, BEVERAGES)

    again = await import_beverages(db, OPERATOR, [BEVERAGES[0], "Water,900,,\n"])

    assert again == ImportResult(0, 1)
    found = {beverage.name: beverage.sell_price_per_liter_minor for beverage in (await list_beverages(db)).items}
    assert found == {"Harbour Pils": 700, "Water": 1}


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("Ann,,,,\n", "Line 3.*phone"),
        (",,+9,,\n", "Line 3.*first_name"),
        ("Ann,,+9,1990-13-01,\n", "Line 3"),
        ("Ann,,+9,2999-01-01,\n", "future"),
        ("Ann,,+9,,perhaps\n", "Line 3.*age_checked"),
        ("Ann,,+9,,yes,more\n", "Line 3.*more values"),
        ("A" * 300 + ",,+9,,\n", "Line 3.*first_name"),
    ],
)
async def test_a_line_that_can_not_be_used_is_named_and_nothing_is_added(db: Database, line: str, said: str) -> None:
    with pytest.raises(Invalid, match=said):
        await import_guests(db, OPERATOR, [*GUESTS[:2], line])

    assert (await list_guests(db)).items == ()


async def test_the_commands_import_and_say_what_they_did(db: Database, database_url: str, tmp_path: Path) -> None:
    (tmp_path / "guests.csv").write_text("\ufeff" + "".join(GUESTS), encoding="utf-8")
    (tmp_path / "beverages.csv").write_text("title,price\nPils,7\n")

    said = await done("tapwire_core", "import-guests", tmp_path / "guests.csv", TAPWIRE_DATABASE_URL=database_url)
    refused = await command("tapwire_core", "import-beverages", tmp_path / "beverages.csv", TAPWIRE_DATABASE_URL=database_url)

    assert said == "2 added, 0 there already.\n"
    assert (refused.code, "sell_price_per_liter_minor" in refused.errors) == (1, True)
