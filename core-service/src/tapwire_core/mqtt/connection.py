"""A worker's connection to the broker: its presence, its subscriptions and its publications.

The broker is never trusted to keep anything: sessions are clean, and at each connect the worker's own `core_state` and every tap's
`tap_config` are published again.
"""

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import SystemRandom
from typing import Final

from aiomqtt import Will
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from tapwire_contracts import CONTRACT_VERSION
from tapwire_contracts.broker_addresses import Attempts, split_broker_urls, subscription_qos
from tapwire_contracts.codec import encode
from tapwire_contracts.messages import COMMAND, CONFIG, CORE_STATE, ROUTES, STATE, CoreState, Route, Sender, TapConfig
from tapwire_contracts.taken_watch import TakenWatch
from tapwire_contracts.topics import ROOT, core_state_topic
from tapwire_core import SOFTWARE
from tapwire_core.broker.client import Client, Receive, make_client, now_ms
from tapwire_core.settings import MQTT_5, SHARE_GROUP

COMMAND_EXPIRY_S: Final = 30
"""Expiry of an undelivered command: by then its node has asked again, or will report."""
COMMAND_EXPIRY: Final = Properties(PacketTypes.PUBLISH)
COMMAND_EXPIRY.MessageExpiryInterval = COMMAND_EXPIRY_S


@dataclass(frozen=True, kw_only=True)
class BrokerAddress:
    """The broker's protocol and address, or addresses separated by commas.

    `shared` subscriptions spread the load over several workers, if the broker supports them. Mosquitto lets any client join a
    shared subscription, and messages that its access rules then withhold from that client are lost. So no device should be able to
    guess the group's name.
    """

    url: str
    protocol: str = "5"
    shared: bool = False
    share_group: str = SHARE_GROUP
    ca_file: Path | None = None
    """The trusted authority for `mqtts://`; None: the machine's own."""

    @functools.cached_property
    def urls(self) -> tuple[str, ...]:
        """The single addresses; raises `InvalidBrokerUrl`."""
        return split_broker_urls(self.url)

    def attempts(self, first_ms: int, longest_ms: int) -> Attempts:
        """The order in which the addresses are tried, with waits from the first to the longest."""
        return Attempts(len(self.urls), first_ms, longest_ms, SystemRandom())

    def client(self, instance_id: str, client_id: str, receive: Receive, attempts: Attempts) -> Client:
        """A client for one connection that hands each message to `receive`; its will clears the worker's `core_state`.

        `instance_id` is published, `client_id` never (`new_client_id`).
        """
        will = Will(core_state_topic(instance_id), payload=b"", qos=CORE_STATE.qos, retain=CORE_STATE.retain)
        return make_client(
            self.urls[attempts.address],
            self.protocol,
            client_id=client_id,
            will=will,
            ca_file=self.ca_file,
            receive=receive,
            has_others=attempts.has_others,
        )

    def plain_client(self, attempts: Attempts) -> Client:
        """A client for one connection without a worker's presence."""
        url = self.urls[attempts.address]
        return make_client(url, self.protocol, ca_file=self.ca_file, has_others=attempts.has_others)

    def subscriptions(self) -> Iterator[tuple[str, int]]:
        """A worker's subscriptions: devices' messages, and the presence of workers with which it shares the taps.

        States are never shared: the broker sends retained messages only to plain subscriptions.
        """
        qos_of = functools.partial(subscription_qos, has_others=len(self.urls) > 1)
        for route in ROUTES:
            if route.sender is Sender.NODE:
                prefix = f"$share/{self.share_group}/" if self.shared and route is not STATE else ""
                for kind in route.kinds:
                    yield f"{prefix}{ROOT}/+/{kind.value}/+/{route.leaf}", qos_of(route.qos)
        if not self.shared:
            yield core_state_topic("+"), qos_of(CORE_STATE.qos)


@dataclass(frozen=True, slots=True)
class Publisher:
    """Publishes on an open connection; each method raises `aiomqtt.MqttError` when the broker doesn't accept the message."""

    client: Client
    address: BrokerAddress
    instance_id: str
    taken: TakenWatch

    async def send_command(self, tap_path: str, payload: str) -> None:
        """Publish a command, never retained."""
        expiry = COMMAND_EXPIRY if self.address.protocol == MQTT_5 else None
        await self._publish(COMMAND, f"{ROOT}/{tap_path}/{COMMAND.leaf}", payload, expiry)

    async def send_config(self, tap_path: str, config: TapConfig) -> None:
        """Publish a tap's config, retained."""
        await self._publish(CONFIG, f"{ROOT}/{tap_path}/{CONFIG.leaf}", encode(config))

    async def show_presence(self, heartbeat_ms: int) -> None:
        """Publish this worker's presence, which comes again after `heartbeat_ms`."""
        state = CoreState(
            instance_id=self.instance_id, software=SOFTWARE, contract_version=CONTRACT_VERSION, heartbeat_ms=heartbeat_ms
        )
        await self._publish(CORE_STATE, core_state_topic(self.instance_id), encode(state))

    async def withdraw_presence(self) -> None:
        """Clear this worker's presence, so that nodes refuse cards at once rather than wait for an answer."""
        await self._publish(CORE_STATE, core_state_topic(self.instance_id), b"")

    async def _publish(self, route: Route, topic: str, payload: bytes | str, properties: Properties | None = None) -> None:
        self.taken.sent(now_ms())
        await self.client.publish(topic, payload, qos=route.qos, retain=route.retain, properties=properties)
        self.taken.taken()
