"""A tap whose node lies about every time and duration, and tells the truth of all else: its books end as those of an honest one."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Final
from uuid import UUID

from aiomqtt import MqttError

from tapwire_contracts.messages import CardPresented, NodeState, PourCompleted
from tests.chaos.load import POUR_ML, LoadTap
from tests.chaos.site import Site, Stranger
from tests.simulation.node import lie_about_time
from tests.venue import SimulatedTap

PAUSE_S: Final = (0.1, 0.6)
AGAIN_S: Final = 0.3


class LyingTap(SimulatedTap):
    """A node's memory, whose times mean nothing. A repeated message repeats its lie."""

    lies: Random

    def question(self, card_uid: str, *, unsettled: tuple[UUID, ...] = (), seq: int | None = None) -> CardPresented:
        """A new question."""
        said = lie_about_time(super().question(card_uid, unsettled=unsettled, seq=seq), self.lies)
        assert isinstance(said, CardPresented)
        return said

    def report(self, pour_id: UUID, card_uid: str, volume_ml: int, duration_ms: int | None = None) -> PourCompleted:
        """The report of a pour."""
        said = lie_about_time(super().report(pour_id, card_uid, volume_ml, duration_ms), self.lies)
        assert isinstance(said, PourCompleted)
        return said

    def state(self, *, facts_open: int = 0, pour_id: UUID | None = None, connection: int = 1) -> NodeState:
        """The node's state."""
        said = lie_about_time(super().state(facts_open=facts_open, pour_id=pour_id, connection=connection), self.lies)
        assert isinstance(said, NodeState)
        return said


@dataclass(slots=True)
class Liar:
    """A lying node at a stranger's tap. `reported_ml`: what it has a verdict for."""

    stranger: Stranger
    reported_ml: int = 0

    async def play(self, site: Site, dice: Random, is_open: Callable[[], bool]) -> None:
        """Pour again and again while the bar is open; come back when the connection breaks."""
        node = LyingTap(self.stranger.path)
        node.lies = dice
        report: PourCompleted | None = None
        while report is not None or is_open():
            try:
                async with LoadTap.connected(site, self.stranger) as tap:
                    tap.node = node
                    while report is not None or is_open():
                        report = report or await self._granted(tap)
                        if report is not None:
                            await tap.insist("pour/completed", report, str(report.pour_id))
                            self.reported_ml += report.volume_ml
                            self.stranger.drinker.flowed_ml += report.volume_ml
                            report = None
                            await tap.send("state", node.state())
                        await asyncio.sleep(dice.uniform(*PAUSE_S))
            except (MqttError, TimeoutError):
                await asyncio.sleep(AGAIN_S)

    async def _granted(self, tap: LoadTap) -> PourCompleted | None:
        """Ask for a pour; its report, or None if it was denied."""
        question = tap.node.question(self.stranger.card_uid)
        answer = await tap.insist("card", question, str(question.event_id))
        if answer["type"] != "pour_authorized":
            return None
        return tap.node.report(UUID(answer["pour_id"]), self.stranger.card_uid, POUR_ML)
