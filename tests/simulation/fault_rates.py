"""Fault rates of one simulation, drawn once from the seed."""

from dataclasses import dataclass, replace
from random import Random


@dataclass(frozen=True, slots=True)
class Weather:
    """Probabilities, each for one message or one occasion."""

    loss: float
    """A message does not arrive."""
    repeat: float
    """It arrives twice."""
    delay: float
    """It takes seconds, so that others overtake it."""
    worker_death: float
    """A core worker dies while it handles a message."""
    power_cuts: int
    """Rate of a node's power cuts."""
    disconnects: int
    """Rate of a node's lost connections."""
    leaks: int
    """Rate of valves that leak or do not close."""
    meddling: int
    """Rate of all operators' actions."""
    lost_journals: int
    """Rate of replaced disks."""

    @classmethod
    def draw(cls, random: Random) -> "Weather":
        """Sometimes fine, sometimes a storm; each kind of trouble by itself."""
        trouble = random.choice((0.0, 0.3, 1.0))
        return cls(
            loss=trouble * random.choice((0.0, 0.05, 0.3)),
            repeat=trouble * random.choice((0.0, 0.1, 0.4)),
            delay=trouble * random.choice((0.0, 0.1, 0.3)),
            worker_death=trouble * random.choice((0.0, 0.05, 0.15)),
            power_cuts=random.choice((0, 0, 1, 3)),
            disconnects=random.choice((0, 0, 1, 3)),
            leaks=random.choice((0, 0, 1, 2)),
            meddling=random.choice((2, 5, 12)),
            lost_journals=random.choice((0, 0, 0, 0, 0, 0, 0, 0, 0, 1)),
        )

    def calmed(self) -> "Weather":
        """The same place when the storm is over."""
        return replace(self, loss=0.0, repeat=0.0, delay=0.0, worker_death=0.0)
