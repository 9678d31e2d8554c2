"""More than can be served: it queues and answers late or not at all, never wrongly, and is soon as before."""

import asyncio
from contextlib import AsyncExitStack

import pytest

from tapwire_node.simulator.protocol import Action
from tests.chaos.audit import at_rest
from tests.chaos.load import POUR_ML, LoadTap
from tests.chaos.site import CORES, TEST_TIMEOUT_S, open_site
from tests.chaos.test_database_gone import judged
from tests.integration.node.simulator_rig import ear_at, until

pytestmark = [pytest.mark.timeout(TEST_TIMEOUT_S), pytest.mark.lasts]
STRANGERS = 12
SLOW_S = 0.04
"""Each round trip to the database takes twice as long: a decision then takes some 0.4 s, and a tap has one at a time."""
QUESTIONS = 50
ASK_EACH_S = 0.1
"""Four times as often as a tap can be answered then."""
TOO_SLOW_S = 3.0
"""Each way: an answer then comes after its node has given up."""
PATIENCE_S = 60.0
BOUNDED_BYTES = 300 * 1024 * 1024


async def test_four_times_too_much_is_answered_late_but_never_wrongly() -> None:
    async with open_site(0, strangers=STRANGERS) as site, AsyncExitStack() as stack:
        taps = [await stack.enter_async_context(LoadTap.connected(site, stranger)) for stranger in site.strangers]
        links = [site.links[f"{name} to database"] for name in CORES]
        for link in links:
            link.delay_s = SLOW_S

        await asyncio.gather(*(ask_too_often(tap) for tap in taps))
        sizes = [core.memory().resident_bytes for core in site.cores]
        for link in links:
            link.open()

        async with asyncio.timeout(PATIENCE_S):
            verdicts = await asyncio.gather(*(tap.pour() for tap in taps))
        assert {(verdict["status"], verdict["volume_ml"]) for verdict in verdicts} == {("accepted", POUR_ML)}
        for tap in taps:
            for name, answers in tap.answers.items():
                assert len({str(answer) for answer in answers if answer.get("reason") != "stale_request"}) <= 1, (name, answers)
        books = await at_rest(site, PATIENCE_S)
        assert sum(pour["volume_ml"] for pour in books.pours) == STRANGERS * POUR_ML
        assert await judged(site) == []
        assert max(sizes) < BOUNDED_BYTES


async def ask_too_often(tap: LoadTap) -> None:
    """New questions without waiting for answers."""
    for _ in range(QUESTIONS):
        await tap.ask_only()
        await asyncio.sleep(ASK_EACH_S)


async def test_a_node_gives_up_cleanly_and_a_grant_that_comes_too_late_opens_nothing() -> None:
    async with open_site(1) as site, ear_at(site.broker) as ear:
        (tap,) = site.taps
        states, path = ear.all(str(tap.path), "node_state"), str(tap.path)
        links = [site.links[f"{name} to broker"] for name in CORES]
        for link in links:
            link.delay_s = TOO_SLOW_S

        tap.hand.act(Action.PRESENT, card_uid=tap.drinkers[0].card_uid)
        await until(lambda: ear.all(path, "card_presented"), "a question")
        await until(lambda: states[-1]["phase"] == "CARD_MUST_BE_REMOVED", lambda: f"the node to give up, {states[-1]}")
        await until(lambda: ear.all(path, "pour_authorized"), "the late grant")
        tap.hand.act(Action.REMOVE)
        for link in links:
            link.open()

        books = await at_rest(site, PATIENCE_S)
        assert tap.look().flowed_ml == 0
        assert {pour["sync_status"] for pour in books.pours} == {"voided"}
        await until(lambda: states[-1]["phase"] == "IDLE", lambda: f"the next card, {states[-1]}", patience_s=PATIENCE_S)
        tap.hand.act(Action.PRESENT, card_uid=tap.drinkers[0].card_uid)
        await until(lambda: tap.look().flowed_ml > 0, "a pour as ever", patience_s=PATIENCE_S)
