"""Personal data in lists: a masked number and of-age or not, for every role."""

from tests.rest import Rest, done
from tests.venue import Venue


async def test_lists_of_guests_mask_numbers_and_leave_out_birth_dates(rest: Rest, venue: Venue) -> None:
    guest = {"first_name": "Ann", "phone": "+34 612 55 01 09", "birth_date": "1990-05-01"}
    done(await rest.operator.post("/api/guests", json=guest), 201)
    done(await rest.operator.post("/api/guests", json={**guest, "first_name": "Kid", "birth_date": "2020-05-01"}), 201)

    for client in (rest.operator, rest.engineer):
        kid, ann = done(await client.get("/api/guests"))["items"]
        assert (ann["phone"], ann["of_age"], kid["of_age"]) == ("+•• ••• •• •• 09", True, False)
        assert not {"birth_date", "age_checked_by", "age_checked_at"} & ann.keys()
        for page in ("/guests", "/parts/guests?search=ann", "/check-in/guests?search=ann"):
            text = (await client.get(page)).text
            assert ("Ann" in text, "612" in text) == (True, False), page
