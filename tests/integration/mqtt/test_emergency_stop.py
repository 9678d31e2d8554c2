"""An operator's emergency stop over REST reaches a tap that pours: real API, core, broker, node."""

import asyncio
import secrets
from pathlib import Path

import msgspec

from tapwire_contracts.tasks import end_tasks
from tapwire_core.mqtt.connection import BrokerAddress
from tapwire_core.services import taps
from tapwire_core.worker.worker import Intervals, Worker
from tapwire_demo.broker import EmbeddedBroker
from tapwire_node.runtime.tap_node import running_node
from tapwire_node.settings import Settings
from tests.integration.node.rig import tap_settings
from tests.integration.node.test_with_core import Bar
from tests.rest import Rest, done
from tests.venue import OPERATOR, Venue

NEVER_S = 3_600.0
"""The core looks into its outbox when it is notified, and not by itself: so the stop comes at once or not at all."""


async def test_an_emergency_stop_closes_the_valve_of_a_running_pour_and_charges_what_flowed(
    rest: Rest, venue: Venue, mosquitto: EmbeddedBroker, tmp_path: Path
) -> None:
    await taps.change_tap(venue.db, OPERATOR, venue.tap.path, pulses_per_liter=1_000, max_pour_ml=5_000, reason="a new meter")
    ann = await venue.guest(balance_minor=500_00)
    address = BrokerAddress(url=mosquitto.url("core"), protocol=mosquitto.protocol, shared=True)
    intervals = Intervals(outbox_s=NEVER_S, progress_s=0.05, database_check_s=0.1, reconnect_max_s=0.3)
    core = asyncio.create_task(Worker(venue.db, address, intervals, f"core-{secrets.token_hex(4)}").run())
    async with running_node(msgspec.convert(await tap_settings(mosquitto, tmp_path), Settings)) as node:
        bar = Bar(venue, node, mosquitto)
        await bar.start_pour(ann)
        await bar.flowed(50)

        stop = await rest.operator.post("/api/venues/bar/emergency-stop", json={"on": True, "reason": "a hose burst"})

        assert done(stop)["emergency_stop"] is True
        await bar.phase("OUT_OF_SERVICE")
        bar.tap.reader.remove()
        done(await rest.operator.post("/api/venues/bar/emergency-stop", json={"on": False, "reason": "mended"}))
        await bar.settled()
    await end_tasks(core)

    assert await venue.balance(ann) == (500_00 - bar.tap.flowed_ml * 50, 0)
    (pour,) = done(await rest.operator.get("/api/pours"))["items"]
    assert (pour["sync_status"], pour["end_reason"]) == ("synced", "disabled")
    await venue.books_balance()
