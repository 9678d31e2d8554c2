"""Enums that only the core and its API use; those on the wire are in `tapwire_contracts.reasons`."""

from enum import StrEnum


class SearchNoun(StrEnum):
    """Things with search words of their own; the others are found through these."""

    GUEST = "guest"
    BEVERAGE = "beverage"
    TAP = "tap"


class WallSort(StrEnum):
    """Orders of the taps on a user's tap wall: by the numbers in their ids, or the user's own."""

    NUMBER = "number"
    OWN = "own"


class VolumeUnit(StrEnum):
    """The unit in which people see volumes; elsewhere they are millilitres."""

    ML = "ml"
    OZ = "oz"


class TapStatus(StrEnum):
    """A tap's status, set by operators."""

    ACTIVE = "active"
    LOCKED = "locked"
    CLEANING = "cleaning"


class CleaningKind(StrEnum):
    """Kinds of cleanings that a person records; one that the tap measured has none."""

    RINSE = "rinse"
    CAUSTIC = "caustic"
    ACID = "acid"


class ServingMeasure(StrEnum):
    """What a venue's serving limit counts."""

    VOLUME = "volume"
    ETHANOL = "ethanol"


class KegStatus(StrEnum):
    """A keg's status: only one in stock may be put on a tap."""

    IN_STOCK = "in_stock"
    RETIRED = "retired"


class KegFinish(StrEnum):
    """What became of a keg that came off its tap; all but `swapped` finish it for good."""

    KICKED = "kicked"
    SWAPPED = "swapped"
    SPOILED = "spoiled"
    RETURNED = "returned"


class CardStatus(StrEnum):
    """A card's status."""

    AVAILABLE = "available"
    BOUND = "bound"
    LOST = "lost"
    RETIRED = "retired"


class VisitStatus(StrEnum):
    """A visit's status."""

    ACTIVE = "active"
    CLOSED = "closed"


class ShiftStatus(StrEnum):
    """A shift's status."""

    OPEN = "open"
    CLOSED = "closed"


class Program(StrEnum):
    """Programs that keep a heartbeat in the database; `RECENT_BACKUP` beats with each backup into a folder."""

    CORE = "core"
    SYNC_BROKER = "sync-broker"
    BROKER_LOGINS = "broker-logins"
    BACKUP = "backup"
    RECENT_BACKUP = "recent-backup"


class Role(StrEnum):
    """Operators' roles; each includes the ones before it."""

    OPERATOR = "operator"
    SHIFT_LEAD = "shift_lead"
    ENGINEER = "engineer"

    def includes(self, other: "Role") -> bool:
        """True for the same role and those before it."""
        order = list(Role)
        return order.index(self) >= order.index(other)


class Account(StrEnum):
    """The two sides of a money movement."""

    GUEST = "guest"
    CASH = "cash"
    CARD = "card"
    SALES = "sales"
    OVERPOUR_LOSS = "overpour_loss"
    ADJUSTMENT = "adjustment"
    COMP = "comp"
    DEPOSIT = "deposit"
    DEPOSIT_FORFEITED = "deposit_forfeited"
    SAFE = "safe"
    PAY_IN = "pay_in"
    PAY_OUT = "pay_out"
    OVER_SHORT = "over_short"
    ONLINE_PAYMENT = "online_payment"
    PAYMENT_LOSS = "payment_loss"


class PaymentMethod(StrEnum):
    """Payment methods; each is an `Account` of the same name."""

    CASH = "cash"
    CARD = "card"


class PaidBy(StrEnum):
    """How money of a guest came or went; each is an `Account` of the same name. Staff take the payment methods alone."""

    CASH = "cash"
    CARD = "card"
    ONLINE_PAYMENT = "online_payment"


class PaymentProviderName(StrEnum):
    """The shipped payment providers; `test` is a page of ours that plays one."""

    STRIPE = "stripe"
    TEST = "test"


class PaymentStatus(StrEnum):
    """States of a guest's payment at a provider; an expired one may still become paid."""

    PENDING = "pending"
    PAID = "paid"
    EXPIRED = "expired"
    REVERSED = "reversed"
    REFUNDED = "refunded"


class ReturnCause(StrEnum):
    """Why money of a payment goes back: the first two are the provider's doing, the others our refunds through it."""

    DISPUTE = "dispute"
    REFUND = "refund"
    OVER_LIMIT = "over_limit"
    GUEST_BLOCKED = "guest_blocked"
    GUEST_ERASED = "guest_erased"
    CHECK_OUT = "check_out"


class ReturnStatus(StrEnum):
    """States of money that goes back: `due` at the provider, `done`, `failed` there, or `won` back from a reversal."""

    DUE = "due"
    DONE = "done"
    FAILED = "failed"
    WON = "won"


class CashKind(StrEnum):
    """Kinds of cash movements that a person enters; a drop brings cash from the drawer to the safe."""

    PAY_IN = "pay_in"
    PAY_OUT = "pay_out"
    DROP = "drop"


class StockKind(StrEnum):
    """Kinds of stock movements."""

    SALE = "sale"
    OVERPOUR = "overpour"
    UNATTRIBUTED = "unattributed"
    CORRECTION = "correction"
    LINE_CLEANING = "line_cleaning"
    YIELD_LOSS = "yield_loss"
    SPOILED = "spoiled"
    RETURNED = "returned"
