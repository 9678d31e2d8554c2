"""The unit templates: systemd can read them, and their commands exist."""

import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tapwire_contracts.programs import unit_for
from tapwire_node.__main__ import parser

UNITS = Path(__file__).parents[3] / "tap-node/systemd"
NODE, PAIRING = UNITS / "tapwire-node@.service", UNITS / "tapwire-pair@.service"
PROGRAM = "/opt/tapwire/bin/tapwire-node"


def settings(unit: Path) -> list[tuple[str, str, str]]:
    """(section, name, value) of each line; names may repeat, which a configparser would not take."""
    section, found = "", []
    for line in unit.read_text(encoding="utf-8").splitlines():
        if line.startswith("["):
            section = line.strip("[]")
        elif line and not line.startswith("#"):
            name, sign, value = line.partition("=")
            assert sign, line
            found.append((section, name, value))
    return found


def values(name: str, unit: Path = NODE) -> list[str]:
    return [value for _, one, value in settings(unit) if one == name]


@pytest.mark.parametrize(("unit", "name"), [(NODE, "ExecStart"), (NODE, "ExecStopPost"), (PAIRING, "ExecStart")])
def test_each_command_that_a_unit_names_exists_and_takes_its_arguments(unit: Path, name: str) -> None:
    (command,) = values(name, unit)
    program, *arguments = shlex.split(command.replace("%i", "left"))

    assert program == PROGRAM
    assert parser().parse_args(arguments).config == Path("/etc/tapwire/left.toml")
    assert (Path(sys.executable).parent / "tapwire-node").exists()


def test_the_unit_watches_and_restarts_the_node_and_closes_its_valve_afterwards() -> None:
    assert values("Type") == ["notify"]
    assert values("Restart") == ["always"]
    assert values("StartLimitIntervalSec") == ["0"]
    assert int(values("WatchdogSec")[0]) > 0
    assert "close-valve" in values("ExecStopPost")[0]


def test_a_device_is_paired_before_its_node_starts_with_as_many_codes_as_it_takes() -> None:
    assert values("Before", PAIRING) == ["tapwire-node@%i.service"]
    assert (values("Type", PAIRING), values("TimeoutStartSec", PAIRING)) == (["oneshot"], ["infinity"])
    assert (values("Restart", PAIRING), values("StartLimitIntervalSec", PAIRING)) == (["on-failure"], ["0"])
    assert values("StandardOutput", PAIRING) == ["journal+console"], "a Pi without a terminal has a screen, or its journal"
    assert (values("User", PAIRING), values("ReadWritePaths", PAIRING)) == (["tapwire"], ["/etc/tapwire"])


def test_the_unit_does_not_run_as_root_and_has_the_groups_of_the_pins() -> None:
    assert values("User") == ["tapwire"]
    assert values("SupplementaryGroups") == ["gpio spi"]
    assert values("CapabilityBoundingSet") == [""]


@pytest.mark.parametrize("template", [NODE, PAIRING], ids=lambda template: template.name)
def test_systemd_reads_the_unit(template: Path, tmp_path: Path) -> None:
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("systemd-analyze is not installed")
    unit = tmp_path / template.name.replace("@", "@left")
    unit.write_text(unit_for(template.read_text(encoding="utf-8"), Path(sys.executable).parent), encoding="utf-8")

    checked = subprocess.run([analyze, "verify", str(unit)], capture_output=True, text=True, timeout=60, check=False)

    assert (checked.returncode, [line for line in checked.stderr.splitlines() if str(unit.name) in line]) == (0, [])
