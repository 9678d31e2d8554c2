"""A program's hand at a simulated tap in another process: lay a card on, break something, look."""

from pathlib import Path
from types import TracebackType
from typing import Self

from tapwire_node.simulator.protocol import Act, Action, FromHand, LineSocket, Look, SimulatorGone, Truth


class Hand:
    """Does things to one tap of a simulator, and sees the truth. Blocking, but short; not to be shared between threads."""

    def __init__(self, simulator: Path, tap: str) -> None:
        self._tap = tap
        self._line = LineSocket.connect(simulator)
        self._heard = self._line.lines()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._line.close()

    def look(self) -> Truth:
        """How the tap stands; raises `SimulatorGone`."""
        return self._ask(Look(self._tap))

    def act(self, action: Action, *, card_uid: str = "", ml_per_s: int = 0, wrong_by_s: int = 0) -> Truth:
        """Do something, and see how the tap stands then; raises `SimulatorGone`, and `ValueError` where it was refused."""
        truth = self._ask(Act(tap=self._tap, action=action, card_uid=card_uid, ml_per_s=ml_per_s, wrong_by_s=wrong_by_s))
        if truth.refused is not None:
            raise ValueError(truth.refused)
        return truth

    def _ask(self, asked: FromHand) -> Truth:
        try:
            self._line.send(asked)
        except OSError as error:
            raise SimulatorGone(f"the simulator has hung up: {error}") from error
        answer = next(self._heard, None)
        if not isinstance(answer, Truth):
            raise SimulatorGone(f"the simulator has no tap {self._tap}, or has ended")
        return answer
