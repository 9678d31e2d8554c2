"""Checks of the libraries that drive pins and reader: which are in use, whether two own the same files. Imports none of them."""

import os
from importlib.metadata import packages_distributions, version
from importlib.util import find_spec
from typing import Final

from gpiozero import Device

from tapwire_node.commands.doctor.finding import Finding
from tapwire_node.hardware.settings import GpioHardware, Mfrc522Wiring
from tapwire_node.settings import Settings

FACTORY_VARIABLE: Final = "GPIOZERO_PIN_FACTORY"
FACTORY_MODULES: Final = {"lgpio": "lgpio", "rpigpio": "RPi", "pigpio": "pigpio"}
"""gpiozero's pin factories in the order in which it tries them, each with its module; without any it uses `native`."""
SHIM: Final = "rpi-lgpio"
INSTALL: Final = "install requirements/pi.txt (docs/tap-node.md)"


def examine_pin_factory(settings: Settings) -> Finding:
    """Name the pin factory with which this user's programs drive the pins."""
    if not isinstance(settings.hardware, GpioHardware):
        return Finding.ok("factory", "mock pins: the hardware is simulated")
    chosen = os.environ.get(FACTORY_VARIABLE)
    if chosen:
        return Finding.ok("factory", f"{chosen}, by {FACTORY_VARIABLE}")
    found = next((factory for factory, module in FACTORY_MODULES.items() if find_spec(module)), None)
    if found is None:
        return Finding.problem("factory", f"gpiozero has only native, which knows few boards: {INSTALL}")
    text, used = f"{found}, from {_owners(FACTORY_MODULES[found])}", _used_factory()
    if used not in (None, found):
        return Finding.problem("factory", f"{text}, can't be used here, so gpiozero takes {used}: its log lines above say why")
    return Finding.ok("factory", text)


def _used_factory() -> str | None:
    """The pin factory that gpiozero has made in this process; None before the pins are opened, or if none could be."""
    factory = Device.pin_factory
    return type(factory).__module__.rpartition(".")[2] if factory is not None else None


def examine_rpi_gpio(settings: Settings) -> Finding:
    """Name the owner of `RPi.GPIO`, which the MFRC522's library imports; two owners overwrite each other's files."""
    if not isinstance(settings.hardware, Mfrc522Wiring):
        return Finding.ok("RPi.GPIO", "not used")
    owners = packages_distributions().get("RPi", [])
    if not owners:
        return Finding.problem("RPi.GPIO", f"not installed, and the reader needs it: {INSTALL}")
    if len(set(owners)) > 1:
        others = " ".join(sorted(set(owners) - {SHIM}))
        return Finding.problem(
            "RPi.GPIO",
            f"{_owners('RPi')} own the same files: `pip uninstall {others}`, then `pip install --force-reinstall {SHIM}`",
        )
    return Finding.ok("RPi.GPIO", f"from {_owners('RPi')}")


def _owners(module: str) -> str:
    """The distributions that a module is from, with their versions."""
    names = sorted(set(packages_distributions().get(module, [])))
    return " and ".join(f"{name} {version(name)}" for name in names) or f"a module {module} of no package"
