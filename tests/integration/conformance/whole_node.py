"""A whole tap node as the kit meets one: our own, at simulated hardware, behind the kit's link to the broker."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from tapwire_conformance.broker import BrokerUrl
from tapwire_conformance.own_broker import OwnBroker
from tapwire_conformance.report import progress
from tapwire_conformance.rules import NotTried
from tapwire_conformance.runner import Result, try_rules
from tapwire_conformance.tap.catalogue import TAP_RULES
from tapwire_conformance.tap.link import Link
from tapwire_conformance.tap.rig import Rig
from tapwire_conformance.tap.stage import NodeSettings, TapStage
from tapwire_conformance.transcript import Transcript
from tapwire_contracts.topics import DevicePath
from tapwire_demo.broker import EmbeddedBroker
from tapwire_node.hardware.simulated_tap import SimulatedTap
from tapwire_node.runtime.tap_node import running_node
from tapwire_node.settings import Settings
from tests.integration.conformance.kits_broker import KitsBroker
from tests.integration.node.rig import FLOW_ML_PER_S, TAP, tap_settings

REQUEST_TIMEOUT_S: Final = 0.9
NODE: Final = NodeSettings(
    request_timeout_s=REQUEST_TIMEOUT_S, repeat_s=0.15, answer_s=15.0, quiet_s=0.4, pour_ml=40, pulses_per_liter=1_000
)
NO_FLOW_S: Final = 0.15
LOOK_S: Final = 0.01


class SimulatedRig:
    """The rig of simulated hardware in this process."""

    def __init__(self, tap: SimulatedTap) -> None:
        self._tap = tap

    def do(self, request: str) -> str:
        """Carry out one request of the kit's protocol."""
        verb, _, argument = request.partition(" ")
        match verb:
            case "card-on":
                self._tap.reader.present(argument)
            case "card-off":
                self._tap.reader.remove()
            case "flow":
                self._tap.flow_ml_per_s = FLOW_ML_PER_S if argument == "on" else 0
            case "pour":
                self._let_flow(int(argument))
            case "leak":
                self._tap.leak_ml_per_s = FLOW_ML_PER_S
                self._let_flow(int(argument))
                self._tap.leak_ml_per_s = 0
            case "valve":
                return "open" if self._tap.valve_is_driven else "closed"
            case "flowed":
                return str(self._tap.flowed_ml)
            case _:
                raise NotTried(f"this rig can't {verb}")
        return "ok"

    def _let_flow(self, ml: int) -> None:
        until_ml, before_ml, since_s = self._tap.flowed_ml + ml, -1, time.monotonic()
        while self._tap.flowed_ml < until_ml and time.monotonic() - since_s < NO_FLOW_S:
            if self._tap.flowed_ml > before_ml:
                before_ml, since_s = self._tap.flowed_ml, time.monotonic()
            time.sleep(LOOK_S)


@dataclass(frozen=True, slots=True)
class WholeNode:
    """A node, its rig, and the way to it."""

    broker_url: str
    rig: Rig
    link: Link
    own_broker: OwnBroker | None = None
    ca_file: str | None = None

    async def judge(self, *only: str, settings: NodeSettings = NODE) -> list[Result]:
        """What the kit says of it, by these rules or groups."""
        return await asyncio.to_thread(self._judge, list(only), settings)

    def _judge(self, only: list[str], settings: NodeSettings) -> list[Result]:
        path, transcript = DevicePath.parse(TAP), Transcript()
        url = BrokerUrl.parse(self.broker_url)
        with TapStage.opened(url, path, self.rig, self.link, transcript, settings, self.ca_file, self.own_broker) as stage:
            return list(try_rules(TAP_RULES.chosen(only), stage, lambda result: print(progress(result))))


@asynccontextmanager
async def whole_node(
    mosquitto: EmbeddedBroker, folder: Path, kits_port: int | None = None, own_broker: OwnBroker | None = None
) -> AsyncIterator[WholeNode]:
    """Run it, behind a link; with `kits_port` behind that of a kit of its own process, which will listen there."""
    ca_file = str(mosquitto.ca_file) if isinstance(mosquitto, KitsBroker) and mosquitto.ca_file else None
    given = await tap_settings(mosquitto, folder)
    given["limits"] |= {"request_timeout_ms": int(REQUEST_TIMEOUT_S * 1_000), "node_heartbeat_ms": 1_000}
    given["broker"] |= {"ca_file": ca_file} if ca_file else {}
    with Link(mosquitto.host, 0, (mosquitto.host, mosquitto.device_port)) as link:
        given["broker"]["url"] = given["broker"]["url"].replace(f":{mosquitto.device_port}", f":{kits_port or link.port}")
        async with running_node(msgspec.convert(given, Settings)) as node:
            assert node.hardware.simulated is not None
            yield WholeNode(mosquitto.url("core"), SimulatedRig(node.hardware.simulated), link, own_broker, ca_file)
