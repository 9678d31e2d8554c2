"""`tapwire-node close-valve`: shut the valve with nothing but tap.toml, after the node was killed.

A killed process closes no valve, and a Raspberry Pi may keep a pin driven that nobody drives any more. So this takes the pin,
drives it to closed, and lets go. It reads no journal and no broker; a part that is broken must not keep the valve open. While the
node runs, the pin is the node's (where the pin factory knows such a thing), and this fails and says so.
"""

from typing import Final

from gpiozero import OutputDevice

from tapwire_node.hardware.drivers import open_hardware
from tapwire_node.hardware.settings import GpioHardware
from tapwire_node.settings import Settings

WATCHDOG_MS: Final = 1_000


def close_valve(settings: Settings) -> str:
    """Close it; what was done. Raises what the pin's library raises."""
    match settings.hardware:
        case GpioHardware(valve_pin=pin, valve_active_high=active_high):
            OutputDevice(pin, active_high=active_high, initial_value=False).close()
            return f"valve closed: pin {pin} is not driven"
        case other:
            hardware = open_hardware(other, WATCHDOG_MS, lambda: None)
            hardware.end()
            return "valve closed"
