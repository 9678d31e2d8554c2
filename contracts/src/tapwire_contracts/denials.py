"""Denials: each reason's texts and treatment in one row, for MQTT, HTTP, screens and logs."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Final

from tapwire_contracts.reasons import DenyReason, Locale


class Personal(Enum):
    """Personal data on a tap's screen beside a denial; rules before the visit is known show none."""

    NOTHING = auto()
    NAME = auto()
    NAME_AND_BALANCE = auto()


@dataclass(frozen=True, slots=True)
class Denial:
    """A reason's text in each language, and its treatment.

    `for_guest`: the texts of the tap's screen, where the others are for the staff. `conflict`: over HTTP the status is 409 instead
    of 403. `shows_allowance`: the screen shows what the serving limit leaves.
    """

    en: str
    ru: str
    shows: Personal = Personal.NOTHING
    conflict: bool = False
    shows_allowance: bool = False
    for_guest: Mapping[Locale, str] = field(default_factory=dict)


INSUFFICIENT_FUNDS_MESSAGE: Final = "Insufficient funds: top up guest balance before pouring."

DENIALS: Final[Mapping[DenyReason, Denial]] = {
    DenyReason.TAP_UNKNOWN: Denial(
        "This tap is not set up. Please tell the staff.",
        "Этот кран не настроен. Пожалуйста, сообщите персоналу.",
    ),
    DenyReason.STALE_REQUEST: Denial(
        "Please take the card off and lay it on again.",
        "Пожалуйста, уберите карту и приложите её снова.",
    ),
    DenyReason.EMERGENCY_STOP: Denial(
        "All taps are stopped. Please wait for the staff.",
        "Все краны остановлены. Пожалуйста, дождитесь персонала.",
    ),
    DenyReason.TAP_LOCKED: Denial(
        "This tap is out of service. Please use another one.",
        "Этот кран не работает. Пожалуйста, выберите другой.",
    ),
    DenyReason.TAP_CLEANING: Denial(
        "This tap is being cleaned. Please use another one.",
        "Этот кран промывают. Пожалуйста, выберите другой.",
    ),
    DenyReason.TAP_NOT_CONFIGURED: Denial(
        "Nothing is on this tap right now. Please use another one.",
        "К этому крану сейчас ничего не подключено. Пожалуйста, выберите другой.",
        conflict=True,
    ),
    DenyReason.KEG_EMPTY: Denial(
        "This keg is empty. Please use another tap.",
        "Эта кега пуста. Пожалуйста, выберите другой кран.",
    ),
    DenyReason.SHIFT_CLOSED: Denial(
        "We are closed at the moment.",
        "Сейчас мы закрыты.",
    ),
    DenyReason.CARD_UNKNOWN: Denial(
        "This card is not known here. Please ask at the counter.",
        "Эта карта здесь неизвестна. Пожалуйста, обратитесь на стойку.",
    ),
    DenyReason.LOST_CARD: Denial(
        "This card is no longer valid. Please ask at the counter.",
        "Эта карта больше не действует. Пожалуйста, обратитесь на стойку.",
    ),
    DenyReason.NO_ACTIVE_VISIT: Denial(
        "This card is not in use today. Please check in at the counter.",
        "Эта карта сегодня не активна. Пожалуйста, отметьтесь на стойке.",
        conflict=True,
    ),
    DenyReason.VISIT_EXPIRED: Denial(
        "The time on this card is over. Please ask at the counter.",
        "Время по этой карте истекло. Пожалуйста, обратитесь на стойку.",
    ),
    DenyReason.GUEST_BLOCKED: Denial(
        "This account is blocked. Please ask at the counter.",
        "Этот счёт заблокирован. Пожалуйста, обратитесь на стойку.",
    ),
    DenyReason.AGE_RESTRICTED: Denial(
        "No alcohol is served on this card. Please choose a drink without alcohol.",
        "По этой карте не наливают алкоголь. Пожалуйста, выберите безалкогольный напиток.",
    ),
    DenyReason.CARD_IN_USE_ON_OTHER_TAP: Denial(
        "Your pour at another tap is not finished yet.",
        "Ваш налив на другом кране ещё не завершён.",
        shows=Personal.NAME,
        conflict=True,
    ),
    DenyReason.PROCESSING_SYNC: Denial(
        "The last pour at this tap is still being settled. Please try again in a moment.",
        "Предыдущий налив на этом кране ещё обрабатывается. Попробуйте через минуту.",
        shows=Personal.NAME,
        conflict=True,
    ),
    DenyReason.SERVING_LIMIT_REACHED: Denial(
        "The serving limit is reached: look at the guest, then re-arm the visit.",
        "Лимит достигнут: взгляните на гостя и снимите ограничение с визита.",
        shows=Personal.NAME,
        shows_allowance=True,
        for_guest={
            Locale.EN: "Time for a word with the staff: please come to the counter.",
            Locale.RU: "Пора сделать паузу: пожалуйста, подойдите к стойке.",
        },
    ),
    DenyReason.INSUFFICIENT_FUNDS: Denial(
        INSUFFICIENT_FUNDS_MESSAGE,
        "Недостаточно средств: пополните баланс гостя перед наливом.",
        shows=Personal.NAME_AND_BALANCE,
        for_guest={Locale.EN: "Please top up at the counter.", Locale.RU: "Пожалуйста, пополните баланс на стойке."},
    ),
}

GRANT_TEXTS: Final[Mapping[Locale, str]] = {Locale.EN: "Enjoy! You may pour now.", Locale.RU: "Приятного отдыха! Можно наливать."}


def denial_text(reason: DenyReason, locale: Locale) -> str:
    """A denial's text for programs, logs and staff."""
    denial = DENIALS[reason]
    match locale:
        case Locale.EN:
            return denial.en
        case Locale.RU:
            return denial.ru


def guest_text(reason: DenyReason, locale: Locale) -> str:
    """A denial's text for the guest, on the tap's screen."""
    return DENIALS[reason].for_guest.get(locale) or denial_text(reason, locale)
