"""What the tap's screen says by itself; grants and denials bring their own texts from the core."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from tapwire_contracts.reasons import Locale


class ScreenText(StrEnum):
    """The node's own messages to a guest."""

    NO_CONNECTION = "no_connection"
    NO_ANSWER = "no_answer"
    OUT_OF_SERVICE = "out_of_service"
    OTHER_CARD = "other_card"
    LAY_CARD_AGAIN = "lay_card_again"
    CARD_TAKEN = "card_taken"
    POUR_ENDED = "pour_ended"
    READY = "ready"


SCREEN_TEXTS: Final[Mapping[ScreenText, Mapping[Locale, str]]] = {
    ScreenText.NO_CONNECTION: {
        Locale.EN: "No connection. Please tell the staff.",
        Locale.RU: "Нет связи. Пожалуйста, сообщите персоналу.",
    },
    ScreenText.NO_ANSWER: {
        Locale.EN: "No answer. Please take the card off and lay it on again.",
        Locale.RU: "Нет ответа. Пожалуйста, уберите карту и приложите её снова.",
    },
    ScreenText.OUT_OF_SERVICE: {
        Locale.EN: "This tap is out of service. Please use another one.",
        Locale.RU: "Этот кран не работает. Пожалуйста, выберите другой.",
    },
    ScreenText.OTHER_CARD: {
        Locale.EN: "Another card was laid on. Please take both off.",
        Locale.RU: "Приложена другая карта. Пожалуйста, уберите обе.",
    },
    ScreenText.LAY_CARD_AGAIN: {
        Locale.EN: "Please take the card off and lay it on again.",
        Locale.RU: "Пожалуйста, уберите карту и приложите её снова.",
    },
    ScreenText.CARD_TAKEN: {
        Locale.EN: "The card was taken off.",
        Locale.RU: "Карта убрана.",
    },
    ScreenText.POUR_ENDED: {
        Locale.EN: "The pour has ended. Please take your card.",
        Locale.RU: "Налив завершён. Пожалуйста, заберите карту.",
    },
    ScreenText.READY: {
        Locale.EN: "Lay on your card.",
        Locale.RU: "Приложите карту.",
    },
}


def screen_text(text: ScreenText, locale: Locale) -> str:
    """The text in the tap's language."""
    return SCREEN_TEXTS[text][locale]
