"""The client of a simulator process: act on a simulated tap (present a card, break a part) and read its true state."""

from pathlib import Path
from types import TracebackType
from typing import Self

from tapwire_node.simulator.protocol import (
    Action,
    ClientRequest,
    GroundTruth,
    LineSocket,
    SimulatorUnreachable,
    TapCommand,
    TruthQuery,
)


class SimulatorClient:
    """Acts on one tap of a simulator. Blocking, but short; not to be shared between threads."""

    def __init__(self, simulator: Path, tap: str) -> None:
        self._tap = tap
        self._line = LineSocket.connect(simulator)
        self._heard = self._line.lines()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._line.close()

    def look(self) -> GroundTruth:
        """Read the tap's true state; raises `SimulatorUnreachable`."""
        return self._request(TruthQuery(self._tap))

    def act(self, action: Action, *, card_uid: str = "", ml_per_s: int = 0, wrong_by_s: int = 0) -> GroundTruth:
        """Act on the tap and return its true state; raises `SimulatorUnreachable`, and `ValueError` for a refusal."""
        truth = self._request(TapCommand(tap=self._tap, action=action, card_uid=card_uid, ml_per_s=ml_per_s, wrong_by_s=wrong_by_s))
        if truth.refused is not None:
            raise ValueError(truth.refused)
        return truth

    def _request(self, request: ClientRequest) -> GroundTruth:
        try:
            self._line.send(request)
        except OSError as error:
            raise SimulatorUnreachable(f"the simulator has hung up: {error}") from error
        answer = next(self._heard, None)
        if not isinstance(answer, GroundTruth):
            raise SimulatorUnreachable(f"the simulator has no tap {self._tap}, or has ended")
        return answer
