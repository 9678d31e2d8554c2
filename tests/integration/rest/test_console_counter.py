"""The console at the counter: what its pages say of money, cards and guests."""

import re

import pytest

from tapwire_core.db.engine import Database
from tapwire_core.domain.closed_sets import PaymentMethod, Role
from tapwire_core.services import money
from tests.integration.rest.test_console_users import in_browser
from tests.rest import Rest, done, log_in
from tests.venue import OPERATOR, Venue


async def page(rest: Rest, db: Database, path: str, language: str = "en") -> str:
    """A page as a shift lead sees it, with each run of blanks as one."""
    headers = in_browser(await log_in(db, Role.SHIFT_LEAD))
    headers["Cookie"] += f"; tapwire_language={language}"
    answer = await rest.nobody.get(path, headers=headers)
    assert answer.status_code == 200, answer.text
    return " ".join(answer.text.split())


@pytest.mark.parametrize(("language", "till"), [("en", "In the till: cash"), ("ru", "Наличные в кассе")])
async def test_what_bank_cards_paid_is_not_in_the_till(rest: Rest, venue: Venue, language: str, till: str) -> None:
    ann = (await venue.guest(balance_minor=40_00)).guest_id
    await money.top_up(venue.db, OPERATOR, ann, 50_00, PaymentMethod.CARD, "bar")
    await money.refund(venue.db, OPERATOR, ann, 15_00, PaymentMethod.CASH, "leaves", "bar")
    shift_id = done(await rest.operator.get("/api/shifts/current"))["shift_id"]

    shown = await page(rest, venue.db, f"/shift/{shift_id}", language)

    paid = dict(re.findall(r'data-paid="(\w+)"><b>([^<]*)</b>', shown))
    assert {method: re.sub("[^0-9]", "", amount) for method, amount in paid.items()} == {"cash": "2500", "card": "5000"}
    assert till in shown
