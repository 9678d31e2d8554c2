"""A week of a venue's prices as a picture: blocks of rules in seven columns. Pure.

Times are the venue's wall clock. A rule that crosses midnight is drawn on both days. The picture is cut to the hours in which some
rule is on, so that a short happy hour is still a large block.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from typing import Final
from uuid import UUID

from tapwire_core.db.views.price_rules import PriceRuleView

WEEK: Final = 7
DAY_MINUTES: Final = 24 * 60
COLOURS: Final = 6
"""Colours of rules, `.plan-0` to `.plan-5` in `console.css`."""
SHORTEST_RANGE_H: Final = 6
"""The least that the picture shows of a day, in hours."""


@dataclass(frozen=True, slots=True)
class Block:
    """A rule's part of one day, in minutes; `lane` of `lanes` stand side by side."""

    rule: PriceRuleView
    colour: int
    from_minute: int
    to_minute: int
    lane: int = 0
    lanes: int = 1


@dataclass(frozen=True, slots=True)
class PlannedDay:
    """A day and its blocks, the earliest first."""

    day: date
    is_today: bool
    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """A week, Monday to Sunday, from `from_hour` to `to_hour`; `now_minute`: the wall clock, if today is in it."""

    days: tuple[PlannedDay, ...]
    from_hour: int
    to_hour: int
    now_minute: int | None

    @property
    def hours(self) -> range:
        """The hours that the picture names: every second one, every third one of a long day."""
        return range(self.from_hour, self.to_hour + 1, 2 if self.to_hour - self.from_hour <= 2 * SHORTEST_RANGE_H else 3)

    def place(self, minute: int) -> float:
        """The place of a minute in the picture, in per cent of its height."""
        from_minute = self.from_hour * 60
        return round((minute - from_minute) / ((self.to_hour * 60) - from_minute) * 100, 2)

    def height(self, block: Block) -> float:
        """The height of a block, in per cent of the picture's."""
        return round(self.place(block.to_minute) - self.place(block.from_minute), 2)


def plan_week(rules: Sequence[PriceRuleView], monday: date, now: datetime) -> Plan:
    """The week that begins on a Monday; `now` is the venue's wall clock."""
    colours = {rule.price_rule_id: place % COLOURS for place, rule in enumerate(rules)}
    days = [monday + timedelta(days=passed) for passed in range(WEEK)]
    planned = tuple(
        PlannedDay(day, day == now.date(), _in_lanes([block for rule in rules for block in _blocks(rule, day, colours)]))
        for day in days
    )
    blocks = [block for day in planned for block in day.blocks]
    first = min((block.from_minute // 60 for block in blocks), default=15)
    last = max((-(-block.to_minute // 60) for block in blocks), default=24)
    missing = max(SHORTEST_RANGE_H - (last - first), 0)
    first = max(first - (missing + 1) // 2, 0)
    last = min(max(last, first + SHORTEST_RANGE_H), 24)
    today = now.hour * 60 + now.minute if now.date() in days else None
    visible = today if today is not None and first * 60 <= today <= last * 60 else None
    return Plan(planned, min(first, 24 - SHORTEST_RANGE_H), last, visible)


def _blocks(rule: PriceRuleView, day: date, colours: Mapping[UUID, int]) -> list[Block]:
    begin, end = _minutes(rule.from_), _minutes(rule.to)
    colour = colours[rule.price_rule_id]
    blocks: list[Block] = []
    if end <= begin and end > 0 and _begins_on(rule, day - timedelta(days=1)):
        blocks.append(Block(rule, colour, 0, end))
    if _begins_on(rule, day):
        blocks.append(Block(rule, colour, begin, end if end > begin else DAY_MINUTES))
    return blocks


def _in_lanes(blocks: list[Block]) -> tuple[Block, ...]:
    """Put blocks that overlap side by side: rules for different beverages may be on at once."""
    ends: list[int] = []
    laned: list[Block] = []
    for block in sorted(blocks, key=lambda block: (block.from_minute, block.to_minute)):
        free = next((lane for lane, end in enumerate(ends) if end <= block.from_minute), len(ends))
        ends[free : free + 1] = [block.to_minute]
        laned.append(replace(block, lane=free))
    return tuple(replace(block, lanes=len(ends)) for block in laned)


def _begins_on(rule: PriceRuleView, day: date) -> bool:
    is_valid = (rule.valid_from is None or day >= rule.valid_from) and (rule.valid_to is None or day <= rule.valid_to)
    return is_valid and day.isoweekday() in rule.weekdays


def _minutes(clock: str) -> int:
    at = time.fromisoformat(clock)
    return at.hour * 60 + at.minute
