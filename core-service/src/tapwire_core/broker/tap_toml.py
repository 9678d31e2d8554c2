"""Ready settings for a new tap node, secret included: the file that `tapwire-node run --config tap.toml` reads."""

import json
from dataclasses import dataclass
from typing import Final, Self

from tapwire_contracts.text_files import read_text_file
from tapwire_core.services.devices import DeviceSecret
from tapwire_core.settings import MQTT_5, Settings

CA_FILE: Final = "ca.crt"
"""The broker's authority, beside the tap.toml."""
GPIO: Final = "gpio"
SIMULATED: Final = "simulated"
DRIVERS: Final = (GPIO, SIMULATED)
_PINS: Final = "valve_pin = 17                           # as wired: BCM numbers\nmeter_pin = 27\n"


@dataclass(frozen=True, slots=True)
class DevicesBroker:
    """The broker's address for devices, its trusted authority as PEM, and its MQTT; None where the settings have none."""

    url: str | None = None
    ca: str | None = None
    protocol: str | None = None

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Read it from the settings; raises `OSError` for an authority that can't be read."""
        file = settings.broker_ca_file if "mqtts:" in (settings.device_broker_url or "") else None
        protocol = settings.broker_protocol if settings.device_broker_url else None
        return cls(settings.device_broker_url, read_text_file(file) if file else None, protocol)


def tap_toml(
    device: DeviceSecret, broker_url: str, *, protocol: str = MQTT_5, driver: str = GPIO, has_ca_file: bool = False
) -> str:
    """The text of a tap.toml; `broker_url` is the devices' URL of the broker, without a login, and `protocol` the MQTT there."""
    ca_file = f"ca_file = {_quoted(CA_FILE)}\n" if has_ca_file else ""
    older = "" if protocol == MQTT_5 else f"protocol = {_quoted(protocol)}\n"
    return f"""\
# This file contains the secret: keep it readable for the node only.
[tap]
path = {_quoted(device.path)}

[broker]
url = {_quoted(broker_url)}
password = {_quoted(device.secret)}
{older}{ca_file}
[journal]
file = "journal.sqlite"

[hardware]
driver = {_quoted(driver)}
{_PINS if driver == GPIO else ""}"""


def _quoted(text: str) -> str:
    """A TOML string: JSON strings are valid TOML."""
    return json.dumps(text)
