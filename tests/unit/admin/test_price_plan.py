"""The picture of a week of prices: where its blocks are."""

from datetime import UTC, date, datetime
from typing import Any
from uuid import uuid4

from tapwire_admin.console.price_plan import plan_week
from tapwire_core.db.views.price_rules import PriceRuleView

MONDAY = date(2026, 11, 23)
NOW = datetime(2026, 11, 29, 18, 15)  # noqa: DTZ001  a wall clock has no zone


def rule(begins: str, ends: str, weekdays: tuple[int, ...] = (7,), **more: Any) -> PriceRuleView:
    """A rule of some days."""
    none = dict.fromkeys(("beverage_ids", "valid_from", "valid_to", "sell_price_per_liter_minor"))
    times = {"from_": begins, "to": ends, "weekdays": weekdays, "created_at": datetime(2026, 1, 1, tzinfo=UTC)}
    kept = {"price_rule_id": uuid4(), "venue_id": "bar", "name": "Happy hour", "percent_off": 20, "currency": "EUR"}
    return PriceRuleView(**{**none, **times, **kept, **more})


def blocks_of(*rules: PriceRuleView, monday: date = MONDAY) -> dict[int, list[tuple[int, int, int, int]]]:
    """The blocks of each day that has some: begin and end in hours, lane, lanes."""
    plan = plan_week(rules, monday, NOW)
    return {
        day.day.isoweekday(): [(block.from_minute // 60, block.to_minute // 60, block.lane, block.lanes) for block in day.blocks]
        for day in plan.days
        if day.blocks
    }


def test_a_rule_past_midnight_is_on_both_days_also_over_the_weeks_edge() -> None:
    night = rule("22:00", "02:00")

    assert blocks_of(night) == {1: [(0, 2, 0, 1)], 7: [(22, 24, 0, 1)]}
    assert blocks_of(rule("22:00", "00:00")) == {7: [(22, 24, 0, 1)]}
    assert blocks_of(rule("06:00", "06:00", (1,))) == {1: [(6, 24, 0, 1)], 2: [(0, 6, 0, 1)]}


def test_a_rule_is_drawn_on_the_dates_on_which_it_begins() -> None:
    last = rule("17:00", "19:00", tuple(range(1, 8)), valid_from=date(2026, 11, 28), valid_to=date(2026, 11, 28))

    assert blocks_of(last) == {6: [(17, 19, 0, 1)]}
    assert blocks_of(last, monday=date(2026, 11, 30)) == {}


def test_rules_that_are_on_at_once_stand_side_by_side() -> None:
    assert blocks_of(rule("17:00", "19:00"), rule("18:00", "20:00"), rule("19:00", "21:00")) == {
        7: [(17, 19, 0, 2), (18, 20, 1, 2), (19, 21, 0, 2)]
    }


def test_the_picture_is_cut_to_the_hours_of_the_rules_and_has_a_line_for_now() -> None:
    plan, empty = plan_week([rule("17:00", "19:00")], MONDAY, NOW), plan_week([], MONDAY, NOW)
    late = plan_week([rule("23:30", "00:00")], MONDAY, NOW)

    assert (plan.from_hour, plan.to_hour, plan.now_minute) == (15, 21, 18 * 60 + 15)
    assert (plan.place(15 * 60), plan.place(18 * 60), plan.place(21 * 60)) == (0, 50, 100)
    assert [day.is_today for day in plan.days] == [False] * 6 + [True]
    assert (empty.from_hour, empty.to_hour) == (15, 24)
    assert (late.from_hour, late.to_hour) == (18, 24)
