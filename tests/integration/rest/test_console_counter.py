"""The console at the counter: what its pages say of money, cards and guests."""

import re

import pytest

from tapwire_core.db.engine import Database
from tapwire_core.domain.closed_sets import PaymentMethod, Role
from tapwire_core.domain.shown import Noun
from tapwire_core.errors import Invalid
from tapwire_core.services import money, visits
from tapwire_core.services.guests import create_guest
from tapwire_core.services.imports import import_guests
from tests.integration.rest.test_console_users import in_browser, shown_in
from tests.rest import Rest, done, form_about, log_in, refusal
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


async def test_a_returned_card_is_freed_and_the_next_guest_gets_it(rest: Rest, venue: Venue) -> None:
    ann = await venue.guest()
    bob = await create_guest(venue.db, OPERATOR, first_name="Bob", age_checked=True)
    at, headers = f"/cards/{ann.card_uid}/free", in_browser(await log_in(venue.db, Role.OPERATOR))
    form = {**form_about(Noun.VENUE, "bar"), "guest_id": str(bob), "card_uid": ann.card_uid}
    assert at not in await page(rest, venue.db, f"/cards?card_uid={ann.card_uid}"), "it is in use"
    await visits.close_visit(venue.db, OPERATOR, ann.visit_id)

    refused = await rest.nobody.post("/check-in", data=form, headers=headers)
    assert f'href="/cards?card_uid={ann.card_uid}"' in refused.text
    shown = shown_in(await rest.nobody.get(f"/cards?card_uid={ann.card_uid}", headers=headers))
    freed = await rest.nobody.post(at, data={"shown": shown}, headers=headers)
    issued = await rest.nobody.post("/check-in", data=form, headers=headers)

    assert freed.headers["HX-Redirect"] == f"/cards?card_uid={ann.card_uid}"
    assert 'data-result="success"' in issued.text
    again = await rest.nobody.post(at, data={"shown": shown}, headers=headers)
    assert "changed_meanwhile" in again.text, "another guest has it now"
    assert await venue.audited("card_unbound") == 1


async def test_a_lost_card_is_marked_wherever_its_guest_is_shown(rest: Rest, venue: Venue) -> None:
    ann = await venue.guest()
    pages = (f"/visits/{ann.visit_id}", "/visits", f"/guests/{ann.guest_id}", "/guests")
    lost, uid = '<span class="tag is-bad">Lost</span>', ann.card_uid
    assert not [path for path in pages if lost in await page(rest, venue.db, path)]

    done(await rest.operator.post(f"/api/cards/{uid}/lost", json={"reason": "gone"}))

    assert [path for path in pages if lost in await page(rest, venue.db, path)] == list(pages)
    assert "Card lost" not in await page(rest, venue.db, pages[0]), "it is reported once"
    assert done(await rest.operator.get(f"/api/visits/{ann.visit_id}"))["card_status"] == "lost"
    guest = done(await rest.operator.get(f"/api/guests/{ann.guest_id}"))
    assert (guest["cards"], guest["lost_cards"]) == ([], [uid])


async def test_a_birth_date_under_age_is_refused_together_with_a_check_of_the_age(rest: Rest, venue: Venue) -> None:
    child, adult = str((await venue.today()).year - 14), "1980-05-01"
    headers = in_browser(await log_in(venue.db, Role.OPERATOR))
    new = {"first_name": "Cleo", "birth_date": f"{child}-01-02", "age_checked": True}
    refusal(await rest.operator.post("/api/guests", json=new), 400, "age_contradictory")
    form = await rest.nobody.post("/check-in/new-guest", data={**new, "age_checked": "true"}, headers=headers)
    assert "By this date of birth the guest is under age." in form.text
    assert await venue.db.pool.fetchval("SELECT count(*) FROM guests") == 0
    with pytest.raises(Invalid, match="Line 2"):
        await import_guests(venue.db, OPERATOR, f"first_name,phone,birth_date,age_checked\nCleo,5501,{child}-01-02,yes\n")

    for field in ("birth_date", "age_checked"):
        known = done(await rest.shift_lead.post("/api/guests", json={**new, field: {"birth_date": adult}.get(field, False)}), 201)
        at = f"/api/guests/{known['guest_id']}"
        refusal(await rest.shift_lead.patch(at, json={field: new[field]}), 400, "age_contradictory")
        done(await rest.shift_lead.patch(at, json={"first_name": "Cloe"}))
        assert done(await rest.shift_lead.get(at))["birth_date"] == known["birth_date"]
    await venue.db.pool.execute("UPDATE venues SET legal_age = 0")
    done(await rest.operator.post("/api/guests", json=new), 201)


@pytest.mark.parametrize(("over_ml", "is_said"), [(2, False), (50, False), (51, True)])
async def test_a_pour_over_its_limit_is_called_so_only_beyond_the_tolerance(
    rest: Rest, venue: Venue, over_ml: int, is_said: bool
) -> None:
    ann = await venue.guest(balance_minor=900_00)
    grant = await venue.grant(ann)
    await venue.report(grant, grant.max_volume_ml + over_ml)

    for path in (f"/guests/{ann.guest_id}", f"/audit?subject={grant.pour_id}"):
        shown = await page(rest, venue.db, path)
        assert ("<b>Pour settled, over its limit" in shown) == is_said, path
    assert await venue.audited("overpour_charged") == 1


async def test_an_amount_far_above_the_usual_ones_is_booked_only_when_it_is_confirmed(rest: Rest, venue: Venue) -> None:
    ann = await venue.guest(balance_minor=1_00)
    headers = in_browser(await log_in(venue.db, Role.OPERATOR))
    typed = {"amount_minor": "5000.00", "method": "cash", "key": "one"}
    path = f"/visits/{ann.visit_id}/top-up"

    asked = await rest.nobody.post(path, data=typed, headers=headers)
    other = await rest.nobody.post(path, data={**typed, "amount_minor": "50000.00", "confirmed": "500000"}, headers=headers)
    before = done(await rest.operator.get(f"/api/visits/{ann.visit_id}"))["balance_minor"]
    booked = await rest.nobody.post(path, data={**typed, "confirmed": "500000"}, headers=headers)

    assert "far more than usual" in asked.text
    assert 'name="confirmed" value="500000"' in asked.text
    assert "far more than usual" in other.text, "it was another amount that was confirmed"
    assert before == 1_00
    assert "far more than usual" not in booked.text
    assert done(await rest.operator.get(f"/api/visits/{ann.visit_id}"))["balance_minor"] == 5_001_00
