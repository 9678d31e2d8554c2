"""Prices by time: when a price rule is on, which price it makes, and which rules can't stand beside each other. Pure.

A rule's times are those of the venue's wall clock. So it is on whenever that clock shows a time in it: also in the hour that comes
twice when the clock is set back, and not in an hour that the clock skips. A wall time is a `datetime` without a zone; a moment has
one. Each day on which the rule begins makes one period, from `from_time` for at most 24 hours.
"""

from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Final
from uuid import UUID

from msgspec import Struct

_DAY: Final = timedelta(days=1)
_WEEK: Final = 7
_SCANNED: Final = timedelta(days=8)
"""Longest stretch of time that is searched for changes of the clock at each end of a period."""


class PriceRule(Struct, frozen=True, kw_only=True):
    """A price at certain times of the week.

    `beverage_ids`: null for every beverage. `weekdays`: the days on which it begins, 1 is Monday. `to_time` at or before
    `from_time` is on the next day. `valid_from`, `valid_to`: the first and the last day on which it begins. Exactly one of
    `sell_price_per_liter_minor` and `percent_off` is set.
    """

    price_rule_id: UUID
    name: str
    beverage_ids: tuple[UUID, ...] | None
    weekdays: tuple[int, ...]
    from_time: time
    to_time: time
    valid_from: date | None = None
    valid_to: date | None = None
    sell_price_per_liter_minor: int | None = None
    percent_off: int | None = None

    @property
    def length(self) -> timedelta:
        """The length of one period on the wall clock: at most a day, a whole day if both times are equal."""
        return timedelta(minutes=(_minutes(self.to_time) - _minutes(self.from_time) - 1) % (24 * 60) + 1)

    def begins_on(self, day: date) -> bool:
        """Return whether a period begins on this day."""
        return (
            day.isoweekday() in self.weekdays
            and (self.valid_from is None or day >= self.valid_from)
            and (self.valid_to is None or day <= self.valid_to)
        )

    def sells(self, beverage_id: UUID) -> bool:
        """Return whether the rule is for this beverage."""
        return self.beverage_ids is None or beverage_id in self.beverage_ids

    def price_of(self, list_price_minor: int) -> int:
        """The price per litre while the rule is on, in minor units, at least 1."""
        if self.sell_price_per_liter_minor is not None:
            return self.sell_price_per_liter_minor
        assert self.percent_off is not None
        return max(1, (list_price_minor * (100 - self.percent_off) + 50) // 100)


class PriceRulesNow(Struct, frozen=True, kw_only=True):
    """The rules of a venue, and its wall clock, at one moment of the database."""

    wall_time: datetime
    rules: tuple[PriceRule, ...]


class Price(Struct, frozen=True):
    """A price per litre in minor units, the list price, and the rule that makes it; None for the list price."""

    minor: int
    list_minor: int
    rule: PriceRule | None = None


def price_now(list_price_minor: int, beverage_id: UUID, now: PriceRulesNow | None) -> Price:
    """The price of a beverage; without rules its list price."""
    rule = rule_on(now.rules, beverage_id, now.wall_time) if now is not None else None
    return Price(rule.price_of(list_price_minor) if rule else list_price_minor, list_price_minor, rule)


def rule_on(rules: Iterable[PriceRule], beverage_id: UUID, wall: datetime) -> PriceRule | None:
    """The rule that is on for a beverage; rules that overlap are refused, so there is at most one."""
    return next((rule for rule in rules if rule.sells(beverage_id) and is_on(rule, wall)), None)


def is_on(rule: PriceRule, wall: datetime) -> bool:
    """Return whether the rule is on while the wall clock shows this time."""
    return _begin_of_period(rule, wall) is not None


def off_at(rule: PriceRule, moment: datetime, zone: tzinfo) -> datetime | None:
    """The next moment at which a rule that is on is off; None if it never is."""
    at = moment.astimezone(UTC)
    while is_on(rule, wall := _wall(at, zone)):
        end = _end_of_periods(rule, wall)
        if end is None:
            return None
        reached = at + (end - wall)
        if reached - at > 2 * _SCANNED and _change_of_clock(zone, at, at + _SCANNED) is None:
            # in between the clock can't leave periods that last for weeks
            at = reached - _SCANNED
            continue
        changed = _change_of_clock(zone, at, reached)
        if changed is None:
            return reached
        at = changed
    return at


def next_change(now: PriceRulesNow, moment: datetime, zone: tzinfo, within: timedelta) -> datetime | None:
    """The next moment at which a rule is on that was off, or off that was on; None if there is none so soon.

    `within` is short: each full minute of the wall clock in it is tried, since rules begin and end on those.
    """
    wall = _wall(moment, zone)
    on = [is_on(rule, wall) for rule in now.rules]
    at = moment + timedelta(minutes=1) - timedelta(seconds=wall.second, microseconds=wall.microsecond)
    while at - moment <= within:
        if [is_on(rule, _wall(at, zone)) for rule in now.rules] != on:
            return at
        at += timedelta(minutes=1)
    return None


def overlap(one: PriceRule, other: PriceRule) -> bool:
    """Return whether both rules can be on at once for one beverage, by the week on the wall clock and their dates."""
    if one.beverage_ids is not None and other.beverage_ids is not None and not set(one.beverage_ids) & set(other.beverage_ids):
        return False
    return any(_overlap_with_shift(one, other, days) for days in (-1, 0, 1))


def _overlap_with_shift(one: PriceRule, other: PriceRule, days: int) -> bool:
    """Return whether a period of `one` overlaps the period of `other` that begins so many days later."""
    begins, other_begins = _minutes(one.from_time), _minutes(other.from_time) + days * 24 * 60
    ends, other_ends = begins + _length_minutes(one), other_begins + _length_minutes(other)
    if begins >= other_ends or other_begins >= ends:
        return False
    shift = timedelta(days=days)
    first = max(_or(one.valid_from, date.min + _DAY), _or(other.valid_from, date.min + _DAY) - shift)
    last = min(_or(one.valid_to, date.max - _DAY), _or(other.valid_to, date.max - _DAY) - shift)
    if last < first:
        return False
    days_to_try = min((last - first).days + 1, _WEEK)
    tried = (first + timedelta(days=passed) for passed in range(days_to_try))
    return any(day.isoweekday() in one.weekdays and (day + shift).isoweekday() in other.weekdays for day in tried)


def _begin_of_period(rule: PriceRule, wall: datetime) -> datetime | None:
    for day in (wall.date(), wall.date() - _DAY):
        if rule.begins_on(day):
            begin = datetime.combine(day, rule.from_time)
            if begin <= wall < begin + rule.length:
                return begin
    return None


def _end_of_periods(rule: PriceRule, wall: datetime) -> datetime | None:
    """The end of the period that contains a wall time, and of those that follow without a gap; None if there is no end."""
    begin = _begin_of_period(rule, wall)
    assert begin is not None
    if rule.length < _DAY:
        return begin + rule.length
    if len(set(rule.weekdays)) == _WEEK:
        return datetime.combine(rule.valid_to + _DAY, rule.from_time) if rule.valid_to is not None else None
    while rule.begins_on(begin.date()):
        begin += _DAY
    return begin


def _change_of_clock(zone: tzinfo, after: datetime, until: datetime) -> datetime | None:
    """The first moment in (after, until] from which the zone has another offset; searched a day at a time."""
    begin = after
    while begin < until:
        end = min(begin + _DAY, until)
        if _offset(begin, zone) != _offset(end, zone):
            return _first_with_other_offset(zone, begin, end)
        begin = end
    return None


def _first_with_other_offset(zone: tzinfo, before: datetime, after: datetime) -> datetime:
    old = _offset(before, zone)
    low, high = int(before.timestamp()), -(-int(after.timestamp() * 1_000_000) // 1_000_000)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if _offset(datetime.fromtimestamp(middle, UTC), zone) == old else (low, middle)
    return datetime.fromtimestamp(high, UTC)


def _wall(moment: datetime, zone: tzinfo) -> datetime:
    return moment.astimezone(zone).replace(tzinfo=None)


def _offset(moment: datetime, zone: tzinfo) -> timedelta | None:
    return moment.astimezone(zone).utcoffset()


def _minutes(clock: time) -> int:
    return clock.hour * 60 + clock.minute


def _length_minutes(rule: PriceRule) -> int:
    return int(rule.length.total_seconds()) // 60


def _or(day: date | None, other: date) -> date:
    return other if day is None else day
