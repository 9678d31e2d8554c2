"""When a price rule is on, by the wall clock: compared with a walk that looks at the clock each minute."""

from datetime import UTC, date, datetime, time, timedelta
from typing import Final
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tapwire_core.domain.price_rules import PriceRule, PriceRulesNow, is_on, off_at, overlap, price_now

BERLIN: Final = ZoneInfo("Europe/Berlin")
NEW_YORK: Final = ZoneInfo("America/New_York")
LORD_HOWE: Final = ZoneInfo("Australia/Lord_Howe")
"""Its clock changes by half an hour."""
HAVANA: Final = ZoneInfo("America/Havana")
"""Its clock changes at midnight."""
ALL_WEEK: Final = (1, 2, 3, 4, 5, 6, 7)
PILS, STOUT = UUID(int=1), UUID(int=2)
MINUTE: Final = timedelta(minutes=1)


def rule(
    begins: str = "17:00",
    ends: str = "19:00",
    *,
    weekdays: tuple[int, ...] = ALL_WEEK,
    beverages: tuple[UUID, ...] | None = None,
    valid_from: date | None = None,
    valid_to: date | None = None,
    price: int | None = None,
    percent_off: int | None = None,
    number: int = 1,
) -> PriceRule:
    return PriceRule(
        price_rule_id=UUID(int=number),
        name="Happy hour",
        beverage_ids=beverages,
        weekdays=weekdays,
        from_time=time.fromisoformat(begins),
        to_time=time.fromisoformat(ends),
        valid_from=valid_from,
        valid_to=valid_to,
        sell_price_per_liter_minor=price,
        percent_off=percent_off if price is None and percent_off else (20 if price is None else None),
    )


def wall(text: str) -> datetime:
    return datetime.fromisoformat(text)


def on_minutes(one: PriceRule, first: date, days: int) -> set[datetime]:
    """Mark each wall-clock minute of each period that begins on one of these days."""
    marked: set[datetime] = set()
    for passed in range(days):
        day = first + timedelta(days=passed)
        too_early = one.valid_from is not None and day < one.valid_from
        too_late = one.valid_to is not None and day > one.valid_to
        if day.isoweekday() not in one.weekdays or too_early or too_late:
            continue
        minute = datetime.combine(day, one.from_time)
        while True:
            marked.add(minute)
            minute += MINUTE
            if minute.time() == one.to_time:
                break
    return marked


clocks = st.builds(time, st.integers(0, 23), st.sampled_from((0, 30, 59)))
days_of_week = st.sets(st.integers(1, 7), min_size=1).map(lambda days: tuple(sorted(days)))
AROUND: Final = date(2026, 10, 19)
dates = st.none() | st.integers(0, 10).map(lambda passed: AROUND + timedelta(days=passed))


@st.composite
def rules(draw: st.DrawFn) -> PriceRule:
    first, last = draw(dates), draw(dates)
    if first is not None and last is not None and last < first:
        first, last = last, first
    begins, ends = draw(clocks), draw(clocks)
    return rule(
        begins.isoformat("minutes"),
        ends.isoformat("minutes"),
        weekdays=draw(st.just(ALL_WEEK) | days_of_week),
        beverages=draw(st.sampled_from((None, (PILS,), (STOUT,), (PILS, STOUT)))),
        valid_from=first,
        valid_to=last,
    )


@given(rules(), st.integers(0, 20 * 24 * 60 - 1))
def test_a_rule_is_on_in_exactly_the_minutes_of_its_periods(one: PriceRule, minute: int) -> None:
    at = datetime.combine(AROUND - timedelta(days=5), time()) + minute * MINUTE

    assert is_on(one, at) == (at in on_minutes(one, at.date() - timedelta(days=2), 4))


@given(rules(), st.sampled_from((BERLIN, NEW_YORK, LORD_HOWE, HAVANA)), st.integers(0, 16 * 24 * 60), st.integers(0, 59))
@settings(max_examples=60)
def test_the_next_moment_off_is_the_first_minute_at_which_the_wall_clock_shows_no_time_of_the_rule(
    one: PriceRule, zone: ZoneInfo, minute: int, second: int
) -> None:
    """The two weeks have a change of the clock in each of these zones but New York's and Lord Howe's, which have it near them."""
    moment = datetime(2026, 10, 18, tzinfo=UTC) + minute * MINUTE
    marked = on_minutes(one, AROUND - timedelta(days=4), 40)
    walked = moment
    while walked.astimezone(zone).replace(tzinfo=None) in marked and walked < moment + timedelta(days=15):
        walked += MINUTE
    if walked >= moment + timedelta(days=15):
        return

    found = off_at(one, moment + timedelta(seconds=second if walked > moment else 0), zone)

    assert found == walked


@given(rules(), rules())
@example(rule("22:00", "02:00", weekdays=(7,)), rule("01:00", "03:00", weekdays=(1,)))
@example(rule("22:00", "02:00", weekdays=(7,)), rule("02:00", "03:00", weekdays=(1,)))
@settings(max_examples=60)
def test_two_rules_overlap_if_some_minute_of_the_wall_clock_is_in_both_for_one_beverage(one: PriceRule, other: PriceRule) -> None:
    common = {PILS, STOUT} & set(one.beverage_ids or (PILS, STOUT)) & set(other.beverage_ids or (PILS, STOUT))
    first = AROUND - timedelta(days=9)
    both = on_minutes(one, first, 30) & on_minutes(other, first, 30)

    assert overlap(one, other) == overlap(other, one) == bool(common and both)


def test_a_rule_of_the_hour_that_comes_twice_is_on_in_both_and_off_in_between() -> None:
    night = rule("02:00", "02:30")
    first = datetime(2026, 10, 25, 0, 10, tzinfo=UTC)  # 02:10, the first time

    assert off_at(night, first, BERLIN) == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
    assert off_at(night, first + timedelta(hours=1), BERLIN) == datetime(2026, 10, 25, 1, 30, tzinfo=UTC)
    assert off_at(rule("01:00", "03:00"), first, BERLIN) == datetime(2026, 10, 25, 2, 0, tzinfo=UTC)


def test_a_rule_that_ends_in_the_hour_that_is_skipped_ends_when_the_clock_skips_it() -> None:
    begun = datetime(2026, 3, 29, 0, 50, tzinfo=UTC)  # 01:50

    assert off_at(rule("01:00", "02:30"), begun, BERLIN) == datetime(2026, 3, 29, 1, 0, tzinfo=UTC)
    assert off_at(rule("01:00", "03:00"), begun, BERLIN) == datetime(2026, 3, 29, 1, 0, tzinfo=UTC)
    assert off_at(rule("01:00", "03:30"), begun, BERLIN) == datetime(2026, 3, 29, 1, 30, tzinfo=UTC)


def test_a_clock_that_is_set_back_over_a_rules_end_turns_it_on_again_only_for_the_times_in_it() -> None:
    """In Havana 01:00 becomes 00:00: a rule of the hour before one o'clock goes on for two hours."""
    begun = datetime(2026, 11, 1, 4, 30, tzinfo=UTC)  # 00:30, the first time

    assert off_at(rule("00:00", "01:00"), begun, HAVANA) == datetime(2026, 11, 1, 6, 0, tzinfo=UTC)


def test_a_rule_past_midnight_belongs_to_the_day_on_which_it_began() -> None:
    sunday = rule("22:00", "02:00", weekdays=(7,), valid_from=date(2026, 11, 29), valid_to=date(2026, 11, 29))

    assert not is_on(sunday, wall("2026-11-29T01:00"))
    assert is_on(sunday, wall("2026-11-29T22:00"))
    assert is_on(sunday, wall("2026-11-30T01:59:59"))
    assert not is_on(sunday, wall("2026-11-30T02:00"))
    assert not is_on(sunday, wall("2026-12-06T23:00"))


def test_equal_times_are_the_whole_day() -> None:
    monday = rule("06:00", "06:00", weekdays=(1,))

    assert is_on(monday, wall("2026-11-30T06:00"))
    assert is_on(monday, wall("2026-12-01T05:59"))
    assert not is_on(monday, wall("2026-12-01T06:00"))
    assert not is_on(monday, wall("2026-11-30T05:59"))


def test_a_rule_that_is_always_on_has_no_end_and_one_with_a_last_day_ends_after_it() -> None:
    now = datetime(2026, 11, 29, 12, tzinfo=UTC)

    assert off_at(rule("00:00", "00:00"), now, BERLIN) is None
    last = rule("00:00", "00:00", valid_to=date(2036, 7, 1))
    assert off_at(last, now, BERLIN) == datetime(2036, 7, 1, 22, tzinfo=UTC)


def test_two_venues_in_different_zones_have_their_own_happy_hours() -> None:
    moment = datetime(2026, 11, 29, 16, 30, tzinfo=UTC)  # 17:30 in Berlin, 11:30 in New York
    at = {zone: moment.astimezone(zone).replace(tzinfo=None) for zone in (BERLIN, NEW_YORK)}

    assert (is_on(rule(), at[BERLIN]), is_on(rule(), at[NEW_YORK])) == (True, False)
    assert off_at(rule(), moment, BERLIN) == datetime(2026, 11, 29, 18, tzinfo=UTC)


@pytest.mark.parametrize(
    ("list_minor", "percent_off", "minor"), [(650, 20, 520), (1, 99, 1), (5, 50, 3), (333, 33, 223), (10, 99, 1), (100, 1, 99)]
)
def test_a_share_off_is_rounded_half_up_and_never_free(list_minor: int, percent_off: int, minor: int) -> None:
    now = PriceRulesNow(wall_time=wall("2026-11-29T18:00"), rules=(rule(percent_off=percent_off),))

    assert price_now(list_minor, PILS, now).minor == minor


def test_the_price_is_that_of_the_rule_for_the_beverage_and_the_list_price_otherwise() -> None:
    stout, pils = rule(beverages=(STOUT,), price=400), rule(beverages=(PILS,), price=300, number=2)
    now = PriceRulesNow(wall_time=wall("2026-11-29T18:00"), rules=(stout, pils))

    assert (price_now(650, PILS, now).minor, price_now(650, PILS, now).rule) == (300, pils)
    assert price_now(650, UUID(int=3), now).minor == 650
    assert price_now(650, PILS, None).minor == 650
    assert price_now(650, PILS, PriceRulesNow(wall_time=wall("2026-11-29T19:00"), rules=(pils,))).rule is None
