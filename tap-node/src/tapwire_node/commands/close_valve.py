"""`tapwire-node close-valve`: close the valve with nothing but tap.toml, after the node was killed.

A killed process closes no valve, and a Raspberry Pi may keep the pin of a dead process driven. So this command takes the pin,
drives it to closed, and releases it. It needs neither journal nor broker, so that no other broken part keeps the valve open. While
the node runs, the pin is the node's (if the pin factory has owners of pins), and this command fails.
"""

from typing import Final

from gpiozero import OutputDevice

from tapwire_contracts.topics import DeviceKind
from tapwire_node.hardware.drivers import open_hardware
from tapwire_node.hardware.pin_libraries import PinsUnavailable, opening_pins
from tapwire_node.hardware.settings import GpioHardware, SimulatedHardware
from tapwire_node.hardware.valve import NoListener
from tapwire_node.settings import Settings, device_path, tap_hardware

WATCHDOG_MS: Final = 1_000


class ValveNotOurs(Exception):
    """The pin can't be taken; the text says why."""


def close_valve(settings: Settings) -> str:
    """Close the valve and return what was done. Raises `ValveNotOurs`, and for a simulated tap what its driver raises.

    A desk reader has the same systemd unit, so this command also accepts one.
    """
    if device_path(settings).kind is DeviceKind.READER:
        return f"{settings.tap.path} is a desk reader and has no valve"
    match tap_hardware(settings):
        case GpioHardware(valve_pin=pin, valve_active_high=active_high):
            try:
                with opening_pins():
                    OutputDevice(pin, active_high=active_high, initial_value=False).close()
            except PinsUnavailable as error:
                raise ValveNotOurs(
                    f"pin {pin} can't be taken: {error}. While the node runs, only the node can close the valve"
                ) from error
            return f"valve closed: pin {pin} is not driven"
        case SimulatedHardware() as simulated:
            hardware = open_hardware(simulated, WATCHDOG_MS, NoListener(), settings.tap.path)
            hardware.end()
            return "valve closed"
