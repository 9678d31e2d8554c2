"""Taps in Home Assistant, as an option: one worker publishes their discovery configs and states, retained.

It has its own connection to the broker, and reads the taps every few seconds: guests never wait for it.
It publishes changes, and all states once a minute, so that Home Assistant knows a value is not stale.
It clears the retained messages of deleted taps, and those of every tap once the option is off.
"""

import asyncio
import contextlib
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import asyncpg
from aiomqtt import MqttError

from tapwire_contracts.broker_addresses import Attempts
from tapwire_contracts.topics import HOME_ROOT, home_topic
from tapwire_core.broker.client import Client, subscribe
from tapwire_core.db.advisory_lock import hold_lock
from tapwire_core.db.engine import Database
from tapwire_core.db.failures import DatabaseUnavailable, translate_database_errors
from tapwire_core.db.views.queries import every_item
from tapwire_core.db.views.taps import TapView, list_taps
from tapwire_core.mqtt.connection import BrokerAddress
from tapwire_core.mqtt.home_assistant_payloads import discovery_config, discovery_topic, home_state

PUBLISHER_LOCK: Final = 0x7A_0000_0001
"""Key of the advisory lock: one worker at a time publishes, so that a slower one never overwrites a newer state."""
CLEARED: Final = b""
"""Empty payload that deletes a retained message."""
UNKNOWN: Final = b"?"
"""Stand-in for the payload that an earlier run left on the broker."""
RETAINED_WITHIN_S: Final = 0.5
"""Longest wait for the broker's retained messages."""

log: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class HomeAssistant:
    """A worker's publisher for Home Assistant, below the discovery `prefix`."""

    db: Database
    address: BrokerAddress
    prefix: str
    poll_s: float = 5.0
    """Interval between two reads of the taps."""
    refresh_s: float = 60.0
    """Interval between two publications of an unchanged state; well under `EXPIRES_S`."""
    retry_s: float = 5.0
    """Interval between two attempts to get the lock, the broker or the database."""

    async def run(self) -> None:
        """Publish while this worker holds the lock; ends only by cancellation."""
        attempts = self._attempts()
        while True:
            try:
                with translate_database_errors():
                    async with (
                        hold_lock(self.db.url, PUBLISHER_LOCK, self.retry_s) as lock_connection,
                        self.address.plain_client(attempts) as client,
                    ):
                        await self._publish(client, lock_connection)
            except (MqttError, DatabaseUnavailable) as error:
                log.warning("Home Assistant gets no updates: %s; retrying", error)
            await asyncio.sleep(attempts.turn(held=False) / 1000)

    async def withdraw(self) -> None:
        """Clear the retained messages from a time when the option was on."""
        attempts = self._attempts()
        while True:
            try:
                async with self.address.plain_client(attempts) as client:
                    for venue_id, tap_id in await _retained_taps(client):
                        topics = discovery_topic(self.prefix, venue_id, tap_id), home_topic(venue_id, tap_id)
                        await self._put(client, dict.fromkeys(topics, CLEARED))
                return
            except MqttError as error:
                log.debug("clearing retained messages of Home Assistant: %s", error)
            await asyncio.sleep(attempts.turn(held=False) / 1000)

    def _attempts(self) -> Attempts:
        retry_ms = round(self.retry_s * 1000)
        return self.address.attempts(retry_ms, retry_ms)

    async def _publish(self, client: Client, lock_connection: asyncpg.Connection) -> None:
        clock = asyncio.get_running_loop().time
        configs: dict[str, bytes] = {}
        states: dict[str, bytes] = {}
        for venue_id, tap_id in await _retained_taps(client):
            configs[discovery_topic(self.prefix, venue_id, tap_id)] = states[home_topic(venue_id, tap_id)] = UNKNOWN
        refreshed_at = clock()
        while True:
            await lock_connection.fetchval("SELECT 1")
            taps = await _all_taps(self.db)
            wanted = {discovery_topic(self.prefix, tap.venue_id, tap.tap_id): discovery_config(tap) for tap in taps}
            shown = {home_topic(tap.venue_id, tap.tap_id): home_state(tap) for tap in taps}
            await self._put(client, _changes(configs, wanted))
            if clock() - refreshed_at >= self.refresh_s:
                states, refreshed_at = dict.fromkeys(states, UNKNOWN), clock()
            await self._put(client, _changes(states, shown))
            configs, states = wanted, shown
            await asyncio.sleep(self.poll_s)

    async def _put(self, client: Client, retained: Mapping[str, bytes]) -> None:
        for topic, payload in retained.items():
            await client.publish(topic, payload, qos=1, retain=True)


def _changes(before: Mapping[str, bytes], after: Mapping[str, bytes]) -> dict[str, bytes]:
    """The messages to publish: new or changed payloads, and empty ones for deleted taps."""
    differing = {topic: payload for topic, payload in after.items() if before.get(topic) != payload}
    return dict.fromkeys(before.keys() - after.keys(), CLEARED) | differing


async def _retained_taps(client: Client) -> set[tuple[str, str]]:
    """Venue and id of every tap with a retained state on the broker."""
    await subscribe(client, [(home_topic("+", "+"), 0)])
    found = set[tuple[str, str]]()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(RETAINED_WITHIN_S):
            async for message in client.messages:
                venue_id, _, tap_id = str(message.topic).removeprefix(f"{HOME_ROOT}/").partition("/")
                found.add((venue_id, tap_id))
    await client.unsubscribe(home_topic("+", "+"))
    return found


async def _all_taps(db: Database) -> list[TapView]:
    return await every_item(lambda page: list_taps(db, page=page))
