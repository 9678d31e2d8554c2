"""The outbox: what is committed is published, each tap's in its order, whichever worker is quick."""

import asyncio

from tapwire_contracts.messages import TapConfig
from tapwire_core.domain.closed_sets import TapStatus
from tapwire_core.services.outbox import publish_waiting
from tapwire_core.services.taps import change_tap
from tests.venue import OPERATOR, Venue


async def test_a_slow_worker_puts_no_older_config_over_a_newer_one_and_holds_up_no_other_tap(venue: Venue) -> None:
    right = await venue.another_tap("right")
    retained, begun, may_go_on = list[tuple[str, str]](), asyncio.Event(), asyncio.Event()

    async def send_command(_: str, __: str) -> None:
        raise AssertionError("nothing pours")

    async def send_config(tap_path: str, config: TapConfig) -> None:
        retained.append((tap_path, config.status))

    async def send_slowly(tap_path: str, config: TapConfig) -> None:
        begun.set()
        await may_go_on.wait()
        await send_config(tap_path, config)

    while await publish_waiting(venue.db, send_command, send_config):
        retained.clear()
    await change_tap(venue.db, OPERATOR, venue.tap.path, status=TapStatus.CLEANING)
    slow = asyncio.create_task(publish_waiting(venue.db, send_command, send_slowly))
    await begun.wait()
    await change_tap(venue.db, OPERATOR, venue.tap.path, status=TapStatus.LOCKED)
    await change_tap(venue.db, OPERATOR, right.path, status=TapStatus.CLEANING)

    await publish_waiting(venue.db, send_command, send_config)
    may_go_on.set()
    await slow
    await publish_waiting(venue.db, send_command, send_config)

    left = str(venue.tap.path)
    assert retained == [(str(right.path), "cleaning"), (left, "cleaning"), (left, "locked")]
