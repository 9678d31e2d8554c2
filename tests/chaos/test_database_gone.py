"""The database is gone for a while: cards are refused at once, running pours end within their caps, and all of it settles after."""

import asyncio
from random import Random

import pytest

from tapwire_node.simulator.protocol import Action
from tests.chaos.audit import Auditor, at_rest
from tests.chaos.first_data import FLOODER, MAX_POUR_ML
from tests.chaos.monkey import Monkey
from tests.chaos.site import CLOSING_S, TEST_TIMEOUT_S, Site, Tap, open_site
from tests.chaos.staff import Staff
from tests.integration.node.simulator_rig import Ear, ear_at, until
from tests.mqtt_tap import connect_tap

pytestmark = [pytest.mark.timeout(TEST_TIMEOUT_S), pytest.mark.lasts]
PATIENCE_S = 60.0
FLOW_ML_PER_S = 40
SLACK_ML = 100
"""Volume that flows while this machine keeps a node from closing its valve."""


async def test_while_the_database_is_gone_cards_are_refused_at_once_and_running_pours_settle_after() -> None:
    async with (
        open_site(2) as site,
        ear_at(site.broker) as ear,
        connect_tap(site.broker, str(FLOODER)) as watch,
    ):
        pouring, other = site.taps
        await watch.core()
        await begin_pour(pouring)
        database = site.servers[site.postgres.name]

        database.stays_down = True
        database.kill()
        await watch.no_core()
        await refused_at_once(other, ear)
        await until(lambda: not pouring.look().valve_is_driven, "the end of the pour at its cap")
        await asyncio.sleep(CLOSING_S)
        assert MAX_POUR_ML <= pouring.look().flowed_ml <= MAX_POUR_ML + SLACK_ML
        pouring.hand.act(Action.REMOVE)
        database.stays_down = False
        await database.up()

        books = await at_rest(site, PATIENCE_S)
        pouring.drinkers[0].flowed_ml = pouring.look().flowed_ml
        assert [pour["sync_status"] for pour in books.pours] == ["synced"]
        assert await judged(site) == []
        await watch.core()


async def begin_pour(tap: Tap) -> None:
    """A guest who stays until the valve closes by itself."""
    tap.hand.act(Action.SET_FLOW, ml_per_s=FLOW_ML_PER_S)
    tap.hand.act(Action.PRESENT, card_uid=tap.drinkers[0].card_uid)
    await until(lambda: tap.look().flowed_ml > 0, "flow")


async def refused_at_once(tap: Tap, ear: Ear) -> None:
    """A card is laid on: no question is asked, and the node waits for the card to go; nothing flows."""
    states = ear.all(str(tap.path), "node_state")

    def is_refused() -> bool:
        return bool(states) and states[-1]["phase"] == "CARD_MUST_BE_REMOVED"

    # a node gives the core some seconds to come back; until then it asks, and is not answered
    asked = ear.all(str(tap.path), "card_presented")
    async with asyncio.timeout(PATIENCE_S):
        while True:
            before = len(asked)
            tap.hand.act(Action.PRESENT, card_uid=tap.drinkers[0].card_uid)
            await until(is_refused, f"a refusal, {states[-1:]}")
            tap.hand.act(Action.REMOVE)
            await until(lambda: not is_refused(), "the next card")
            if len(asked) == before:
                break
    assert tap.look().flowed_ml == 0


async def judged(site: Site) -> list[str]:
    """The auditor's findings without other faults."""
    auditor = Auditor(site, Monkey(site, Random(0)), Staff(site, Random(0)), worst_stall_s=0)
    return await auditor.judge(await at_rest(site, PATIENCE_S))
