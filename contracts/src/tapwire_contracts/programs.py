"""Options of every program's command line: `--version`, shell completion, and installation of its systemd units."""

import argparse
import shlex
import sysconfig
from collections.abc import Iterator
from importlib.metadata import distribution, version
from pathlib import Path
from typing import Any, Final

UNITS: Final = Path("/etc/systemd/system")
SETTINGS: Final = Path("/etc/tapwire")
_DOCUMENTED_BIN: Final = "/opt/tapwire/bin/"
"""The programs' folder in the shipped units; `install_units` replaces it by the real one."""
_HIDDEN: Final = (Path("/home"), Path("/root"), Path("/run/user"), Path("/tmp"), Path("/var/tmp"))  # noqa: S108
"""Folders whose programs a unit can't start: `ProtectHome` and `PrivateTmp` hide them."""
_EXAMPLE: Final = ".env.example"
_UNIT_SUFFIXES: Final = (".service", ".timer")
_PRIVATE: Final = 0o600


class UnitsNotInstalled(Exception):
    """The systemd units can't be installed; the text says why."""


def add_common_options(parser: argparse.ArgumentParser, package: str) -> None:
    """Add `--version` and `--print-completion SHELL`."""
    parser.add_argument("--version", action="version", version=f"{package} {version(package)}")
    parser.add_argument(
        "--print-completion", action=_PrintCompletion, metavar="SHELL", help="print completion for bash, zsh, fish or tcsh, and end"
    )


class _PrintCompletion(argparse.Action):
    """Print the completion script of the whole command line; shtab is loaded only for this."""

    def __call__(
        self, parser: argparse.ArgumentParser, _namespace: argparse.Namespace, values: Any, option_string: str | None = None
    ) -> None:
        import shtab

        if values not in shtab.SUPPORTED_SHELLS:
            parser.error(f"{option_string}: {values} is none of {', '.join(shtab.SUPPORTED_SHELLS)}")
        print(shtab.complete(parser, shell=values))
        parser.exit()


def add_units_options(parser: argparse.ArgumentParser, *, has_settings: bool) -> None:
    """Add the options for the folders of units, programs and settings."""
    parser.add_argument("--folder", type=Path, default=UNITS, help=f"where systemd looks for units (default {UNITS})")
    parser.add_argument("--programs", type=Path, help="where the programs are (default: where this one is)")
    if has_settings:
        parser.add_argument(
            "--settings", type=Path, default=SETTINGS, help=f"where settings that are not there yet go ({SETTINGS})"
        )


def install_units(package: str, programs: Path, folder: Path, settings: Path | None = None) -> Iterator[str]:
    """Write a package's units, and missing settings; yield a line for each file, then the next steps.

    Raises `UnitsNotInstalled` if units could not start these programs, and OSError if a file can't be written.
    """
    hidden = next((place for place in _HIDDEN if programs.is_relative_to(place)), None)
    if hidden is not None:
        raise UnitsNotInstalled(
            f"systemd units can't start programs below {hidden}, where these are ({programs}): install them in /opt/tapwire"
        )
    shipped = sorted(_shipped(package), key=lambda file: file.name)
    units = [file for file in shipped if file.suffix in _UNIT_SUFFIXES]
    for unit in units:
        yield _write(folder / unit.name, unit_for(unit.read_text(encoding="utf-8"), programs))
    for example in shipped:
        if settings is not None and example.name.endswith(_EXAMPLE):
            yield _write_settings(settings / example.name.removesuffix(_EXAMPLE), example.read_text(encoding="utf-8"))
    # the others are started by a timer
    enabled = [unit.name for unit in units if "\n[Install]\n" in unit.read_text(encoding="utf-8")]
    yield f"Now: {'fill in the settings, ' if settings else ''}systemctl daemon-reload, systemctl enable --now " + " ".join(
        name.removesuffix(".service").replace("@", "@NAME") for name in enabled
    )


def _shipped(package: str) -> Iterator[Path]:
    for file in distribution(package).files or ():
        if file.parent.name == "systemd":
            yield Path(str(file.locate())).resolve()


def unit_for(unit: str, programs: Path) -> str:
    """Replace the programs' folder in a unit by the real one; systemd needs a path with a blank in quotes, and % doubled."""
    place = str(programs).replace("%", "%%")
    lines = unit.splitlines(keepends=True)
    return "".join(_quoted(line, place) if _DOCUMENTED_BIN in line else line for line in lines)


def _quoted(line: str, place: str) -> str:
    key, command = line.split("=", 1)
    program, rest = command.split(maxsplit=1)
    path = program.replace(_DOCUMENTED_BIN, f"{place}/")
    return f'{key}="{path}" {rest}' if shlex.quote(path) != path else f"{key}={path} {rest}"


def _write(file: Path, text: str) -> str:
    if file.exists() and file.read_text(encoding="utf-8") == text:
        return f"{file} is up to date"
    did = "replaced" if file.exists() else "wrote"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
    return f"{did} {file}"


def _write_settings(file: Path, text: str) -> str:
    """Write example settings; existing ones belong to the operator and stay."""
    stem = file.with_name(f"{file.name}.env")
    if stem.exists():
        return f"{stem} exists and was not changed"
    stem.parent.mkdir(parents=True, exist_ok=True)
    stem.touch(mode=_PRIVATE)
    stem.write_text(text, encoding="utf-8")
    return f"wrote {stem}: an example, fill it in"


def print_units_installed(package: str, arguments: argparse.Namespace) -> None:
    """Run `install-units` and print its lines; raises `UnitsNotInstalled`."""
    programs = arguments.programs or Path(sysconfig.get_path("scripts"))
    try:
        for line in install_units(package, programs, arguments.folder, getattr(arguments, "settings", None)):
            print(line)
    except OSError as error:
        raise UnitsNotInstalled(f"{error.filename} can't be written: {error.strerror}") from error
