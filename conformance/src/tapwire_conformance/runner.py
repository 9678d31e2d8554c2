"""Tries rules one after another, and keeps for each its verdict with the messages that prove it."""

import time
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, TypeVar

from tapwire_conformance.rules import Broken, Level, NotTried, Rule
from tapwire_conformance.transcript import Transcript


class Stage(Protocol):
    """What scenarios play on."""

    transcript: Transcript

    def scenario(self) -> AbstractContextManager[None]:
        """The time of one scenario; raises `Broken` when what it left behind can't be cleared away."""


AnyStage = TypeVar("AnyStage", bound=Stage)


class Outcome(StrEnum):
    """What became of a rule."""

    KEPT = "kept"
    BROKEN = "broken"
    NOT_TRIED = "not tried"


@dataclass(frozen=True, slots=True)
class Result:
    """A rule's verdict. `detail`: what happened instead, or why it was not tried; `messages`: all that was said meanwhile."""

    rule_id: str
    level: Level
    text: str
    place: str
    outcome: Outcome
    detail: str
    duration_s: float
    messages: tuple[str, ...]

    @property
    def is_fatal(self) -> bool:
        """True for a MUST that was not kept."""
        return self.outcome is Outcome.BROKEN and self.level is Level.MUST


def try_rules(
    rules: Iterable[Rule[AnyStage]], stage: AnyStage, tell: Callable[[Result], None] = lambda _: None
) -> Iterable[Result]:
    """Try these rules in their order, and yield each result when it is there."""
    for rule in rules:
        result = _try(rule, stage)
        tell(result)
        yield result


def _try(rule: Rule[AnyStage], stage: AnyStage) -> Result:
    mark, began_s = stage.transcript.mark, time.monotonic()
    outcome, detail = Outcome.KEPT, ""
    try:
        with stage.scenario():
            rule.scenario(stage)
    except Broken as broken:
        outcome, detail = Outcome.BROKEN, str(broken)
    except NotTried as reason:
        outcome, detail = Outcome.NOT_TRIED, str(reason)
    messages = tuple(str(entry) for entry in stage.transcript.since(mark))
    duration_s = round(time.monotonic() - began_s, 3)
    return Result(rule.rule_id, rule.level, rule.text, str(rule.place), outcome, detail, duration_s, messages)
