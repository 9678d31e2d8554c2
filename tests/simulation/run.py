"""Running seeds, on books in memory."""

from dataclasses import dataclass
from random import Random
from typing import Final

from tests.simulation.books.wrapped import Say
from tests.simulation.site import Size, imagine, open_ledger
from tests.simulation.virtual import run_now
from tests.simulation.world import Outcome, World, silent


@dataclass(frozen=True, slots=True)
class Sabotage:
    """Rules that are switched off in this run; none by default."""

    answers_early: bool = False
    """An answer leaves before its commit."""
    forgets_answers: bool = False
    """Skip the lookup of earlier answers."""
    several_leases: bool = False
    """The unique indexes of pending pours are gone; the rules have to be taken away, too."""


NONE: Final = Sabotage()


def run_seed(seed: int, sabotage: Sabotage = NONE, say: Say = silent) -> Outcome:
    """One simulation; `say` hears every message and every use case. The same seed is always the same story."""
    random = Random(f"site {seed}")
    site = imagine(Size.draw(random), random)
    ledger = open_ledger(site, random, deduplicates=not sabotage.forgets_answers, one_lease=not sabotage.several_leases)
    return run_now(World(seed, site, ledger, answers_early=sabotage.answers_early, say=say).run())
