"""The systemd units: what they start is there, they start again, and they are hardened alike."""

import configparser
from pathlib import Path
from typing import Final

import pytest

from tests.command_line import done
from tests.deployment.setting_names import is_setting

ROOT = Path(__file__).parents[2]
UNITS: Final = sorted(ROOT.glob("*/systemd/*.service"))
OURS: Final = [unit for unit in UNITS if unit.parts[-3] in ("core-service", "admin-api")]
EXAMPLES: Final = [*ROOT.glob("core-service/systemd/*.env.example"), *ROOT.glob("admin-api/systemd/*.env.example")]
HARDENED: Final = {
    "NoNewPrivileges": "yes",
    "ProtectSystem": "strict",
    "ProtectHome": "yes",
    "PrivateTmp": "yes",
    "PrivateDevices": "yes",
    "RestrictSUIDSGID": "yes",
    "CapabilityBoundingSet": "",
    "SystemCallErrorNumber": "EPERM",
}


class Unit(configparser.RawConfigParser):
    """A unit's sections; of a repeated key the last line is kept."""

    def optionxform(self, optionstr: str) -> str:
        return optionstr


def read(unit: Path) -> Unit:
    parsed = Unit(strict=False, comment_prefixes=("#",), delimiters=("=",))
    parsed.read_string(unit.read_text())
    return parsed


@pytest.mark.parametrize("unit", OURS, ids=lambda unit: unit.name)
def test_a_unit_starts_our_program_as_nobody_special_and_again_when_it_dies(unit: Path) -> None:
    service = read(unit)["Service"]

    program = service["ExecStart"].split()
    assert program[0].startswith("/opt/tapwire/bin/tapwire-")
    assert service["User"] in ("tapwire", "mosquitto")
    assert {key: service[key] for key in HARDENED} == HARDENED
    assert "\nEnvironment=HOME=/var/lib/" in unit.read_text(), (
        "the database's driver looks into the home, and ProtectHome forbids /home"
    )
    if service.get("Type") != "oneshot":
        assert service["Restart"] == "always"
        assert read(unit)["Unit"]["StartLimitIntervalSec"] == "0", "a database may be away for long"
    assert Path(service["EnvironmentFile"]).name + ".example" in {example.name for example in EXAMPLES}


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
def test_each_setting_in_an_example_is_one(example: Path) -> None:
    lines = [line for line in example.read_text().splitlines() if line and not line.startswith("#")]

    assert [line for line in lines if not is_setting(line.split("=")[0])] == []


def test_each_timer_starts_a_unit_that_is_there() -> None:
    timers = list(ROOT.glob("*/systemd/*.timer"))

    assert timers
    assert [timer for timer in timers if not timer.with_suffix(".service").exists()] == []


async def test_the_commands_read_the_units_file_with_its_secrets_in_files_of_their_own(database_url: str, tmp_path: Path) -> None:
    (tmp_path / "database_url").write_text(database_url + "\n")
    (tmp_path / "core.env").write_text(f"# as systemd reads it\nTAPWIRE_DATABASE_URL_FILE={tmp_path / 'database_url'}\n")

    assert "The books balance." in await done("tapwire_core", "check", TAPWIRE_SETTINGS_FILE=str(tmp_path / "core.env"))
