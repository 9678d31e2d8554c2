"""Names at the door: kept composed and without blanks around them, and nothing that nobody can see."""

from unicodedata import normalize

import pytest

from tapwire_core.db.engine import Database
from tapwire_core.db.views.beverages import list_beverages
from tapwire_core.db.views.guests import list_guests
from tapwire_core.errors import Invalid
from tapwire_core.services.imports import import_beverages, import_guests
from tests.rest import Rest, done, refusal
from tests.venue import OPERATOR, Venue

UNSEEN = (" ", "\u200b", "\u00a0\u2003", "\ufeff", "\u2060 \t\n", "\u3164", "\u00ad", "\u2800")
NAME = "Zoë Müller"
TYPED = f"  {normalize('NFD', NAME)}\u00a0"


def bodies(name: str) -> dict[str, tuple[str, dict[str, object]]]:
    """For each thing with a name the field, and what adds one."""
    return {
        "/api/guests": ("first_name", {"first_name": name, "age_checked": True}),
        "/api/beverages": ("name", {"name": name, "sell_price_per_liter_minor": 1}),
        "/api/taps": ("name", {"tap_id": "right", "name": name}),
        "/api/venues": ("name", {"venue_id": "hall", "name": name, "time_zone": "UTC"}),
    }


async def test_a_name_that_nobody_can_see_is_refused(rest: Rest, venue: Venue) -> None:
    for unseen in UNSEEN:
        for path, (field, body) in bodies(unseen).items():
            assert refusal(await rest.engineer.post(path, json=body), 400, "invalid")["field"] == field, (path, unseen)
    ann = await venue.guest()
    refusal(await rest.engineer.patch(f"/api/guests/{ann.guest_id}", json={"first_name": "\u200b"}), 400, "invalid")


async def test_a_name_is_kept_composed_and_without_blanks_around_it(rest: Rest, venue: Venue) -> None:
    for path, (field, body) in bodies(TYPED).items():
        assert done(await rest.engineer.post(path, json=body), 201)[field] == NAME
    ann = await venue.guest()
    changed = await rest.engineer.patch(f"/api/guests/{ann.guest_id}", json={"last_name": TYPED})
    assert done(changed)["last_name"] == NAME
    family = "👨\u200d👩\u200d👧"
    assert done(await rest.engineer.post("/api/guests", json={"first_name": family}), 201)["first_name"] == family


async def test_a_guest_is_found_however_the_name_is_composed(rest: Rest, db: Database) -> None:
    done(await rest.operator.post("/api/guests", json={"first_name": TYPED}), 201)

    for form in ("NFC", "NFD"):
        found = done(await rest.operator.get("/api/guests", params={"search": normalize(form, NAME)}))["items"]
        assert [guest["first_name"] for guest in found] == [NAME]
        assert NAME in (await rest.operator.get("/guests", params={"search": normalize(form, NAME)})).text


async def test_the_consoles_forms_take_the_same_names(rest: Rest, venue: Venue) -> None:
    def form(name: str) -> dict[str, str]:
        return {"first_name": name, "age_checked": "true"}

    refused = await rest.operator.post("/check-in/new-guest", data=form("\u200b"), headers={"HX-Request": "true"})
    taken = await rest.operator.post("/check-in/new-guest", data=form(TYPED), headers={"HX-Request": "true"})

    assert 'data-refused="invalid"' in refused.text
    assert "HX-Redirect" in taken.headers
    assert [guest.first_name for guest in (await list_guests(venue.db)).items] == [NAME]


async def test_an_import_takes_the_same_names(db: Database) -> None:
    await import_guests(db, OPERATOR, ["first_name,phone\n", f"{TYPED},+1\n"])
    await import_beverages(db, OPERATOR, ["name,sell_price_per_liter_minor\n", f"{TYPED},1\n", f"{NAME},1\n"])

    assert [guest.first_name for guest in (await list_guests(db)).items] == [NAME]
    assert [beverage.name for beverage in (await list_beverages(db)).items] == [NAME]
    with pytest.raises(Invalid, match="first_name"):
        await import_guests(db, OPERATOR, ["first_name,phone\n", "\u200b,+2\n"])


async def test_a_birth_date_that_nobody_living_has_is_refused(rest: Rest) -> None:
    for day in ("0001-01-01", "1899-12-31", "9999-12-31"):
        refused = await rest.operator.post("/api/guests", json={"first_name": "Ann", "birth_date": day})
        assert refusal(refused, 400, "invalid")["field"] == "birth_date"
    done(await rest.operator.post("/api/guests", json={"first_name": "Ann", "birth_date": "1900-01-01"}), 201)
