"""House credit against a plain mirror: spent first, never below nothing, given back where a pour gives back."""

from dataclasses import dataclass, field
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapwire_core.domain.actor import Actor
from tapwire_core.domain.changes import Changes
from tapwire_core.domain.closed_sets import Account
from tapwire_core.domain.house_credit import HouseCredit, refundable_minor

GUEST = UUID(int=1)
POURS = tuple(UUID(int=number) for number in (10, 11))
DEEDS = (
    (Account.COMP, Account.GUEST),
    (Account.CASH, Account.GUEST),
    (Account.GUEST, Account.CASH),
    (Account.GUEST, Account.SALES),
    (Account.GUEST, Account.ADJUSTMENT),
    (Account.ADJUSTMENT, Account.GUEST),
    (Account.OVERPOUR_LOSS, Account.SALES),
)


@dataclass
class Purse:
    """The mirror: coins of the house and of the guest, and for each pour the coins of the house that it took."""

    house: int = 0
    own: int = 0
    taken: dict[UUID, int] = field(default_factory=dict)

    def move(self, debit: Account, credit: Account, amount: int, pour_id: UUID | None) -> None:
        """One movement, coin by coin."""
        for _ in range(amount):
            if credit is Account.GUEST:
                of_house = debit is Account.COMP
                if debit is Account.ADJUSTMENT and pour_id is not None and self.taken.get(pour_id, 0):
                    self.taken[pour_id] -= 1
                    of_house = True
                self.house, self.own = self.house + of_house, self.own + (not of_house)
            elif credit in (Account.SALES, Account.ADJUSTMENT) and debit is Account.GUEST and self.house:
                self.house -= 1
                if pour_id is not None:
                    self.taken[pour_id] = self.taken.get(pour_id, 0) + 1
            elif debit is Account.GUEST:
                self.own -= 1


@given(st.lists(st.tuples(st.sampled_from(DEEDS), st.integers(1, 12), st.none() | st.sampled_from(POURS)), max_size=30))
def test_house_credit_is_what_a_purse_of_coins_has_left(
    deeds: list[tuple[tuple[Account, Account], int, UUID | None]],
) -> None:
    purse, house_minor, taken = Purse(), 0, dict[UUID, int]()
    for (debit, credit), wanted_minor, pour_id in deeds:
        balance_minor = purse.house + purse.own
        amount_minor = min(wanted_minor, balance_minor) if debit is Account.GUEST else wanted_minor
        if debit is Account.GUEST and credit is Account.CASH:
            amount_minor = min(amount_minor, refundable_minor(balance_minor, house_minor))
        changes = Changes.by(Actor("test"))
        changes.note_house_credit(GUEST, HouseCredit(house_minor, taken.get(pour_id, 0) if pour_id else 0))
        changes.move_money(debit, credit, amount_minor, guest_id=GUEST, pour_id=pour_id)
        purse.move(debit, credit, amount_minor, pour_id)
        for moved in changes.money:
            house_minor += moved.house_credit_minor
            if pour_id is not None and debit is not Account.COMP:
                taken[pour_id] = taken.get(pour_id, 0) - moved.house_credit_minor

        assert house_minor == purse.house >= 0
        assert refundable_minor(purse.house + purse.own, house_minor) == purse.own >= 0
        assert {pour: minor for pour, minor in taken.items() if minor} == {
            pour: minor for pour, minor in purse.taken.items() if minor
        }


def test_two_movements_of_one_change_take_from_what_the_first_one_left() -> None:
    changes = Changes.by(Actor("test"))
    changes.note_house_credit(GUEST, HouseCredit(500))
    for _ in range(2):
        changes.move_money(Account.GUEST, Account.SALES, 300, guest_id=GUEST)

    assert [moved.house_credit_minor for moved in changes.money] == [-300, -200]


def test_a_movement_that_moves_house_credit_is_refused_before_it_is_known() -> None:
    with pytest.raises(KeyError):
        Changes.by(Actor("test")).move_money(Account.GUEST, Account.SALES, 300, guest_id=GUEST)
