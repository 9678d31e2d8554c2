"""Checks of pins, reader and broker by using them, while no node runs. The valve is closed all the time."""

import asyncio
import socket
from threading import Event
from typing import Final

from aiomqtt import MqttError

from tapwire_node.commands.doctor.finding import Finding
from tapwire_node.hardware.drivers import open_desk_reader, open_hardware
from tapwire_node.hardware.pin_libraries import PinsUnavailable
from tapwire_node.hardware.reader import Reader
from tapwire_node.hardware.valve import NoListener
from tapwire_node.mqtt.broker_connection import MS_PER_S, make_mqtt_client, tls_context
from tapwire_node.settings import BrokerAddress, Settings, broker_addresses, desk_hardware, device_path, tap_hardware

READER_WAIT_S: Final = 5.0
"""Longest wait for the reader's first event."""


class FirstReaderEvent:
    """A reader's listener that waits for the first event."""

    def __init__(self) -> None:
        self.heard = Event()
        self.failure: str | None = None
        self.card_uid: str | None = None

    def card_seen(self, card_uid: str) -> None:
        """The reader works and has a card on it."""
        self.card_uid = card_uid
        self.heard.set()

    def card_lifted(self) -> None:
        """The reader works and is empty."""
        self.heard.set()

    def reader_failed(self, text: str) -> None:
        """The reader does not work."""
        self.failure = text
        self.heard.set()

    def reader_recovered(self) -> None:
        """The reader works; its card, or none, is reported next."""


def examine_hardware(settings: Settings) -> list[Finding]:
    """Check the pins and the reader."""
    try:
        hardware = open_hardware(tap_hardware(settings), settings.process.valve_watchdog_ms, NoListener(), settings.tap.path)
    except PinsUnavailable as error:
        return [Finding.problem("pins", f"{error}: check [hardware], and that this user is in the group gpio")]
    try:
        pins = Finding.ok("pins", f"valve and meter can be used, the valve is {'OPEN' if hardware.valve.is_open else 'closed'}")
        return [pins, check_reader(hardware.reader)]
    finally:
        hardware.end()


def examine_desk(settings: Settings) -> Finding:
    """Check a desk reader."""
    parts = open_desk_reader(desk_hardware(settings))
    try:
        return check_reader(parts.reader)
    finally:
        parts.end()


def check_reader(reader: Reader) -> Finding:
    """Wait for the reader's first event."""
    first_event = FirstReaderEvent()
    reader.start(first_event)
    if not first_event.heard.wait(READER_WAIT_S):
        return Finding.problem("reader", f"no answer for {READER_WAIT_S:.0f} s: check its wiring")
    if first_event.failure is not None:
        return Finding.problem("reader", f"{first_event.failure}: check its wiring and SPI")
    return Finding.ok("reader", "answers" if first_event.card_uid is None else f"answers, card {first_event.card_uid} is on it")


def try_broker(settings: Settings) -> list[Finding]:
    """Log in at each address of the broker as the node would; nothing is published."""
    return [asyncio.run(_log_in(settings, address)) for address in broker_addresses(settings)]


async def _log_in(settings: Settings, address: BrokerAddress) -> Finding:
    try:
        async with make_mqtt_client(device_path(settings), address, settings.broker):
            return Finding.ok("broker", f"{address.host}:{address.port} accepts our login")
    except (MqttError, OSError) as error:
        return _unusable(address, error)


def reach_broker(settings: Settings) -> list[Finding]:
    """Reach each address of the broker, and check its certificate's name; a login there would end the running node's own.

    Nothing where there is only one address: the node's state says whether it is connected.
    """
    addresses = broker_addresses(settings)
    return [_reach(settings, address) for address in addresses] if len(addresses) > 1 else []


def _reach(settings: Settings, address: BrokerAddress) -> Finding:
    place, timeout_s = f"{address.host}:{address.port}", settings.broker.timeout_ms / MS_PER_S
    try:
        with socket.create_connection((address.host, address.port), timeout_s) as plain:
            if not address.tls:
                return Finding.ok("broker", f"{place} can be reached")
            with tls_context(settings.broker.ca_file).wrap_socket(plain, server_hostname=address.host):
                return Finding.ok("broker", f"{place} can be reached, its certificate is trusted and has its name")
    except (MqttError, OSError) as error:
        return _unusable(address, error)


def _unusable(address: BrokerAddress, error: Exception) -> Finding:
    advice = "Check [broker] in tap.toml, the network, and `tapwire-core add-device`"
    return Finding.problem("broker", f"{address.host}:{address.port}: {error}. {advice}")
