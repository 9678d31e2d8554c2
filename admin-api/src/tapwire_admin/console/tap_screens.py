"""Content of a tap's own screen, by precedence: faults for everybody, the guest's pour, the tap's offer. Pure.

Its only personal data are first name, balance and pour of the guest whose card is on the reader: the core sends a tap nothing else
(`display` in CONTRACT.md). Without broker or core the screen says so, because cards are not served then.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from tapwire_admin.console.formats import Formats
from tapwire_admin.console.translations import N_, translations
from tapwire_contracts.denials import guest_text
from tapwire_contracts.reasons import DenyReason, Locale, Phase, VerdictStatus
from tapwire_core.db.views.taps import TapView
from tapwire_core.domain.closed_sets import VolumeUnit
from tapwire_core.domain.money import charge
from tapwire_core.services.venues import DEFAULT_GLASS_ML

RESULT_S: Final = 10.0
"""Time that a result or denial stays after the card was removed."""


class ScreenState(StrEnum):
    """States of the screen, each with its style."""

    STOPPED = "stopped"
    NO_CONNECTION = "no_connection"
    OUT_OF_SERVICE = "out_of_service"
    POURING = "pouring"
    WORKING = "working"
    DENIED = "denied"
    THANKS = "thanks"
    REMOVE_CARD = "remove_card"
    READY = "ready"


@dataclass(frozen=True, slots=True)
class TapSnapshot:
    """Inputs of the screen: the books, the node's state, the newest progress, the core's newest answer and its age."""

    tap: TapView
    shift_open: bool
    link: dict[str, Any]
    node: dict[str, Any]
    progress: dict[str, Any]
    answer: dict[str, Any]
    answer_age_s: float
    glass_ml: int = DEFAULT_GLASS_ML

    @property
    def phase(self) -> str:
        """The node's phase; empty while it is offline."""
        return str(self.node.get("phase", "")) if self.node.get("status") == "online" else ""


def screen_texts(seen: TapSnapshot, locale: Locale, formats: Formats) -> dict[str, Any]:
    """All texts of the screen."""
    tap = seen.tap
    offer = {
        "beverage": tap.beverage_name or "",
        "style": " · ".join(part for part in (tap.beverage_style, f"{tap.beverage_abv:g} %" if tap.beverage_abv else None) if part),
        **_price(seen, locale, formats),
        "keg": max(tap.keg_book_volume_ml or 0, 0) / tap.keg_initial_volume_ml if tap.keg_initial_volume_ml else 0,
    }
    pour = {"ml": "", "unit": formats.measure_unit, "money": "", "balance": "", "allowance": "", "share": 0, "name": ""}
    return {**offer, **pour, **_moment(seen, locale, formats)}


def _price(seen: TapSnapshot, locale: Locale, formats: Formats) -> dict[str, Any]:
    """The price now and that of a glass; the list price where a rule undercuts it, and until when."""
    tap, texts = seen.tap, translations(locale)
    now_minor, rule = tap.sell_price_per_liter_minor, tap.price_rule
    if now_minor is None:
        return dict.fromkeys(("price", "list_price", "per", "glass", "rule"), "")
    is_lower = rule is not None and now_minor < (tap.list_price_per_liter_minor or 0)
    ends = texts.gettext(N_("until %(time)s")) % {"time": formats.until(rule.until)} if rule and rule.until else ""
    return {
        "price": formats.unit_price(now_minor),
        "list_price": formats.unit_price(tap.list_price_per_liter_minor) if is_lower else "",
        "per": texts.gettext(N_("per litre") if formats.unit is VolumeUnit.ML else N_("per ounce")),
        "glass": formats.glass(seen.glass_ml, now_minor),
        "rule": " ".join(part for part in (rule.name, ends) if part) if rule else "",
    }


def _moment(seen: TapSnapshot, locale: Locale, formats: Formats) -> dict[str, Any]:
    """The current state, by precedence."""
    blocked = _blocked(seen, locale)
    if seen.phase == Phase.POURING:
        return _pouring(seen, locale, formats)
    if blocked is not None:
        return blocked
    is_fresh = seen.phase == Phase.CARD_MUST_BE_REMOVED or seen.answer_age_s < RESULT_S
    kind = seen.answer.get("type") if is_fresh else None
    if seen.phase in (Phase.AUTHORIZING, Phase.SETTLING):
        return _say(ScreenState.WORKING, locale, N_("One moment …"))
    if kind == "pour_denied":
        return {"state": ScreenState.DENIED, "title": _denial_text(seen.answer, locale), "text": ""}
    if kind == "pour_settled":
        return _thanks(seen.answer, locale, formats)
    if seen.phase == Phase.CARD_MUST_BE_REMOVED:
        return _say(ScreenState.REMOVE_CARD, locale, N_("Please remove your card"))
    return _say(ScreenState.READY, locale, N_("Place your card on the reader"), N_("and pour as much as you like"))


def _blocked(seen: TapSnapshot, locale: Locale) -> dict[str, Any] | None:
    """The state that keeps everybody from pouring, or None."""
    tap = seen.tap
    reasons = {"emergency_stop": DenyReason.EMERGENCY_STOP, "locked": DenyReason.TAP_LOCKED, "cleaning": DenyReason.TAP_CLEANING}
    if tap.status == "emergency_stop":
        return _denial(ScreenState.STOPPED, DenyReason.EMERGENCY_STOP, locale)
    if tap.status in reasons:
        return _denial(ScreenState.OUT_OF_SERVICE, reasons[tap.status], locale)
    if not seen.link.get("broker") or not seen.link.get("cores") or not seen.phase:
        return _say(ScreenState.NO_CONNECTION, locale, N_("No connection"), N_("Please wait a moment, or ask the staff."))
    if seen.phase in (Phase.OUT_OF_SERVICE, Phase.FAULT):
        return _denial(ScreenState.OUT_OF_SERVICE, DenyReason.TAP_LOCKED, locale)
    if tap.status == "empty" or tap.sell_price_per_liter_minor is None:
        reason = DenyReason.KEG_EMPTY if tap.keg_id else DenyReason.TAP_NOT_CONFIGURED
        return _denial(ScreenState.OUT_OF_SERVICE, reason, locale)
    if not seen.shift_open:
        return _denial(ScreenState.OUT_OF_SERVICE, DenyReason.SHIFT_CLOSED, locale)
    return None


def _pouring(seen: TapSnapshot, locale: Locale, formats: Formats) -> dict[str, Any]:
    """The running pour: volume, cost, remaining balance, and what a serving limit leaves."""
    pour_id = seen.node.get("pour_id")
    ml = int(seen.progress["volume_ml"]) if seen.progress.get("pour_id") == pour_id else 0
    is_granted = seen.answer.get("type") == "pour_authorized" and seen.answer.get("pour_id") == pour_id
    shown = seen.answer["display"] if is_granted else {}
    price_minor = shown.get("sell_price_per_liter_minor") or seen.tap.pending_price_minor or 0
    most_ml = (seen.answer["max_volume_ml"] if is_granted else seen.tap.pending_max_volume_ml) or 0
    amount_minor = charge(ml, price_minor)
    balance_minor = shown.get("balance_minor")
    allowed_ml = shown.get("allowance_left_ml")
    name = shown.get("guest_first_name") or ""
    title = translations(locale).gettext(N_("Enjoy, %s!")) % name if name else translations(locale).gettext(N_("Enjoy!"))
    return {
        "state": ScreenState.POURING,
        "title": title,
        "text": "",
        "name": name,
        "ml": formats.measure(ml),
        "money": formats.money(amount_minor),
        "balance": formats.money(max(balance_minor - amount_minor, 0)) if balance_minor is not None else "",
        "allowance": formats.volume(max(allowed_ml - ml, 0)) if allowed_ml is not None else "",
        "share": min(ml / most_ml, 1) if most_ml else 0,
    }


def _thanks(verdict: dict[str, Any], locale: Locale, formats: Formats) -> dict[str, Any]:
    """The settled pour."""
    if verdict["status"] != VerdictStatus.ACCEPTED:
        return _say(ScreenState.DENIED, locale, N_("Please ask at the counter"), N_("This pour could not be settled here."))
    if not verdict["volume_ml"]:
        return _say(ScreenState.REMOVE_CARD, locale, N_("Nothing was poured"), N_("and nothing is charged"))
    balance_minor = verdict["balance_minor"]
    return {
        **_say(ScreenState.THANKS, locale, N_("Cheers!")),
        "ml": formats.measure(verdict["volume_ml"]),
        "money": formats.money(verdict["amount_minor"]),
        "balance": formats.money(balance_minor) if balance_minor is not None else "",
    }


def _say(state: ScreenState, locale: Locale, title: str, text: str = "") -> dict[str, Any]:
    texts = translations(locale)
    return {"state": state, "title": texts.gettext(title), "text": texts.gettext(text) if text else ""}


def _denial_text(answer: dict[str, Any], locale: Locale) -> str:
    """A denial's text; a core of a later version may have a reason of which only its own text is known."""
    if answer["reason"] in list(DenyReason):
        return guest_text(DenyReason(answer["reason"]), locale)
    return str(answer["display"]["message"])


def _denial(state: ScreenState, reason: DenyReason, locale: Locale) -> dict[str, Any]:
    return {"state": state, "title": guest_text(reason, locale), "text": ""}
