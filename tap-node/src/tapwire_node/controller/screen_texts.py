"""The node's own texts on the tap's screen; texts for grants and denials come from the core."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from tapwire_contracts.messages import Display
from tapwire_contracts.reasons import Locale


class ScreenText(StrEnum):
    """A message of the node to the guest."""

    NO_CONNECTION = "no_connection"
    NO_ANSWER = "no_answer"
    OUT_OF_SERVICE = "out_of_service"
    OTHER_CARD = "other_card"
    LAY_CARD_AGAIN = "lay_card_again"
    CARD_TAKEN = "card_taken"
    UNTIL_LIMIT = "until_limit"
    POUR_ENDED = "pour_ended"
    READY = "ready"


SCREEN_TEXTS: Final[Mapping[ScreenText, Mapping[Locale, str]]] = {
    ScreenText.NO_CONNECTION: {
        Locale.EN: "No connection. Please tell the staff.",
        Locale.RU: "Нет связи. Пожалуйста, сообщите персоналу.",
    },
    ScreenText.NO_ANSWER: {
        Locale.EN: "No answer. Please remove your card and try again.",
        Locale.RU: "Нет ответа. Пожалуйста, уберите карту и приложите её снова.",
    },
    ScreenText.OUT_OF_SERVICE: {
        Locale.EN: "This tap is out of service. Please use another one.",
        Locale.RU: "Этот кран не работает. Пожалуйста, выберите другой.",
    },
    ScreenText.OTHER_CARD: {
        Locale.EN: "Another card is on the reader. Please remove both cards.",
        Locale.RU: "Приложена другая карта. Пожалуйста, уберите обе.",
    },
    ScreenText.LAY_CARD_AGAIN: {
        Locale.EN: "Please remove your card and try again.",
        Locale.RU: "Пожалуйста, уберите карту и приложите её снова.",
    },
    ScreenText.CARD_TAKEN: {
        Locale.EN: "The card was removed.",
        Locale.RU: "Карта убрана.",
    },
    ScreenText.UNTIL_LIMIT: {
        Locale.EN: "{ml} ml left until the limit.",
        Locale.RU: "До лимита {ml} мл.",
    },
    ScreenText.POUR_ENDED: {
        Locale.EN: "The pour has ended. Please take your card.",
        Locale.RU: "Налив завершён. Пожалуйста, заберите карту.",
    },
    ScreenText.READY: {
        Locale.EN: "Place your card on the reader.",
        Locale.RU: "Приложите карту.",
    },
}


def screen_text(text: ScreenText, locale: Locale) -> str:
    """Return the text in the tap's language."""
    return SCREEN_TEXTS[text][locale]


def grant_text(display: Display, locale: Locale) -> str:
    """The core's text for a grant, and what a serving limit leaves."""
    if display.allowance_left_ml is None:
        return display.message
    return f"{display.message} {screen_text(ScreenText.UNTIL_LIMIT, locale).format(ml=display.allowance_left_ml)}"
