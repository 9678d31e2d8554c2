"""The closed sets of words that only the core and its API use; those on the wire are in `tapwire_contracts.reasons`."""

from enum import StrEnum


class TapStatus(StrEnum):
    """What an operator made of a tap."""

    ACTIVE = "active"
    LOCKED = "locked"
    CLEANING = "cleaning"


class KegStatus(StrEnum):
    """Whether a keg may still be put on a tap."""

    IN_STOCK = "in_stock"
    RETIRED = "retired"


class CardStatus(StrEnum):
    """What a card is good for."""

    AVAILABLE = "available"
    BOUND = "bound"
    LOST = "lost"
    RETIRED = "retired"


class VisitStatus(StrEnum):
    """Whether a guest is here."""

    ACTIVE = "active"
    CLOSED = "closed"


class ShiftStatus(StrEnum):
    """Whether a venue works."""

    OPEN = "open"
    CLOSED = "closed"


class Role(StrEnum):
    """What an operator may do; each includes the ones before it."""

    OPERATOR = "operator"
    SHIFT_LEAD = "shift_lead"
    ENGINEER = "engineer"


class Account(StrEnum):
    """The two sides of a money movement."""

    GUEST = "guest"
    CASH = "cash"
    CARD = "card"
    SALES = "sales"
    OVERPOUR_LOSS = "overpour_loss"
    ADJUSTMENT = "adjustment"


class PaymentMethod(StrEnum):
    """How money comes in and goes out; each is an `Account` of the same name."""

    CASH = "cash"
    CARD = "card"


class StockKind(StrEnum):
    """Why a keg's book volume changed."""

    SALE = "sale"
    OVERPOUR = "overpour"
    UNATTRIBUTED = "unattributed"
    CORRECTION = "correction"
    LINE_CLEANING = "line_cleaning"
