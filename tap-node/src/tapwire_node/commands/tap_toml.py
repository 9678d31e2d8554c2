"""Editing tap.toml: comments and order are kept, and a crash leaves either the old file or the new one."""

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final

import tomlkit
from tomlkit import TOMLDocument
from tomlkit.exceptions import TOMLKitError
from tomlkit.items import Table

from tapwire_contracts.text_files import read_text_file
from tapwire_node.settings import InvalidSettings

PREALLOCATION: Final = b"#" * 32_768
"""Larger than any tap.toml; written first, so that a full disk is noticed before a secret is fetched."""
PRIVATE: Final = 0o600
PERMISSIONS: Final = 0o777


def read_document(file: Path) -> TOMLDocument:
    """Read a tap.toml with its comments; raises `InvalidSettings`."""
    try:
        return tomlkit.parse(read_text_file(file))
    except OSError as error:
        raise InvalidSettings(f"{file} can't be read: {error.strerror}") from error
    except (TOMLKitError, UnicodeDecodeError) as error:
        raise InvalidSettings(f"{file} is not valid TOML: {error}") from error


def table_of(document: TOMLDocument, name: str) -> Table:
    """A table of the document, created if missing; raises `InvalidSettings`."""
    table = document.setdefault(name, tomlkit.table())
    if not isinstance(table, Table):
        raise InvalidSettings(f"write [{name}] as a table of its own")
    return table


@contextmanager
def atomic_replacement(file: Path) -> Iterator[Callable[[str], None]]:
    """Prepare a replacement beside the file, with its owner and disk space; yields the function that puts a text in place.

    Raises `OSError` before anything is lost. An existing file keeps owner, group and permissions; a new one is private.
    """
    file = file.resolve()
    with tempfile.NamedTemporaryFile("wb", dir=file.parent, prefix=f".{file.name}.", delete=False) as new:
        try:
            _take_over(new.fileno(), file)
            _write(new, PREALLOCATION)
            yield lambda text: _put(new, text, file)
        finally:
            Path(new.name).unlink(missing_ok=True)


def _take_over(new: int, file: Path) -> None:
    """Copy owner and permissions of the old file, or the folder's owner for a new one: the file will contain a secret."""
    is_old = file.exists()
    before = file.stat() if is_old else file.parent.stat()
    os.fchmod(new, before.st_mode & PERMISSIONS if is_old else PRIVATE)
    if (before.st_uid, before.st_gid) != (os.geteuid(), os.getegid()) and (is_old or os.geteuid() == 0):
        os.fchown(new, before.st_uid, before.st_gid)


def _put(new: IO[bytes], text: str, file: Path) -> None:
    _write(new, text.encode())
    Path(new.name).replace(file)
    folder = os.open(file.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _write(new: IO[bytes], content: bytes) -> None:
    """Overwrite the preallocated bytes, so that their disk space is not freed before it is used."""
    new.seek(0)
    new.write(content)
    new.truncate()
    new.flush()
    os.fsync(new.fileno())
