"""Which libraries the doctor names: pin factories and owners of RPi.GPIO, as packages that are really on the path."""

from pathlib import Path

import pytest

from tapwire_node.commands.doctor.driver_checks import examine_pin_factory, examine_rpi_gpio
from tapwire_node.hardware.settings import GpioHardware, SimulatedHardware
from tapwire_node.settings import BrokerSettings, Settings, TapSettings

GPIO = GpioHardware(valve_pin=17, meter_pin=27)


def test_two_packages_that_own_rpi_gpio_are_a_problem_that_says_which_one_to_remove(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, monkeypatch, "rpi-lgpio", "RPi")
    alone = examine_rpi_gpio(on(GPIO))
    install(tmp_path, monkeypatch, "RPi.GPIO", "RPi")
    both = examine_rpi_gpio(on(GPIO))

    assert (alone.is_ok, alone.text) == (True, "from rpi-lgpio 0.6")
    assert not both.is_ok
    assert "RPi.GPIO 0.6 and rpi-lgpio 0.6 own the same files: `pip uninstall RPi.GPIO`" in both.text


def test_a_reader_without_rpi_gpio_is_a_problem_and_a_simulated_one_needs_none() -> None:
    assert "not installed" in examine_rpi_gpio(on(GPIO)).text
    assert not examine_rpi_gpio(on(GPIO)).is_ok
    assert examine_rpi_gpio(on(SimulatedHardware())).is_ok


def test_the_pin_factory_is_the_one_that_gpiozero_takes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    without = examine_pin_factory(on(GPIO))
    install(tmp_path, monkeypatch, "rpi-lgpio", "RPi")
    shim = examine_pin_factory(on(GPIO))
    install(tmp_path, monkeypatch, "lgpio", "lgpio")
    lgpio = examine_pin_factory(on(GPIO))
    monkeypatch.setenv("GPIOZERO_PIN_FACTORY", "pigpio")
    chosen = examine_pin_factory(on(GPIO))

    assert not without.is_ok
    assert shim.text == "rpigpio, from rpi-lgpio 0.6"
    assert lgpio.text == "lgpio, from lgpio 0.6"
    assert chosen.text == "pigpio, by GPIOZERO_PIN_FACTORY"
    assert examine_pin_factory(on(SimulatedHardware())).is_ok


def on(hardware: GpioHardware | SimulatedHardware) -> Settings:
    return Settings(tap=TapSettings(path="bar/taps/left"), broker=BrokerSettings(url="mqtt://localhost"), hardware=hardware)


def install(folder: Path, monkeypatch: pytest.MonkeyPatch, package: str, module: str) -> None:
    """Put a package with one module on the path, as pip would."""
    (folder / module).mkdir(exist_ok=True)
    (folder / module / "__init__.py").touch()
    metadata = folder / f"{package.replace('-', '_')}-0.6.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 0.6\n")
    (metadata / "RECORD").write_text(f"{module}/__init__.py,,\n")
    monkeypatch.syspath_prepend(folder)
