"""House credit: what of a guest's balance the house has given, and does not pay out (SYSTEM.md, "Money"). Pure.

It is spent before the guest's own money, and comes back where a pour that was paid with it is given back.
"""

from typing import Final

from msgspec import Struct

from tapwire_core.domain.closed_sets import Account

MOVING: Final = frozenset(
    {
        (Account.COMP, Account.GUEST),
        (Account.GUEST, Account.SALES),
        (Account.GUEST, Account.ADJUSTMENT),
        (Account.ADJUSTMENT, Account.GUEST),
        (Account.DEPOSIT, Account.DEPOSIT_FORFEITED),
    }
)
"""Debit and credit account of the movements that give or take house credit; all others leave it alone."""


class HouseCredit(Struct, frozen=True):
    """A guest's house credit, in minor units, under the guest's lock.

    `taken_by_pour_minor`: what the pour of a booking took of it, less what it gave back; 0 for a booking without a pour.
    """

    minor: int
    taken_by_pour_minor: int = 0

    def moved_by(self, debit: Account, credit: Account, amount_minor: int) -> int:
        """The change of the house credit by a movement of money; negative where it is spent."""
        match debit, credit:
            case Account.COMP, Account.GUEST:
                return amount_minor
            case (Account.GUEST, Account.SALES | Account.ADJUSTMENT) | (Account.DEPOSIT, Account.DEPOSIT_FORFEITED):
                return -min(amount_minor, self.minor)
            case Account.ADJUSTMENT, Account.GUEST:
                return min(amount_minor, self.taken_by_pour_minor)
            case _:
                return 0

    def after(self, debit: Account, credit: Account, amount_minor: int) -> "HouseCredit":
        """The house credit after a movement of money."""
        change_minor = self.moved_by(debit, credit, amount_minor)
        given_back_minor = change_minor if debit is Account.ADJUSTMENT else 0
        return HouseCredit(self.minor + change_minor, self.taken_by_pour_minor - given_back_minor)


def refundable_minor(available_minor: int, house_credit_minor: int) -> int:
    """The most that a guest can be paid out: what is available, less the house credit."""
    return max(0, available_minor - house_credit_minor)
