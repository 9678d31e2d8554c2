"""The embedded broker: Mosquitto where it is installed, amqtt inside this process elsewhere. One interface for both.

Every client logs in, and what it may publish and read comes from `tapwire_contracts.acl`, whichever broker enforces it. The
devices' listener ties a client id to its username; core, admin and operators come through the other one (CONTRACT.md, "MQTT").
"""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import assert_never

from tapwire_demo.amqtt_broker import AmqttBroker
from tapwire_demo.embedded_broker import Account, BrokerKind, EmbeddedBroker, EmbeddedBrokerError
from tapwire_demo.mosquitto import MosquittoBroker, find_mosquitto

__all__ = ["Account", "BrokerKind", "EmbeddedBroker", "EmbeddedBrokerError", "best_broker", "find_mosquitto", "open_broker"]


@asynccontextmanager
async def open_broker(kind: BrokerKind, folder: Path, accounts: Iterable[Account]) -> AsyncIterator[EmbeddedBroker]:
    """Run a broker with its files in the folder, which may be missing; raises `EmbeddedBrokerError`."""
    broker = _make(kind, folder, accounts)
    try:
        await broker.start()
        yield broker
    finally:
        await broker.stop()


def best_broker() -> BrokerKind:
    """The broker to use on this machine."""
    return BrokerKind.MOSQUITTO if find_mosquitto() else BrokerKind.AMQTT


def _make(kind: BrokerKind, folder: Path, accounts: Iterable[Account]) -> EmbeddedBroker:
    match kind:
        case BrokerKind.MOSQUITTO:
            return MosquittoBroker(folder, accounts)
        case BrokerKind.AMQTT:
            return AmqttBroker(accounts)
        case _:
            assert_never(kind)
