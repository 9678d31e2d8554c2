"""A rule as data: its id, its weight, its text, its place in the contract, and the scenario that tries it.

A catalogue holds the rules of one side, in the order in which they are tried. A scenario is a function of a stage; its docstring
is the rule's text. It returns when the rule was kept, and raises `Broken` when it was not, or `NotTried` where it can't be tried.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, Generic, TypeVar

Stage = TypeVar("Stage")


class Level(StrEnum):
    """The weight of a rule, in the words of RFC 2119."""

    MUST = "MUST"
    SHOULD = "SHOULD"


@dataclass(frozen=True, slots=True)
class Place:
    """A heading of one of the two normative documents."""

    document: str
    heading: str

    def __str__(self) -> str:
        return f'{self.document}, "{self.heading}"'


AUTHORISATION: Final = Place("SYSTEM.md", "Authorisation: who may pour")
SETTLEMENT: Final = Place("SYSTEM.md", "Settlement: what a report does")
NO_REPORT: Final = Place("SYSTEM.md", "When no report comes")
OWN_WORD: Final = Place("SYSTEM.md", "Conclusions from a device's own word")
WORDS: Final = Place("SYSTEM.md", "Words")
TAP_NODE: Final = Place("SYSTEM.md", "The tap node")
MQTT: Final = Place("CONTRACT.md", "MQTT")
NODE_TO_CORE: Final = Place("CONTRACT.md", "Node → core")
CORE_TO_NODE: Final = Place("CONTRACT.md", "Core → node")
REST: Final = Place("CONTRACT.md", "REST")


class Broken(Exception):
    """The rule was not kept; the text says what happened instead."""


class NotTried(Exception):
    """The rule can't be tried here; the text says what is missing."""


@dataclass(frozen=True, slots=True)
class Rule(Generic[Stage]):
    """A rule of the contract, and how it is tried."""

    rule_id: str
    level: Level
    text: str
    place: Place
    scenario: Callable[[Stage], None]


class UnknownRule(ValueError):
    """No rule has this id; the text names those that there are."""


@dataclass
class Catalogue(Generic[Stage]):
    """The rules of one side."""

    rules: list[Rule[Stage]] = field(default_factory=list)

    def must(self, rule_id: str, place: Place) -> Callable[[Callable[[Stage], None]], Callable[[Stage], None]]:
        """Add a rule that has to be kept."""
        return self._adder(rule_id, Level.MUST, place)

    def should(self, rule_id: str, place: Place) -> Callable[[Callable[[Stage], None]], Callable[[Stage], None]]:
        """Add a rule from which there may be reasons to depart."""
        return self._adder(rule_id, Level.SHOULD, place)

    def chosen(self, only: list[str]) -> list[Rule[Stage]]:
        """The rules with these ids, or of these groups (`AUTH`); all, if none is named. Raises `UnknownRule`."""
        for wanted in only:
            if not any(_names(wanted, rule.rule_id) for rule in self.rules):
                raise UnknownRule(f"there is no rule {wanted}; the groups are {', '.join(self._groups())} (--list shows all)")
        return [rule for rule in self.rules if not only or any(_names(wanted, rule.rule_id) for wanted in only)]

    def _groups(self) -> Iterator[str]:
        yield from dict.fromkeys(rule.rule_id.partition("-")[0] for rule in self.rules)

    def _adder(self, rule_id: str, level: Level, place: Place) -> Callable[[Callable[[Stage], None]], Callable[[Stage], None]]:
        def add(scenario: Callable[[Stage], None]) -> Callable[[Stage], None]:
            text = " ".join((scenario.__doc__ or "").split())
            self.rules.append(Rule(rule_id, level, text, place, scenario))
            return scenario

        return add


def _names(wanted: str, rule_id: str) -> bool:
    return wanted.upper() in (rule_id, rule_id.partition("-")[0])
