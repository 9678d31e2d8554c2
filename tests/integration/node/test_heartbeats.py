"""Heartbeats of a node and of core workers at a real broker, without a will of either."""

from pathlib import Path

import msgspec
import pytest

from tapwire_demo.broker import EmbeddedBroker
from tapwire_node.runtime.desk_node import DeskNode
from tapwire_node.settings import Settings
from tests.integration.node.rig import CARD, rig_at, tap_settings, until

BEAT_MS = 300


async def test_a_node_says_its_state_again_with_each_heartbeat(mosquitto: EmbeddedBroker, tmp_path: Path) -> None:
    async with rig_at(mosquitto, tmp_path, limits={"node_heartbeat_ms": BEAT_MS}) as rig:
        rig.core.forget()
        said = [await rig.core.hear("node_state", count, status="online", phase="IDLE") for count in (1, 2, 3, 4)]
        ages_ms = [state["uptime_ms"] for state in said]
        assert ages_ms == sorted(set(ages_ms))
        assert {state["heartbeat_ms"] for state in said} == {BEAT_MS}


async def test_a_core_worker_that_dies_without_a_will_is_gone_within_three_heartbeats(
    mosquitto: EmbeddedBroker, tmp_path: Path
) -> None:
    async with rig_at(mosquitto, tmp_path) as rig:
        await rig.core.show_up("core-1", heartbeat_ms=BEAT_MS)
        await until(lambda: rig.node.state.peers.heartbeat_ms == BEAT_MS, "the promise of heartbeats")
        await until(lambda: not rig.node.state.peers.cores, "the end of the worker that no longer beats", patience_s=5)

        rig.core.forget()
        rig.tap.reader.present(CARD)
        await rig.phase("CARD_MUST_BE_REMOVED")
        assert rig.core.all("card_presented") == []

        rig.tap.reader.remove()
        await rig.core.show_up("core-1", heartbeat_ms=60_000)
        await rig.pour()


async def test_a_desk_reader_says_its_heartbeat(mosquitto: EmbeddedBroker, tmp_path: Path) -> None:
    given = await tap_settings(mosquitto, tmp_path)
    given["tap"] = {"path": "bar/readers/desk"}
    given["hardware"] = {"driver": "simulated"}
    desk = DeskNode(msgspec.convert(given, Settings))
    assert desk._describe("online", 1).heartbeat_ms == 30_000  # type: ignore[arg-type]


@pytest.mark.parametrize("heartbeat_ms", [0, -1, 86_400_001])
def test_no_heartbeat_is_out_of_its_bounds(heartbeat_ms: int) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"node_heartbeat_ms": heartbeat_ms}, Settings.__annotations__["limits"])
