"""Guests and beverages from CSV files: all of a file or nothing, nothing twice, and nothing guessed."""

import asyncio
import codecs
import os
import sys
from datetime import date
from pathlib import Path

import pytest

from tapwire_core.db.engine import Database
from tapwire_core.db.views.beverages import list_beverages
from tapwire_core.db.views.guests import list_guests
from tapwire_core.errors import Invalid
from tapwire_core.services.imports import ImportResult, import_beverages, import_guests, text_of
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


async def test_two_people_with_one_telephone_are_both_added(db: Database) -> None:
    lines = ["first_name,phone\n", "Ann,+49 151 23\n", "Bob,+4915123\n", "ANN,0049 (0)151-23\n"]

    assert await import_guests(db, OPERATOR, lines) == ImportResult(2, 1)
    assert await import_guests(db, OPERATOR, lines) == ImportResult(0, 3)


async def test_beverages_are_added_once_and_keep_their_price(db: Database) -> None:
    await import_beverages(db, OPERATOR, BEVERAGES)

    again = await import_beverages(db, OPERATOR, [BEVERAGES[0], "Water,900,,\n"])

    assert again == ImportResult(0, 1)
    found = {beverage.name: beverage.sell_price_per_liter_minor for beverage in (await list_beverages(db)).items}
    assert found == {"Harbour Pils": 700, "Water": 1}


async def test_a_price_is_minor_units_in_digits_alone(db: Database) -> None:
    for price in ("7.00", "1.000", "4.99", "7,00", "1_000", "+700", "-1", "7e2", "0", "EUR 7", "९", "10000001"):
        with pytest.raises(Invalid, match=r"Line 3: .*sell_price_per_liter_minor") as refused:
            await import_beverages(db, OPERATOR, [BEVERAGES[0], BEVERAGES[1], f'Ale,"{price}",,\n'])
        assert refused.value.facts["line"] == 3
    assert (await list_beverages(db)).items == ()


UNUSABLE = [
    ("Ann,,,,\n", "Line 3.*phone"),
    ("Ann,,4.91512E+11,,\n", "Line 3.*phone.*no telephone number"),
    ("Ann,,no,,\n", "Line 3.*phone.*no telephone number"),
    (",,+9,,\n", "Line 3.*first_name"),
    ("Ann\x1b[31m,,+9,,\n", "Line 3.*first_name"),
    ("\u202eAnn,,+9,,\n", "Line 3.*first_name"),
    ("Ann,,+9,1990-13-01,\n", "Line 3"),
    ("Ann,,+9,01.05.1990,\n", "Line 3.*birth_date.*1990-05-31"),
    ("Ann,,+9,2999-01-01,\n", "Line 3.*future"),
    ("Ann,,+9,0001-01-01,\n", "Line 3.*1900"),
    ("Ann,,+9,,perhaps\n", "Line 3.*age_checked"),
    ("Ann,,+9,,yes,more\n", "Line 3.*more values"),
    ('Ann,"Berg,+9,,yes\n', "Line 3"),
    ("\n,,,,\nAnn,,,,\n", "Line 5.*phone"),
    ("A" * 300 + ",,+9,,\n", "Line 3.*first_name"),
]


async def test_a_line_that_can_not_be_used_is_named_and_nothing_is_added(db: Database) -> None:
    for line, said in UNUSABLE:
        with pytest.raises(Invalid, match=said):
            await import_guests(db, OPERATOR, [*GUESTS[:2], line])

    assert (await list_guests(db)).items == ()


async def test_the_first_line_must_name_the_columns(db: Database) -> None:
    for header in ("", "\n", "first_name\n", "first_name,phone,phone\n", "first_name,phone,nick\n", "Ann,+1\n"):
        with pytest.raises(Invalid, match="Line 1 must name the columns, each once: first_name, phone"):
            await import_guests(db, OPERATOR, [header, "Ann,+1\n"] if header else [])


FILES = [
    codecs.BOM_UTF8 + b"first_name,phone\r\nZo\xc3\xab,+1\r\n",
    b"first_name;phone;;\r\nZo\xc3\xab;+1;;\r\n;;;\r\n;;;\r\n",
    b"first_name,phone\rZo\xc3\xab,+1\r",
    b'"first_name","phone"\n\n"Zo\xc3\xab","+1"\n,\n',
    b"\n\nfirst_name,phone\nZo\xcc\x88e,+1".replace(b"Zo\xcc\x88e", b"Zoe\xcc\x88"),
]


async def test_files_of_other_systems_are_read(db: Database) -> None:
    for content in FILES:
        result = await import_guests(db, OPERATOR, text_of(content))
        assert result == (ImportResult(1, 0) if content is FILES[0] else ImportResult(0, 1))
    assert [guest.first_name for guest in (await list_guests(db)).items] == ["Zoë"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("first_name,phone\nAnn,+1\nZoë,+2\n".encode("cp1252"), "Line 3: the file is not UTF-8"),
        ("first_name,phone\nZoë,+2\n".encode("utf-16"), "probably UTF-16"),
        ("first_name,phone\nZoë,+2\n".encode("utf-16-le"), "probably UTF-16"),
    ],
)
def test_another_encoding_is_named_in_one_line(content: bytes, said: str) -> None:
    with pytest.raises(Invalid, match=said) as refused:
        text_of(content)

    assert "\n" not in str(refused.value)


async def test_the_commands_import_and_say_what_they_did(db: Database, database_url: str, tmp_path: Path) -> None:
    (tmp_path / "guests.csv").write_text("\ufeff" + "".join(GUESTS), encoding="utf-8")
    (tmp_path / "beverages.csv").write_text("title,price\nPils,7\n")

    said = await done("tapwire_core", "import-guests", tmp_path / "guests.csv", TAPWIRE_DATABASE_URL=database_url)
    refused = await command("tapwire_core", "import-beverages", tmp_path / "beverages.csv", TAPWIRE_DATABASE_URL=database_url)

    assert said == "2 added, 0 there already.\n"
    assert (refused.code, "sell_price_per_liter_minor" in refused.errors, refused.errors.count("\n")) == (1, True, 1)


async def test_an_import_that_is_killed_halfway_adds_nothing(db: Database, owner_db: Database, database_url: str) -> None:
    # the second guest of the file waits for a lock that this test holds
    await owner_db.pool.execute("""
        CREATE FUNCTION wait_here() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN IF EXISTS (SELECT FROM guests) THEN PERFORM pg_advisory_xact_lock(1); END IF; RETURN new; END $$;
        CREATE TRIGGER wait_here BEFORE INSERT ON guests FOR EACH ROW EXECUTE FUNCTION wait_here()""")
    async with db.pool.acquire() as holder:
        await holder.execute("SELECT pg_advisory_lock(1)")
        settings = {**os.environ, "TAPWIRE_DATABASE_URL": database_url}
        importing = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tapwire_core", "import-guests", "-", env=settings, stdin=asyncio.subprocess.PIPE
        )
        assert importing.stdin is not None
        importing.stdin.write(codecs.BOM_UTF8 + "".join(GUESTS).encode())
        importing.stdin.close()
        async with asyncio.timeout(20):
            while not await holder.fetchval("SELECT true FROM pg_locks WHERE locktype = 'advisory' AND objid = 1 AND NOT granted"):
                await asyncio.sleep(0.02)
        importing.kill()
        await importing.wait()
        await holder.execute("SELECT pg_advisory_unlock(1)")

    assert (await list_guests(db)).items == ()
