"""tap.toml and scenario files: valid ones, and the errors for wrong ones."""

import codecs
from pathlib import Path

import pytest

from tapwire_node.hardware.scenario import InvalidScenario, load_scenario
from tapwire_node.hardware.settings import GpioHardware, PcscHardware
from tapwire_node.settings import InvalidSettings, Settings, broker_addresses, load_settings

GOOD = """
[tap]
path = "bar/taps/left"
[broker]
url = "mqtts://broker.example"
password_file = "secret"
[journal]
file = "state/journal.sqlite"
[hardware]
driver = "gpio"
valve_pin = 17
meter_pin = 27
[limits]
request_timeout_ms = 1000
"""


def load(folder: Path, text: str) -> Settings:
    (folder / "secret").write_text("s3cret\n")
    file = folder / "tap.toml"
    file.write_text(text)
    return load_settings(file)


def test_files_from_windows_are_read_as_any_others(tmp_path: Path) -> None:
    plain = load(tmp_path, GOOD)
    for name in ("tap.toml", "secret"):
        file = tmp_path / name
        file.write_bytes(codecs.BOM_UTF8 + file.read_bytes().replace(b"\n", b"\r\n"))

    assert load_settings(tmp_path / "tap.toml") == plain


def test_a_tap_toml_is_read_with_paths_beside_it(tmp_path: Path) -> None:
    settings = load(tmp_path, GOOD)

    assert settings.journal.file == str(tmp_path / "state/journal.sqlite")
    assert isinstance(settings.hardware, GpioHardware)
    assert (settings.limits.request_timeout_ms, settings.limits.tail_ms) == (1_000, 3_000)
    (address,) = broker_addresses(settings)
    assert (address.host, address.port, address.tls) == ("broker.example", 8883, True)
    assert (address.username, address.password) == ("bar/taps/left", "s3cret")


def test_user_and_secret_may_stand_in_the_url(tmp_path: Path) -> None:
    url = "mqtt://bar%2Ftaps%2Fleft:s%40fe@localhost:1884"
    text = GOOD.replace("mqtts://broker.example", url).replace('password_file = "secret"', "")
    (address,) = broker_addresses(load(tmp_path, text))
    assert (address.username, address.password, address.port, address.tls) == ("bar/taps/left", "s@fe", 1884, False)


@pytest.mark.parametrize(
    ("right", "wrong", "told"),
    [
        ("bar/taps/left", "bar/left", "VENUE/taps/TAP"),
        ("bar/taps/left", "bar/readers/desk", "desk reader"),
        ("mqtts://", "http://", "write mqtt://HOST:PORT"),
        ("broker.example", "broker.example:99999", "broker.url"),
        ('password_file = "secret"', 'password_file = "none"', "can't be read"),
        ('password_file = "secret"', 'password_file = "secret"\npassword = "x"', "give the password once"),
        ('password_file = "secret"', 'password_file = "secret"\nca_file = "none.pem"', "ca_file"),
        ("request_timeout_ms = 1000", "request_timeout = 1000", "request_timeout"),
        ("request_timeout_ms = 1000", "request_timeout_ms = 0", "request_timeout_ms"),
        ('driver = "gpio"', 'driver = "toaster"', "toaster"),
        ("valve_pin = 17", "", "valve_pin"),
        ('driver = "gpio"\nvalve_pin = 17\nmeter_pin = 27', 'driver = "pcsc"', "needs a valve"),
        ("[tap]", "[tap", "not valid TOML"),
    ],
)
def test_a_wrong_tap_toml_is_refused_with_what_to_change(tmp_path: Path, right: str, wrong: str, told: str) -> None:
    with pytest.raises(InvalidSettings, match=told):
        load(tmp_path, GOOD.replace(right, wrong, 1))


def test_a_missing_tap_toml_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidSettings, match="can't be read"):
        load_settings(tmp_path / "none.toml")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "guests"),
        ("[[guests]]\ncards = []", "length"),
        ('[[guests]]\ncards = ["xyz"]', "card id"),
        ('[[guests]]\ncards = ["04a1b2c3"]\nleave = 3', "leave"),
        ('[[guests]]\ncards = ["04a1b2c3"]\n[[faults]]\nkind = "earthquake"', "earthquake"),
    ],
)
def test_a_wrong_scenario_is_refused_with_what_to_change(tmp_path: Path, text: str, told: str) -> None:
    file = tmp_path / "guests.toml"
    file.write_text(text)
    with pytest.raises(InvalidScenario, match=told):
        load_scenario(file)


def test_a_desk_reader_needs_no_journal_and_takes_a_driver_without_a_valve(tmp_path: Path) -> None:
    text = (
        '[tap]\npath = "bar/readers/desk"\n[broker]\nurl = "mqtt://broker"\n[hardware]\ndriver = "pcsc"\nreader_name = "ACR122"\n'
    )
    settings = load(tmp_path, text)
    assert settings.hardware == PcscHardware(reader_name="ACR122")
    assert broker_addresses(settings)[0].username == "bar/readers/desk"
