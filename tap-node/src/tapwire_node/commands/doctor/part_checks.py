"""Trying the parts themselves, while no node has them. The valve is closed all the time."""

import asyncio
from threading import Event
from typing import Final

from aiomqtt import MqttError

from tapwire_node.commands.doctor.finding import Finding
from tapwire_node.commands.pin_errors import PIN_ERRORS
from tapwire_node.hardware.drivers import open_desk, open_hardware
from tapwire_node.hardware.reader import Reader
from tapwire_node.hardware.valve import Unheard
from tapwire_node.mqtt.broker_connection import make_client
from tapwire_node.settings import Settings, broker_address, desk_hardware, device_path, tap_hardware

READER_WAIT_S: Final = 5.0
"""How long the reader may take to say anything."""


class Ear:
    """Hears the first thing that a reader says."""

    def __init__(self) -> None:
        self.heard = Event()
        self.failure: str | None = None
        self.card_uid: str | None = None

    def card_seen(self, card_uid: str) -> None:
        """It works, and a card lies on it."""
        self.card_uid = card_uid
        self.heard.set()

    def card_lifted(self) -> None:
        """It works, and is empty."""
        self.heard.set()

    def reader_failed(self, text: str) -> None:
        """It does not work."""
        self.failure = text
        self.heard.set()

    def reader_recovered(self) -> None:
        """It works; what lies on it comes next."""


def examine_hardware(settings: Settings) -> list[Finding]:
    """Take the pins and listen to the reader."""
    try:
        hardware = open_hardware(tap_hardware(settings), settings.process.valve_watchdog_ms, Unheard(), settings.tap.path)
    except PIN_ERRORS as error:
        return [Finding.ill("pins", f"{error}: is [hardware] right, and this user in the group gpio?")]
    try:
        pins = Finding.well("pins", f"valve and meter are ours, the valve is {'OPEN' if hardware.valve.is_open else 'closed'}")
        return [pins, listen(hardware.reader)]
    finally:
        hardware.end()


def examine_desk(settings: Settings) -> Finding:
    """Listen to a desk reader, which has no other parts."""
    parts = open_desk(desk_hardware(settings))
    try:
        return listen(parts.reader)
    finally:
        parts.end()


def listen(reader: Reader) -> Finding:
    """Whether the reader answers."""
    ear = Ear()
    reader.start(ear)
    if not ear.heard.wait(READER_WAIT_S):
        return Finding.ill("reader", f"it said nothing for {READER_WAIT_S:.0f} s: look at its wiring")
    if ear.failure is not None:
        return Finding.ill("reader", f"{ear.failure}: look at its wiring and at SPI")
    return Finding.well("reader", "answers" if ear.card_uid is None else f"answers, card {ear.card_uid} lies on it")


def try_broker(settings: Settings) -> Finding:
    """Log in as the node would, and go again; nothing is published."""
    return asyncio.run(_log_in(settings))


async def _log_in(settings: Settings) -> Finding:
    address, broker = broker_address(settings), settings.broker
    place = f"{address.host}:{address.port}"
    try:
        async with make_client(device_path(settings), address, broker):
            return Finding.well("broker", f"{place} takes our login")
    except (MqttError, OSError) as error:
        return Finding.ill("broker", f"{place}: {error}. Look at [broker] in tap.toml, the network, and `tapwire-core add-device`")
