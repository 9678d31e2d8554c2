"""Backup and restore of the whole database as one file: consistent, without other programs, across PostgreSQL and Tapwire versions.

All tables are copied in one snapshot while workers run. The file is a zip of one COPY text per table and a manifest that names the
schema's revision. A restore needs a database without rows: it creates that revision's schema, loads the tables in one transaction,
and migrates to this version's schema. A file that is damaged, or of a newer version, changes nothing.
"""

import asyncio
import hashlib
import os
import tempfile
import zipfile
from collections.abc import AsyncIterator, Iterator
from datetime import datetime
from pathlib import Path
from typing import IO, Final

import asyncpg
import msgspec
from msgspec import Struct
from sqlmodel import SQLModel

from tapwire_core import SOFTWARE
from tapwire_core.db.indexes import without_indexes
from tapwire_core.db.schema import is_before_release, is_known, migrate, newest_revision, require_newest, revision_of
from tapwire_core.db.tables import Installation
from tapwire_core.errors import Refused
from tapwire_core.progress import Advance, untold

FORMAT: Final = 1
MANIFEST: Final = "manifest.json"
INSTALLATION: Final = str(Installation.__tablename__)
"""The table that a program writes before any other row is there; the backup's row replaces it."""
_CHUNK_BYTES: Final = 1024 * 1024
_COMPRESSION: Final = 1
"""Deflate's fastest level: while a backup runs its snapshot keeps VACUUM from clearing away dead rows."""


class BackupRefused(Refused):
    """The file can't be restored, or not into this database; nothing was changed."""

    code = "backup_refused"


class TableManifest(Struct, frozen=True):
    """One table of a backup; tables come after those that they refer to. `sha256` is of the COPY text."""

    name: str
    columns: tuple[str, ...]
    rows: int
    sha256: str


class Manifest(Struct, frozen=True):
    """A backup's manifest. `taken_at` is the database's time of its snapshot."""

    format: int
    software: str
    revision: str
    taken_at: datetime
    tables: tuple[TableManifest, ...]


async def write_backup(url: str, file: Path, advance: Advance = untold) -> Manifest:
    """Copy the database into a file, mode 600, in one step; raises `NotMigrated` and `OSError`."""
    await require_newest(url)
    connection = await asyncpg.connect(url)
    try:
        with tempfile.TemporaryDirectory(dir=file.parent, prefix=f".{file.name}-") as folder:
            new = Path(folder) / "backup"
            new.touch(mode=0o600)
            with new.open("wb") as target:
                manifest = await _copy_all(connection, target, advance)
                target.flush()
                await asyncio.to_thread(os.fsync, target.fileno())
            new.replace(file)
    finally:
        await connection.close()
    return manifest


async def _copy_all(connection: asyncpg.Connection, target: IO[bytes], advance: Advance) -> Manifest:
    """Pack all tables of one snapshot as they come: the text of none is ever on the disk."""
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=_COMPRESSION) as packed:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            taken_at: datetime = await connection.fetchval("SELECT now()")
            rows = _Rows(advance, await _estimated_rows(connection))
            tables = [await _copy_out(connection, str(table.name), packed, rows) for table in SQLModel.metadata.sorted_tables]
        manifest = Manifest(FORMAT, SOFTWARE, newest_revision(), taken_at, tuple(tables))
        packed.writestr(MANIFEST, msgspec.json.format(msgspec.json.encode(manifest)))
    return manifest


async def load_backup(url: str, file: Path, application_url: str | None = None, advance: Advance = untold) -> Manifest:
    """Load a backup into a database without rows and bring it to this version's schema; raises `BackupRefused`.

    The URLs are as for `migrate`.
    """
    manifest = await asyncio.to_thread(_read_manifest, file, advance)
    await _require_empty(url, manifest)
    await migrate(url, revision=manifest.revision, advance=advance)
    connection = await asyncpg.connect(url)
    try:
        with zipfile.ZipFile(file) as packed:
            async with connection.transaction():
                if any(table.name == INSTALLATION for table in manifest.tables):
                    await connection.execute(f"DELETE FROM {INSTALLATION}")  # noqa: S608  our schema's name
                loading = _Bytes(advance, "loading", packed, manifest)
                async with without_indexes(connection, [table.name for table in manifest.tables], advance):
                    for table in manifest.tables:
                        with packed.open(_member(table.name)) as content:
                            await _copy_in(connection, table, loading.chunks_of(content))
    finally:
        await connection.close()
    await migrate(url, application_url, advance=advance)
    return manifest


class _Rows:
    """Counts the rows that are copied, out of an estimated number."""

    def __init__(self, advance: Advance, total: int) -> None:
        self._advance = advance
        self._total = total
        self._done = 0

    def count(self, chunk: bytes) -> None:
        """Count a part of a COPY text: a line is a row."""
        self._done += chunk.count(b"\n")
        self._advance("copying", self._done, self._total)


class _Bytes:
    """Counts the bytes that are read, out of all that the tables of a backup have."""

    def __init__(self, advance: Advance, step: str, packed: zipfile.ZipFile, manifest: Manifest) -> None:
        self._advance = advance
        self._step = step
        self._total = sum(packed.getinfo(_member(table.name)).file_size for table in manifest.tables)
        self._done = 0

    def read(self, content: IO[bytes]) -> Iterator[bytes]:
        """The content in chunks."""
        while chunk := content.read(_CHUNK_BYTES):
            yield chunk
            self._done += len(chunk)
            self._advance(self._step, self._done, self._total)

    async def chunks_of(self, content: IO[bytes]) -> AsyncIterator[bytes]:
        """The content in chunks, for a COPY."""
        for chunk in self.read(content):
            yield chunk


async def _estimated_rows(connection: asyncpg.Connection) -> int:
    """Rows of all our tables by the last ANALYZE; too few, or 0, where there was none."""
    names = [str(table.name) for table in SQLModel.metadata.sorted_tables]
    found = await connection.fetchval(
        "SELECT sum(greatest(reltuples, 0))::bigint FROM pg_class WHERE oid = ANY(SELECT unnest($1::text[])::regclass)", names
    )
    return int(found)


async def _copy_out(connection: asyncpg.Connection, name: str, packed: zipfile.ZipFile, rows: _Rows) -> TableManifest:
    columns = [
        row["attname"]
        for row in await connection.fetch(
            """SELECT attname FROM pg_attribute WHERE attrelid = $1::regclass AND attnum > 0 AND NOT attisdropped
               AND attgenerated = '' ORDER BY attnum""",
            name,
        )
    ]
    digest = hashlib.sha256()
    with packed.open(_member(name), "w", force_zip64=True) as target:

        async def keep(chunk: bytes) -> None:
            target.write(chunk)
            digest.update(chunk)
            rows.count(chunk)

        copied = await connection.copy_from_table(name, columns=columns, output=keep)
    return TableManifest(name, tuple(columns), int(copied.split()[-1]), digest.hexdigest())


async def _copy_in(connection: asyncpg.Connection, table: TableManifest, content: AsyncIterator[bytes]) -> None:
    # the backup already has the rows that a trigger would write
    await connection.execute(f'ALTER TABLE "{table.name}" DISABLE TRIGGER USER')
    await connection.copy_to_table(table.name, columns=list(table.columns), source=content)
    await connection.execute(f'ALTER TABLE "{table.name}" ENABLE TRIGGER USER')
    for row in await connection.fetch(
        """SELECT attname, pg_get_serial_sequence($1, attname) AS sequence FROM pg_attribute
           WHERE attrelid = $1::regclass AND attnum > 0 AND NOT attisdropped AND pg_get_serial_sequence($1, attname) IS NOT NULL""",
        table.name,
    ):
        highest = await connection.fetchval(f'SELECT max("{row["attname"]}") FROM "{table.name}"')  # noqa: S608  our schema's names
        await connection.execute("SELECT setval($1::regclass, $2, $3)", row["sequence"], highest or 1, highest is not None)


async def _require_empty(url: str, manifest: Manifest) -> None:
    found = await revision_of(url)
    if found is None:
        return
    if found != manifest.revision:
        raise BackupRefused(f"This database is at revision {found!r}: restore into a new, empty one (createdb).")
    connection = await asyncpg.connect(url)
    try:
        for table in manifest.tables:
            if table.name != INSTALLATION and await connection.fetchval(f'SELECT EXISTS (SELECT 1 FROM "{table.name}")'):  # noqa: S608  checked against our schema
                raise BackupRefused(
                    f"This database has rows already (table {table.name}): restore into a new, empty one (createdb)."
                )
    finally:
        await connection.close()


def _read_manifest(file: Path, advance: Advance) -> Manifest:
    """Read the manifest and verify every table before anything is changed."""
    try:
        with zipfile.ZipFile(file) as packed:
            manifest = msgspec.json.decode(packed.read(MANIFEST), type=Manifest)
            checking = _Bytes(advance, "checking the file", packed, manifest)
            damaged = [table.name for table in manifest.tables if _digest_in(packed, table, checking) != table.sha256]
    except (OSError, EOFError, KeyError, zipfile.BadZipFile, msgspec.MsgspecError) as error:
        raise BackupRefused(f"{file} is no backup of Tapwire, or is damaged: {error}") from error
    if damaged:
        raise BackupRefused(f"{file} is damaged in {', '.join(damaged)}: take another backup.")
    if is_before_release(manifest.revision):
        raise BackupRefused(
            f"{file} is of revision {manifest.revision!r}, before the first release: restore it with the version that wrote it."
        )
    if manifest.format != FORMAT or not is_known(manifest.revision):
        raise BackupRefused(f"{file} was written by {manifest.software}, which is newer than {SOFTWARE}: install that version.")
    unknown = {table.name for table in manifest.tables} - SQLModel.metadata.tables.keys()
    if unknown:
        raise BackupRefused(f"{file} has tables that Tapwire doesn't know: {', '.join(sorted(unknown))}.")
    return manifest


def _digest_in(packed: zipfile.ZipFile, table: TableManifest, checking: _Bytes) -> str:
    digest = hashlib.sha256()
    with packed.open(_member(table.name)) as content:
        for chunk in checking.read(content):
            digest.update(chunk)
    return digest.hexdigest()


def _member(table: str) -> str:
    return f"{table}.copy"
