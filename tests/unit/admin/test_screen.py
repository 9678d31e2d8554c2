"""Priorities of a tap's screen: danger before connection, a pour before everything that only concerns the next guest."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec
import pytest

from tapwire_admin.console.formats import Formats
from tapwire_admin.console.tap_screens import RESULT_S, ScreenState, TapSnapshot, screen_texts
from tapwire_contracts.denials import denial_text
from tapwire_contracts.messages import PriceRuleShown
from tapwire_contracts.reasons import DenyReason, Locale
from tapwire_core.db.views.taps import TapView

POUR = UUID(int=1)
OTHER = UUID(int=2)
GRANT: dict[str, Any] = {
    "type": "pour_authorized",
    "pour_id": str(POUR),
    "max_volume_ml": 500,
    "display": {"message": "", "sell_price_per_liter_minor": 500, "balance_minor": 1000, "guest_first_name": "Ann"},
}
DENIAL = {"type": "pour_denied", "reason": "insufficient_funds", "message": "no money"}
VERDICT = {"type": "pour_settled", "status": "accepted", "volume_ml": 250, "amount_minor": 125, "balance_minor": 875}


def tap(**changes: Any) -> TapView:
    """A tap that is ready."""
    ready = dict.fromkeys(TapView.__struct_fields__) | {
        "tap": "bar/taps/left",
        "venue_id": "bar",
        "tap_id": "left",
        "name": "Left",
        "status": "active",
        "keg_id": UUID(int=3),
        "keg_book_volume_ml": 15_000,
        "keg_initial_volume_ml": 30_000,
        "beverage_name": "Pils",
        "sell_price_per_liter_minor": 500,
    }
    return TapView(**{**ready, **changes})


def seen(
    phase: str = "IDLE",
    *,
    answer: dict[str, Any] | None = None,
    age_s: float = 0,
    shift_open: bool = True,
    cores: int = 1,
    **now: Any,
) -> TapSnapshot:
    """The screen's input; `now` is of the tap."""
    node = {"status": "online", "phase": phase, "pour_id": str(POUR) if phase == "POURING" else None}
    progress = {"pour_id": str(POUR), "volume_ml": 100}
    link = {"broker": True, "cores": cores}
    return TapSnapshot(tap(**now), shift_open, link, node, progress, answer or {}, age_s)


def shown(known: TapSnapshot, locale: Locale = Locale.EN) -> dict[str, Any]:
    return screen_texts(known, locale, Formats(locale, "EUR"))


@pytest.mark.parametrize(
    ("known", "state"),
    [
        (seen("POURING", answer=GRANT, status="emergency_stop"), ScreenState.POURING),
        (seen(status="emergency_stop", cores=0), ScreenState.STOPPED),
        (seen(status="locked", cores=0), ScreenState.OUT_OF_SERVICE),
        (seen(answer=DENIAL, cores=0), ScreenState.NO_CONNECTION),
        (seen("FAULT"), ScreenState.OUT_OF_SERVICE),
        (seen(keg_id=None, status="empty"), ScreenState.OUT_OF_SERVICE),
        (seen(shift_open=False), ScreenState.OUT_OF_SERVICE),
        (seen("AUTHORIZING", answer=VERDICT), ScreenState.WORKING),
        (seen("CARD_MUST_BE_REMOVED", answer=DENIAL, age_s=99), ScreenState.DENIED),
        (seen(answer=VERDICT, age_s=1), ScreenState.THANKS),
        (seen(answer=VERDICT, age_s=RESULT_S), ScreenState.READY),
        (seen("CARD_MUST_BE_REMOVED", answer=GRANT), ScreenState.REMOVE_CARD),
        (seen(), ScreenState.READY),
    ],
)
def test_the_weightiest_is_shown(known: TapSnapshot, state: ScreenState) -> None:
    assert shown(known)["state"] is state


def test_a_pour_shows_the_first_name_and_what_is_left_of_the_balance() -> None:
    now = shown(seen("POURING", answer=GRANT))
    assert (now["title"], now["ml"], now["money"], now["balance"], now["share"]) == ("Enjoy, Ann!", "100", "€0.50", "€9.50", 0.2)


@pytest.mark.parametrize(("left_ml", "text"), [(400, "300\N{NO-BREAK SPACE}ml"), (60, "0\N{NO-BREAK SPACE}ml"), (None, "")])
def test_a_pour_shows_what_is_left_until_the_serving_limit(left_ml: int | None, text: str) -> None:
    now = shown(seen("POURING", answer={**GRANT, "display": {**GRANT["display"], "allowance_left_ml": left_ml}}))

    assert now["allowance"] == text


def test_a_denial_for_a_reason_of_a_later_core_shows_that_cores_text() -> None:
    unknown = {"type": "pour_denied", "reason": "moon_phase", "message": "moon", "display": {"message": "Wait for the moon."}}

    now = shown(seen(answer=unknown))

    assert (now["state"], now["title"]) == (ScreenState.DENIED, "Wait for the moon.")


def test_another_pours_grant_names_nobody() -> None:
    now = shown(seen("POURING", answer={**GRANT, "pour_id": str(OTHER)}, pending_guest_name="Ben Brown", pending_price_minor=500))
    assert "Ann" not in str(now)
    assert "Ben" not in str(now)
    assert now["money"] == "€0.50"


def test_a_closed_venue_says_so_in_the_taps_language() -> None:
    assert shown(seen(shift_open=False), Locale.RU)["title"] == denial_text(DenyReason.SHIFT_CLOSED, Locale.RU)


def test_what_is_shown_can_be_sent() -> None:
    assert msgspec.json.decode(msgspec.json.encode(shown(seen())))["beverage"] == "Pils"


def test_a_happy_hour_shows_the_list_price_until_when_and_the_price_of_a_glass() -> None:
    until = datetime(2030, 1, 1, 18, 30, tzinfo=UTC)
    rule = PriceRuleShown(price_rule_id=UUID(int=4), name="Happy hour", until=until)
    now = shown(seen(list_price_per_liter_minor=1_000, sell_price_per_liter_minor=800, price_rule=rule))
    dearer = shown(seen(list_price_per_liter_minor=700, sell_price_per_liter_minor=800, price_rule=rule))
    usual = shown(seen(list_price_per_liter_minor=800, sell_price_per_liter_minor=800))

    assert (now["list_price"], now["price"], now["rule"]) == ("€10.00", "€8.00", "Happy hour until 1 Jan 18:30")
    assert now["glass"] == "500\N{NO-BREAK SPACE}ml: €4.00"
    assert (dearer["list_price"], dearer["rule"]) == ("", now["rule"])
    assert (usual["list_price"], usual["rule"], usual["glass"]) == ("", "", now["glass"])
