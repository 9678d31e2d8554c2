"""One-line summaries of audit log entries, with their icons."""

from collections.abc import Mapping
from typing import Any, Final

from tapwire_admin.console.formats import Formats
from tapwire_admin.console.labels import CLEANING_KINDS
from tapwire_admin.console.libraries import Icon
from tapwire_admin.console.problem_texts import PROBLEMS
from tapwire_admin.console.translations import N_, translations
from tapwire_contracts.denials import denial_text
from tapwire_contracts.reasons import AuditAction, DenyReason, Locale
from tapwire_core.db.views.audit import AuditEntryView
from tapwire_core.domain.closed_sets import ServingMeasure

ICONS: Final[Mapping[str, Icon]] = {
    "pour": Icon("beer"),
    "insufficient": Icon("ban"),
    "overpour": Icon("beer"),
    "sync": Icon("beer"),
    "late": Icon("beer"),
    "visit": Icon("door-open"),
    "serving": Icon("lock-open"),
    "alcohol": Icon("beer"),
    "card": Icon("credit-card"),
    "cards": Icon("credit-card"),
    "guest": Icon("users"),
    "top": Icon("banknote"),
    "refund": Icon("banknote"),
    "adjustment": Icon("scale"),
    "comp": Icon("gift"),
    "deposit": Icon("credit-card"),
    "payment": Icon("smartphone"),
    "shift": Icon("clock"),
    "cash": Icon("banknote"),
    "z": Icon("receipt"),
    "keg": Icon("barrel"),
    "stock": Icon("barrel"),
    "beverage": Icon("barrel"),
    "price": Icon("banknote"),
    "tap": Icon("beer"),
    "incident": Icon("triangle-alert"),
    "volume": Icon("droplets"),
    "unattributed": Icon("droplets"),
    "reconcile": Icon("scale"),
    "emergency": Icon("octagon-x"),
    "webhook": Icon("webhook"),
}
"""An entry's icon, by the first word of its action."""
_MONEY: Final = ("amount_minor", "hold_minor", "refunded_minor")


def icon_of(action: str) -> Icon:
    """The icon of an entry."""
    return Icon("ban") if "denied" in action or "refused" in action else ICONS.get(action.split("_")[0], Icon("history"))


def shown_action(entry: AuditEntryView) -> str:
    """The action as people read it: a pour that ran over its grant within the tolerance is one that was settled."""
    within_tolerance = entry.action == AuditAction.OVERPOUR_CHARGED and "over_ml" not in entry.details
    return AuditAction.POUR_SYNCED if within_tolerance else entry.action


def audit_summary(locale: Locale, formats: Formats, entry: AuditEntryView) -> str:
    """An entry's details in one short line."""
    details = entry.details
    parts = [
        _reason(locale, entry.action, details),
        _serving(locale, formats, entry.action, details),
        _price_rule(formats, entry),
        _care(locale, formats, entry.action, details),
    ]
    if isinstance(details.get("volume_ml"), int):
        parts.append(formats.volume(details["volume_ml"]))
    parts += [formats.money(details[name]) for name in _MONEY if isinstance(details.get(name), int)]
    if isinstance(details.get("over_short_minor"), int):
        counted = {
            "counted": formats.money(details["counted_minor"]),
            "difference": formats.signed_money(details["over_short_minor"]),
        }
        parts.append(translations(locale).gettext(N_("counted %(counted)s, difference %(difference)s")) % counted)
    if isinstance(details.get("loss_minor"), int) and details["loss_minor"]:
        is_payment = entry.action == AuditAction.PAYMENT_REVERSED
        text = N_("not covered: %s") if is_payment else N_("written off: %s")
        parts.append(translations(locale).gettext(text) % formats.money(details["loss_minor"]))
    if isinstance(details.get("refund_due_minor"), int) and details["refund_due_minor"]:
        parts.append(translations(locale).gettext(N_("goes back: %s")) % formats.money(details["refund_due_minor"]))
    return " · ".join(part for part in parts if part)


def _serving(locale: Locale, formats: Formats, action: str, details: dict[str, Any]) -> str:
    """What a serving limit stood at, how many share it, and whether alcohol is allowed."""
    translate = translations(locale).gettext
    if action == AuditAction.ALCOHOL_CHANGED:
        return translate(N_("alcohol allowed")) if details.get("allowed") else translate(N_("no alcohol"))
    if action == AuditAction.VISIT_OPENED:
        patrons, allowed = details.get("patrons", 1), details.get("alcohol_allowed", True)
        shared = translate(N_("patrons: %(count)s")) % {"count": patrons} if patrons != 1 else ""
        return " · ".join(part for part in (shared, "" if allowed else translate(N_("no alcohol"))) if part)
    if details.get("measure") in list(ServingMeasure):
        used, limit = (formats.serving(ServingMeasure(details["measure"]), details[name]) for name in ("used", "limit"))
        return translate(N_("%(used)s of %(limit)s")) % {"used": used, "limit": limit}
    return ""


def _care(locale: Locale, formats: Formats, action: str, details: dict[str, Any]) -> str:
    """The kind of a cleaning, or a meter's factor before and after a calibration; and the note of either."""
    parts: list[str] = []
    kind = CLEANING_KINDS.get(details["kind"]) if action == AuditAction.TAP_CLEANED else None
    if kind is not None:
        parts.append(translations(locale).gettext(kind))
    if action == AuditAction.TAP_CALIBRATED:
        parts.append(f"{formats.number(details['before'])} → {formats.number(details['after'])}")
    if action in (AuditAction.TAP_CLEANED, AuditAction.TAP_CALIBRATED) and details.get("note"):
        parts.append(str(details["note"]))
    return " · ".join(parts)


def _price_rule(formats: Formats, entry: AuditEntryView) -> str:
    """A price rule's name, with the times and the price that were set."""
    details = entry.details
    if not entry.action.startswith("price_rule_"):
        return ""
    parts = [str(details.get("name", ""))]
    if "from" in details or "to" in details:
        parts.append(f"{details.get('from', '…')}–{details.get('to', '…')}")
    if isinstance(details.get("percent_off"), int):
        parts.append(f"−{details['percent_off']}\N{NO-BREAK SPACE}%")
    if isinstance(details.get("sell_price_per_liter_minor"), int):
        parts.append(formats.money(details["sell_price_per_liter_minor"]))
    return " · ".join(part for part in parts if part)


def _reason(locale: Locale, action: str, details: dict[str, Any]) -> str:
    reason = details.get("reason") or details.get("why") or ""
    if action == AuditAction.POUR_DENIED and reason in set(DenyReason):
        return denial_text(DenyReason(reason), locale)
    if action == AuditAction.INSUFFICIENT_FUNDS_DENIED:
        return ""
    if action == AuditAction.CARD_ISSUE_REFUSED and reason in PROBLEMS:
        return translations(locale).gettext(PROBLEMS[reason])
    return str(reason)
