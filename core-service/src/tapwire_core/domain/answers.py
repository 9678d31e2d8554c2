"""Answers: decisions as payloads for the tap and its guest. Pure."""

from tapwire_contracts.denials import DENIALS, GRANT_TEXTS, Personal, denial_text, guest_text
from tapwire_contracts.messages import BeverageShown, Display, PourAuthorized, PourDenied, PourSettled
from tapwire_contracts.reasons import DenyReason, Locale
from tapwire_core.domain.authorization import Facts, Granted, GuestFacts, Question, TapFacts
from tapwire_core.domain.change_records import PourGranted
from tapwire_core.domain.policy import Policy
from tapwire_core.domain.pour_reports import Report, Verdict


def grant_message(
    question: Question, granted: Granted, pour: PourGranted, facts: Facts, policy: Policy, allowance_left_ml: int | None
) -> PourAuthorized:
    """The message that grants a pour. `allowance_left_ml`: what the serving limit left of the beverage before it."""
    return PourAuthorized(
        request_id=question.event_id,
        pour_id=pour.pour_id,
        card_uid=question.card_uid,
        max_volume_ml=granted.max_volume_ml,
        max_duration_ms=policy.max_duration_ms,
        idle_timeout_ms=policy.idle_timeout_ms,
        display=_display(
            GRANT_TEXTS[policy.locale],
            facts.tap,
            policy,
            facts.guest,
            show_balance=True,
            allowance_left_ml=allowance_left_ml,
        ),
    )


def denial_message(
    question: Question, reason: DenyReason, facts: Facts | None, policy: Policy, allowance_left_ml: int | None = None
) -> PourDenied:
    """The message that denies a pour; `message` is English, for programs and logs, the display's text in the tap's language.

    `allowance_left_ml`: what the serving limit leaves of the beverage; shown when that is the reason.
    """
    shows = DENIALS[reason].shows
    guest = facts.guest if facts and shows is not Personal.NOTHING else None
    return PourDenied(
        request_id=question.event_id,
        reason=reason,
        message=denial_text(reason, Locale.EN),
        display=_display(
            guest_text(reason, policy.locale),
            facts.tap if facts else None,
            policy,
            guest,
            show_balance=shows is Personal.NAME_AND_BALANCE,
            allowance_left_ml=allowance_left_ml if DENIALS[reason].shows_allowance else None,
        ),
    )


def settled_message(report: Report, verdict: Verdict, policy: Policy) -> PourSettled:
    """The message with a report's verdict."""
    return PourSettled(
        pour_id=report.pour_id,
        status=verdict.status,
        outcome=verdict.outcome,
        reason=verdict.reason,
        volume_ml=verdict.volume_ml,
        amount_minor=verdict.amount_minor,
        balance_minor=verdict.balance_minor,
        currency=policy.currency,
    )


def _display(
    message: str,
    tap: TapFacts | None,
    policy: Policy,
    guest: GuestFacts | None,
    *,
    show_balance: bool,
    allowance_left_ml: int | None,
) -> Display:
    return Display(
        message=message,
        beverage=shown_beverage(tap.beverage_name, tap.beverage_style, tap.abv_hundredths) if tap else None,
        sell_price_per_liter_minor=tap.price.minor if tap and tap.price else None,
        currency=policy.currency,
        guest_first_name=guest.first_name if guest else None,
        balance_minor=guest.balance_minor if guest and show_balance else None,
        allowance_left_ml=allowance_left_ml,
    )


def shown_beverage(name: str | None, style: str | None, abv_hundredths: int | None) -> BeverageShown | None:
    """The beverage for a tap's screen; None for a tap without one."""
    abv = None if abv_hundredths is None else abv_hundredths / 100
    return BeverageShown(name=name, style=style, abv=abv) if name is not None else None
