"""Guests at the taps: they lay a card on, drink, and take it off again. What flowed meanwhile is theirs."""

import asyncio
from collections.abc import Callable
from random import Random
from typing import Final

from tapwire_node.simulator.protocol import Action
from tests.chaos.first_data import Drinker
from tests.chaos.site import CLOSING_S, Tap

LOOK_S: Final = 0.05
PATIENCE_S: Final = (2.0, 7.0)
"""Time that a guest waits for beer: some longer than a node waits for an answer."""
LONGEST_S: Final = 15.0
"""Longest pour of a guest."""
WANTS_ML: Final = (30, 150)
FLOW_ML_PER_S: Final = (25, 60)
PAUSE_S: Final = (1.0, 2.0)
"""Between two guests; longer than a reader's debounce, or the card would not count as lifted."""


async def play_guests(
    tap: Tap,
    dice: Random,
    are_welcome: Callable[[], bool],
    can_pay: Callable[[], bool],
    patience_s: tuple[float, float] = PATIENCE_S,
) -> None:
    """Let the tap's guests come one after the other while they are welcome; the poor only while somebody takes their money."""
    while are_welcome():
        await asyncio.sleep(dice.uniform(*PAUSE_S))
        rich, poor = tap.drinkers
        await drink(tap, dice.choice((rich, poor)) if can_pay() else rich, dice, patience_s)


async def drink(tap: Tap, guest: Drinker, dice: Random, patience_s: tuple[float, float]) -> int:
    """One visit to the tap; how much flowed."""
    before_ml = tap.look().flowed_ml
    tap.hand.act(Action.SET_FLOW, ml_per_s=dice.randint(*FLOW_ML_PER_S))
    tap.hand.act(Action.PRESENT, card_uid=guest.card_uid)
    await _wait(lambda: tap.look().valve_is_driven, dice.uniform(*patience_s))
    enough_ml = before_ml + dice.randint(*WANTS_ML)
    await _wait(lambda: tap.look().flowed_ml >= enough_ml or not tap.look().valve_is_driven, LONGEST_S)
    tap.hand.act(Action.REMOVE)
    # a node that is dead or frozen leaves its valve open until somebody closes it: all of that flowed for this guest
    while tap.look().valve_is_driven:
        await asyncio.sleep(LOOK_S)
    await asyncio.sleep(CLOSING_S)
    flowed_ml = tap.look().flowed_ml - before_ml
    guest.flowed_ml += flowed_ml
    guest.pours += flowed_ml > 0
    return flowed_ml


async def _wait(holds: Callable[[], bool], at_most_s: float) -> None:
    deadline = asyncio.get_running_loop().time() + at_most_s
    while not holds() and asyncio.get_running_loop().time() < deadline:
        await asyncio.sleep(LOOK_S)
