"""Calibrations of meters: measured, typed with a reason, or booked by a code at the tap's node; a measurement corrects once."""

import asyncio
import csv
import io
from typing import Any

import pytest

from tests.rest import Rest, application, done, refusal, with_key
from tests.venue import Venue

TAP = "/api/taps/bar/left"
CALIBRATIONS = f"{TAP}/calibrations"
CODES = f"{TAP}/calibration-codes"
PUBLIC = "/api/public/calibrations"
MEASURED = {"reference_ml": 1000, "metered_ml": 1020, "pulses_per_liter": 450}


@pytest.fixture(autouse=True)
def _no_wrong_codes_yet() -> None:
    application().state.wrong_codes._allowances.clear()


async def factor(rest: Rest) -> int:
    """The tap's pulses per litre."""
    found: int = done(await rest.operator.get(TAP))["pulses_per_liter"]
    return found


async def new_code(rest: Rest) -> str:
    """A new code for the tap."""
    code: str = done(await rest.engineer.post(CODES), 201)["code"]
    return code


async def book(rest: Rest, code: str, **changes: Any) -> Any:
    """Book a measurement by a code."""
    return await rest.nobody.post(PUBLIC, json={"code": code, **MEASURED, **changes})


async def test_a_measurement_sets_the_factor_and_keeps_a_row(rest: Rest, venue: Venue) -> None:
    made = done(await rest.engineer.post(CALIBRATIONS, json={**MEASURED, "note": "a bucket"}), 201)

    assert (made["pulses_per_liter_before"], made["pulses_per_liter_after"], made["error_per_mille"]) == (450, 459, 20)
    assert (made["note"], made["calibrated_by"]) == ("a bucket", "engineer")
    assert await factor(rest) == 459
    assert done(await rest.operator.get(CALIBRATIONS)) == {"items": [made], "next_cursor": None}
    table = csv.DictReader(io.StringIO((await rest.operator.get(CALIBRATIONS, headers={"Accept": "text/csv"})).text))
    assert [(row["reference_ml"], row["pulses_per_liter_after"]) for row in table] == [("1000", "459")]
    assert await venue.audited("tap_calibrated") == 1
    assert await venue.db.pool.fetchval("SELECT count(*) FROM command_outbox WHERE payload IS NULL") > 0
    refusal(await rest.shift_lead.post(CALIBRATIONS, json=MEASURED), 403, "role_required")
    refusal(await rest.operator.get("/api/taps/bar/none/calibrations"), 404, "not_found")


@pytest.mark.parametrize(
    ("reference_ml", "metered_ml", "after", "per_mille"),
    [(1_000, 1_001, 450, 1), (900, 901, 451, 1), (1_000, 990, 446, -10), (100, 100, 450, 0), (100_000, 100, 1, -999)],
)
async def test_the_factor_is_rounded_half_up(
    rest: Rest, venue: Venue, reference_ml: int, metered_ml: int, after: int, per_mille: int
) -> None:
    wanted = {"reference_ml": reference_ml, "metered_ml": metered_ml, "pulses_per_liter": 450}
    if after == 1:
        wanted["pulses_per_liter"] = 1_000
        done(await rest.engineer.patch(TAP, json={"pulses_per_liter": 1_000, "reason": "another meter"}))

    made = done(await rest.engineer.post(CALIBRATIONS, json=wanted), 201)

    assert (made["pulses_per_liter_after"], made["error_per_mille"]) == (after, per_mille)


async def test_bounds(rest: Rest, venue: Venue) -> None:
    for wrong in ({"reference_ml": 99}, {"metered_ml": 99}, {"reference_ml": 100_001}, {"metered_ml": 100_001}):
        refusal(await rest.engineer.post(CALIBRATIONS, json={**MEASURED, **wrong}), 400, "invalid")
    # 450 × 100 / 100,000 rounds to 0
    refusal(await rest.engineer.post(CALIBRATIONS, json={**MEASURED, "reference_ml": 100_000, "metered_ml": 100}), 400, "invalid")
    done(await rest.engineer.patch(TAP, json={"pulses_per_liter": 1_000_000, "reason": "another meter"}))
    refusal(await rest.engineer.post(CALIBRATIONS, json={**MEASURED, "pulses_per_liter": 1_000_000}), 400, "invalid")

    assert await factor(rest) == 1_000_000


async def test_the_same_measurement_twice_corrects_once(rest: Rest, venue: Venue) -> None:
    answers = await asyncio.gather(*(rest.engineer.post(CALIBRATIONS, json=MEASURED) for _ in range(4)))

    assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409]
    (outdated, *_) = [answer for answer in answers if answer.status_code == 409]
    assert refusal(outdated, 409, "calibration_outdated")["pulses_per_liter"] == 459
    assert await factor(rest) == 459
    assert len(done(await rest.operator.get(CALIBRATIONS))["items"]) == 1


async def test_a_repeat_with_its_key_gets_the_first_answer(rest: Rest, venue: Venue) -> None:
    key = with_key()

    first, again = [await rest.engineer.post(CALIBRATIONS, json=MEASURED, headers=key) for _ in range(2)]

    assert done(first, 201) == done(again, 201)


async def test_a_typed_factor_needs_a_reason_and_keeps_a_row_when_it_is_another_one(rest: Rest, venue: Venue) -> None:
    refusal(await rest.engineer.patch(TAP, json={"pulses_per_liter": 460}), 400, "reason_required")
    refusal(await rest.engineer.patch(TAP, json={"pulses_per_liter": 450}), 400, "reason_required")
    assert await factor(rest) == 450

    for _ in range(2):
        done(await rest.engineer.patch(TAP, json={"pulses_per_liter": 441, "reason": "a new meter"}))

    (made,) = done(await rest.operator.get(CALIBRATIONS))["items"]
    assert (made["reference_ml"], made["metered_ml"], made["note"]) == (None, None, "a new meter")
    assert (made["pulses_per_liter_before"], made["pulses_per_liter_after"], made["error_per_mille"]) == (450, 441, -20)
    assert done(await rest.operator.get(TAP))["status_reason"] is None


async def test_a_code_books_one_calibration_as_its_engineer_and_the_same_again_answers_the_same(rest: Rest, venue: Venue) -> None:
    code = await new_code(rest)

    made = done(await book(rest, f"{code[:4]}-{code[4:8]} {code[8:].lower()}"), 201)
    again = done(await book(rest, code), 201)

    assert made == again
    assert (made["calibrated_by"], made["pulses_per_liter_after"], made["tap"]) == ("engineer", 459, "bar/taps/left")
    refusal(await book(rest, code, pulses_per_liter=459), 404, "not_found")
    assert len(done(await rest.operator.get(CALIBRATIONS))["items"]) == 1


async def test_a_refused_measurement_does_not_use_the_code_up(rest: Rest, venue: Venue) -> None:
    code = await new_code(rest)

    refusal(await book(rest, code, pulses_per_liter=500), 409, "calibration_outdated")
    refusal(await book(rest, code, metered_ml=99), 400, "invalid")

    done(await book(rest, code), 201)


async def test_one_code_used_by_many_at_once_books_one_row(rest: Rest, venue: Venue) -> None:
    code = await new_code(rest)

    answers = await asyncio.gather(*(book(rest, code, metered_ml=1010 + number) for number in range(4)))

    assert sorted(answer.status_code for answer in answers) == [201, 404, 404, 404]
    assert len(done(await rest.operator.get(CALIBRATIONS))["items"]) == 1


async def test_of_two_codes_with_one_measurement_one_corrects(rest: Rest, venue: Venue) -> None:
    codes = [await new_code(rest) for _ in range(2)]

    answers = await asyncio.gather(*(book(rest, code) for code in codes))

    assert sorted(answer.status_code for answer in answers) == [201, 409]
    assert await factor(rest) == 459
    (left,) = [code for code, answer in zip(codes, answers, strict=True) if answer.status_code == 409]
    done(await book(rest, left, pulses_per_liter=459, metered_ml=1000), 201)


async def test_a_code_ends_with_its_ten_minutes_and_with_its_engineer(rest: Rest, venue: Venue) -> None:
    code, other = await new_code(rest), await new_code(rest)
    lasts = await venue.db.pool.fetchval("SELECT extract(epoch FROM max(expires_at) - now())::int FROM calibration_codes")
    assert 590 <= lasts <= 600

    await venue.db.pool.execute("UPDATE users SET role = 'operator' WHERE username = 'engineer'")
    refusal(await book(rest, code), 404, "not_found")
    await venue.db.pool.execute("UPDATE users SET role = 'engineer' WHERE username = 'engineer'")
    await venue.db.pool.execute("UPDATE calibration_codes SET expires_at = now()")
    refusal(await book(rest, other), 404, "not_found")

    await new_code(rest)
    assert await venue.db.pool.fetchval("SELECT count(*) FROM calibration_codes") == 1


async def test_no_code_stands_in_the_database_the_audit_log_or_a_kept_answer(rest: Rest, venue: Venue) -> None:
    key = with_key()
    code = done(await rest.engineer.post(CODES, headers=key), 201)["code"]
    assert done(await rest.engineer.post(CODES, headers=key), 201)["code"] == code
    done(await book(rest, code), 201)

    for table in ("audit", "calibration_codes", "idempotent_answers", "webhook_events"):
        assert await venue.db.pool.fetchval(f"SELECT count(*) FROM {table} AS row WHERE row::text LIKE '%' || $1 || '%'", code) == 0


async def test_wrong_codes_are_limited_by_address_and_a_right_one_is_not(rest: Rest, venue: Venue) -> None:
    code = await new_code(rest)
    answers = [await book(rest, "ABCD-EFGH-JKMN") for _ in range(61)]

    assert {answer.status_code for answer in answers[:60]} == {404}
    assert refusal(answers[60], 429, "rate_limited")["retry_after_ms"] > 0
    assert int(answers[60].headers["Retry-After"]) > 0
    done(await book(rest, code), 201)
