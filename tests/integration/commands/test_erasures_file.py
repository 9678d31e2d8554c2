"""Erasures survive a restore: the file beside the backups has their ids, and what is restored is erased again."""

import asyncio
import os
from collections.abc import Callable
from pathlib import Path
from typing import Final
from uuid import UUID, uuid4

import pytest

from tapwire_core.commands.erasures_file import (
    CHECK_S,
    NAME,
    ErasuresRefused,
    add_erasures,
    keep_erasures_file,
    read_erasures,
)
from tapwire_core.db.backup import write_backup
from tapwire_core.db.engine import Database
from tapwire_core.domain.closed_sets import PaymentMethod
from tapwire_core.domain.policy import Policy
from tapwire_core.services import guests, money, visits
from tapwire_core.services.guest_erasures import erase_guest, erase_unseen_guests
from tests.command_line import command, done
from tests.venue import OPERATOR, Guest, Venue

PHONE = "+34 611 22 33 44"


async def known_guest(venue: Venue, balance_minor: int) -> Guest:
    """A guest with a telephone number, who is there."""
    guest = await venue.guest(balance_minor=balance_minor)
    await guests.change_guest(venue.db, OPERATOR, guest.guest_id, first_name="Zoe", last_name="Zimmer", phone=PHONE)
    return guest


async def leave(venue: Venue, guest: Guest, refund_minor: int = 0) -> None:
    """The guest goes, with the balance paid out."""
    await visits.close_visit(venue.db, OPERATOR, guest.visit_id)
    if refund_minor:
        await money.refund(venue.db, OPERATOR, guest.guest_id, refund_minor, PaymentMethod.CASH, "bye", "bar")


async def rows(db: Database, guest: Guest) -> tuple[object, ...]:
    """What is known of a guest."""
    statement = (
        "SELECT first_name, phone, blocked, erased_at IS NOT NULL, erasure_due_at IS NOT NULL FROM guests WHERE guest_id = $1"
    )
    return tuple(await db.pool.fetchrow(statement, guest.guest_id))


def test_the_file_has_each_id_once_and_a_torn_line_is_written_again(tmp_path: Path) -> None:
    file, (ann, bob, cleo) = tmp_path / NAME, [uuid4() for _ in range(3)]

    assert (add_erasures(file, []), file.exists()) == (0, False)
    assert [add_erasures(file, [ann]), add_erasures(file, [ann, bob])] == [1, 1]
    file.write_bytes(file.read_bytes()[:-9])
    assert add_erasures(file, [ann, bob, cleo]) == 2

    assert read_erasures(file) == [ann, bob, cleo]
    assert file.stat().st_mode & 0o777 == 0o600


STRANGER: Final = 54_321
AS_ROOT: Final = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")


def link(file: Path) -> None:
    """Another file's name in its place."""
    file.replace(file.with_suffix(".elsewhere"))
    file.symlink_to(file.with_suffix(".elsewhere"))


PLANTED: Final[dict[str, Callable[[Path], None]]] = {
    "may be written by others": lambda file: file.chmod(0o622),
    "is a link": link,
    "has two names": lambda file: os.link(file, file.with_suffix(".elsewhere")),
}


@pytest.mark.parametrize("why", PLANTED)
def test_a_file_that_a_stranger_may_have_written_is_neither_read_nor_written(tmp_path: Path, why: str) -> None:
    file = tmp_path / NAME
    add_erasures(file, [uuid4()])
    before = file.read_bytes()
    PLANTED[why](file)

    for attempt in (lambda: add_erasures(file, [uuid4()]), lambda: read_erasures(file)):
        with pytest.raises(ErasuresRefused, match=why):
            attempt()

    assert file.read_bytes() == before


def test_a_pipe_in_its_place_keeps_nobody_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / NAME, 0o600)

    with pytest.raises(ErasuresRefused, match="is no file"):
        read_erasures(tmp_path / NAME)


@AS_ROOT
def test_a_strangers_file_in_a_folder_of_everybodys_is_refused(tmp_path: Path) -> None:
    file = tmp_path / NAME
    add_erasures(file, [uuid4()])
    os.chown(file, STRANGER, STRANGER)
    tmp_path.chmod(0o1777)

    with pytest.raises(ErasuresRefused, match=f"belongs to the user with the id {STRANGER}"):
        add_erasures(file, [uuid4()])


@AS_ROOT
def test_what_root_makes_in_the_services_folder_the_service_can_go_on_with(tmp_path: Path) -> None:
    os.chown(tmp_path, STRANGER, STRANGER)
    for _ in range(2):
        add_erasures(tmp_path / NAME, [uuid4()])

        assert (tmp_path / NAME).stat().st_uid == STRANGER


async def test_a_restore_refuses_such_a_file_before_it_loads_anything(
    venue: Venue, empty_owner_url: str, empty_database_url: str, tmp_path: Path
) -> None:
    await write_backup(venue.db.url, tmp_path / "a.backup")
    add_erasures(tmp_path / NAME, [uuid4()])
    (tmp_path / NAME).chmod(0o666)
    urls = {"TAPWIRE_DATABASE_URL": empty_database_url, "TAPWIRE_OWNER_DATABASE_URL": empty_owner_url}

    refused = await command("tapwire_core", "restore", tmp_path / "a.backup", **urls)
    (tmp_path / NAME).chmod(0o600)
    told = await done("tapwire_core", "restore", tmp_path / "a.backup", **urls)

    assert (refused.code, "mode 600" in refused.errors) == (1, True)
    assert f"1 in {tmp_path / NAME}, 0 of them erased again" in told


async def test_an_erasure_is_in_the_folder_within_seconds(venue: Venue, tmp_path: Path) -> None:
    ann = await known_guest(venue, 0)
    await leave(venue, ann)
    folder = tmp_path / "made by the first backup"
    keeping = asyncio.create_task(keep_erasures_file(venue.db, folder))
    await erase_guest(venue.db, OPERATOR, ann.guest_id, "asked for it")
    folder.mkdir()

    async with asyncio.timeout(CHECK_S * 6):
        while not (folder / NAME).exists() or not read_erasures(folder / NAME):
            await asyncio.sleep(0.1)
    keeping.cancel()

    assert read_erasures(folder / NAME) == [ann.guest_id]


@pytest.mark.lasts
async def test_a_restore_erases_again_whom_the_backup_still_has(
    venue: Venue, empty_owner_url: str, empty_database_url: str, tmp_path: Path
) -> None:
    gone, there, later = await known_guest(venue, 0), await known_guest(venue, 20_00), await known_guest(venue, 0)
    await leave(venue, gone)
    await write_backup(venue.db.url, tmp_path / "old.backup")
    await leave(venue, there, refund_minor=20_00)
    await leave(venue, later)
    for guest in (gone, there):
        await erase_guest(venue.db, OPERATOR, guest.guest_id, "asked for it")
    await done("tapwire_core", "backup", tmp_path, TAPWIRE_DATABASE_URL=venue.db.url)
    add_erasures(tmp_path / NAME, [UUID(int=7)])
    urls = {"TAPWIRE_DATABASE_URL": empty_database_url, "TAPWIRE_OWNER_DATABASE_URL": empty_owner_url}

    told = await done("tapwire_core", "restore", tmp_path / "old.backup", **urls)
    again = await done("tapwire_core", "after-restore", "2026-05-01T20:00:00+02:00", "--erasures", tmp_path / NAME, **urls)

    assert f"3 in {tmp_path / NAME}, 1 of them erased again" in told
    assert f"3 in {tmp_path / NAME}, 0 of them erased again" in again
    assert f"{there.guest_id} has no name again, and is blocked" in told
    assert '"balance_minor":2000' in told
    async with Database.open(empty_database_url, Policy()) as db:
        restored = venue.on(db)
        assert await rows(db, gone) == (None, None, False, True, False)
        assert await rows(db, there) == (None, None, True, False, True)
        assert await rows(db, later) == ("Zoe", PHONE, False, False, False)
        assert (await restored.denial(there)).value == "guest_blocked"
        await restored.books_balance()

        with pytest.raises(guests.GuestErased):
            await guests.change_guest(db, OPERATOR, there.guest_id, first_name="Zoe")
        await leave(restored, there, refund_minor=20_00)
        assert await erase_unseen_guests(db, None) == 1
        assert await rows(db, there) == (None, None, True, True, False)
        assert (await cards_of(db, there)) == ["retired"]
        await restored.books_balance()


async def cards_of(db: Database, guest: Guest) -> list[str]:
    """The state of the guest's card."""
    return [row["status"] for row in await db.pool.fetch("SELECT status FROM cards WHERE card_uid = $1", guest.card_uid)]


async def test_a_restore_without_the_file_says_what_is_to_be_done(venue: Venue, tmp_path: Path) -> None:
    at = "2026-05-01T20:00:00+02:00"
    named = await command("tapwire_core", "after-restore", at, "--erasures", tmp_path / "x", TAPWIRE_DATABASE_URL=venue.db.url)
    found = await done("tapwire_core", "after-restore", at, TAPWIRE_DATABASE_URL=venue.db.url, TAPWIRE_BACKUP_FOLDER=str(tmp_path))

    assert (named.code, "there is no file" in named.errors) == (1, True)
    assert "erase them again" in found
