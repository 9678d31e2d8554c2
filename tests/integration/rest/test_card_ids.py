"""Card ids that no later reading will give are refused when a card is issued, through every door."""

from tapwire_core.domain.shown import Noun
from tests.rest import Rest, done, form_about, refusal
from tests.venue import Venue

REFUSED = {
    "08ec947f": "card_uid_random",
    "00000000": "card_uid_invalid",
    "FF:FF:FF:FF": "card_uid_invalid",
    "04a1b2c3d4": "card_uid_invalid",
}


async def test_an_id_that_is_no_cards_is_refused_with_its_reason(rest: Rest, venue: Venue) -> None:
    guest_id = done(await rest.operator.post("/api/guests", json={"first_name": "Ann", "age_checked": True}), 201)["guest_id"]
    visit_id = done(await rest.operator.post("/api/visits", json={"guest_id": guest_id}), 201)["visit_id"]
    doors = {
        f"/api/guests/{guest_id}/cards": {},
        f"/api/visits/{visit_id}/assign-card": {},
        "/api/visits/open-and-assign-card": {"guest_id": guest_id},
    }
    for card_uid, code in REFUSED.items():
        for path, body in doors.items():
            refusal(await rest.operator.post(path, json={**body, "card_uid": card_uid}), 409, code)
        form = {"guest_id": guest_id, "card_uid": card_uid, **form_about(Noun.VENUE, "bar")}
        shown = await rest.operator.post("/check-in", data=form, headers={"HX-Request": "true"})
        assert ("telephone" if code == "card_uid_random" else "not the id of a card") in shown.text

    assert await venue.db.pool.fetchval("SELECT count(*) FROM cards") == 0


async def test_the_first_part_of_a_longer_id_is_issued_with_a_warning(rest: Rest, venue: Venue) -> None:
    guest_id = done(await rest.operator.post("/api/guests", json={"first_name": "Ann", "age_checked": True}), 201)["guest_id"]
    opened = await rest.operator.post("/api/visits/open-and-assign-card", json={"guest_id": guest_id, "card_uid": "8804a1b2"})
    assert done(opened, 201)["warnings"] == ["card_uid_partial"]

    visit_id = opened.json()["visit"]["visit_id"]
    again = await rest.operator.post(f"/api/visits/{visit_id}/assign-card", json={"card_uid": "08a1b2c3d4e5f6"})
    assert done(again)["warnings"] == []
