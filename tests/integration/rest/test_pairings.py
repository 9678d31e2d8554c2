"""A new device is let in: it shows a code, an engineer accepts it, it fetches its secret once."""

import asyncio

import httpx

from tapwire_core.db.engine import Database
from tapwire_core.services.devices import add_device
from tapwire_core.services.pairings import CODE_LETTERS, MAX_OPEN_PAIRINGS
from tapwire_core.services.sessions import hash_token
from tests.rest import Rest, done, refusal, with_key
from tests.venue import OPERATOR, Venue

TAP = "bar/taps/left"
THE_BAR = '{"noun":"venue","key":"bar","values":{}}'
"""The venue that the form's page showed."""
HTMX = {"HX-Request": "true"}


async def test_a_device_fetches_its_secret_once_after_an_engineer_accepted_its_code(db: Database, rest: Rest) -> None:
    asked = await begun(rest)
    refusal(await claimed(rest, asked), 409, "pairing_waits")
    done(await accepted(rest, f"{asked['code'][:4]}-{asked['code'][4:]}".lower()))

    given = done(await claimed(rest, asked))

    assert (given["path"], given["username"]) == (TAP, TAP)
    assert [given[key] for key in ("broker_url", "broker_ca", "broker_protocol")] == [None] * 3, "nobody has told this API"
    assert await db.pool.fetchval("SELECT secret_hash FROM devices WHERE path = $1", TAP) == hash_token(given["secret"])
    assert await db.pool.fetchval("SELECT actor FROM audit WHERE action = 'device_added'") == "engineer"
    refusal(await claimed(rest, asked), 404, "not_found")
    refusal(await accepted(rest, asked["code"]), 404, "not_found")


async def test_two_claims_at_once_give_one_secret(db: Database, rest: Rest) -> None:
    asked = await begun(rest)
    done(await accepted(rest, asked["code"]))

    answers = await asyncio.gather(*(claimed(rest, asked) for _ in range(4)))

    assert sorted(answer.status_code for answer in answers) == [200, 404, 404, 404]
    assert await db.pool.fetchval("SELECT count(*) FROM audit WHERE action LIKE 'device_%'") == 1


async def test_a_code_that_has_expired_is_worth_nothing(db: Database, rest: Rest) -> None:
    early, late = await begun(rest), await begun(rest)
    done(await accepted(rest, late["code"]))
    await db.pool.execute("UPDATE device_pairings SET expires_at = now()")

    refusal(await accepted(rest, early["code"]), 404, "not_found")
    refusal(await claimed(rest, late), 404, "not_found")


async def test_only_an_engineer_accepts_and_nobody_claims_with_the_code(rest: Rest) -> None:
    asked = await begun(rest)

    assert set(asked["code"]) <= set(CODE_LETTERS)
    refusal(await accepted(rest, asked["code"], by=rest.shift_lead), 403, "role_required")
    done(await accepted(rest, asked["code"]))
    refusal(await claimed(rest, {"claim": asked["code"]}), 404, "not_found")


async def test_a_device_that_may_speak_is_replaced_only_when_the_engineer_says_so(db: Database, rest: Rest) -> None:
    before = await add_device(db, OPERATOR, TAP)
    asked = await begun(rest)

    refusal(await accepted(rest, asked["code"]), 409, "device_exists")
    done(await accepted(rest, asked["code"], replace=True))
    given = done(await claimed(rest, asked))

    assert given["secret"] != before.secret
    assert await db.pool.fetchval("SELECT secret_hash FROM devices WHERE path = $1", TAP) == hash_token(given["secret"])


async def test_one_code_is_one_device(rest: Rest) -> None:
    asked = await begun(rest)
    done(await accepted(rest, asked["code"]))

    done(await accepted(rest, asked["code"]))
    assert refusal(await accepted(rest, asked["code"], path="bar/taps/right"), 409, "pairing_accepted")["path"] == TAP
    refusal(await accepted(rest, asked["code"], path="no path"), 400, "invalid")


async def test_only_so_many_devices_wait_at_a_time(db: Database, rest: Rest) -> None:
    answers = await asyncio.gather(*(rest.nobody.post("/api/devices/pairings") for _ in range(MAX_OPEN_PAIRINGS + 3)))

    assert sorted(answer.status_code for answer in answers) == [201] * MAX_OPEN_PAIRINGS + [409] * 3
    await db.pool.execute("UPDATE device_pairings SET expires_at = now()")
    await begun(rest)
    assert await db.pool.fetchval("SELECT count(*) FROM device_pairings") == 1


async def test_an_engineer_accepts_a_code_in_the_console(rest: Rest, venue: Venue) -> None:
    asked = await begun(rest)
    form = {"code": asked["code"].lower(), "kind": "taps", "device_id": "left", "key": "k1", "shown": THE_BAR}

    assert "Pair by code" in (await rest.engineer.get("/devices")).text
    assert 'name="code"' in (await rest.engineer.get("/devices/accept", headers=HTMX)).text
    first, again = [await rest.engineer.post("/devices/accept", data=form, headers=HTMX) for _ in range(2)]

    assert "bar/taps/left is paired" in first.text
    assert "bar/taps/left is paired" in again.text
    assert done(await claimed(rest, asked))["path"] == TAP


async def test_the_console_says_what_is_wrong_with_a_code(rest: Rest, venue: Venue) -> None:
    await add_device(venue.db, OPERATOR, TAP)
    asked = await begun(rest)
    form = {"code": asked["code"], "kind": "taps", "device_id": "left", "shown": THE_BAR}

    async def answered(**changes: str) -> str:
        return (await rest.engineer.post("/devices/accept", data={**form, **changes}, headers=HTMX)).text

    assert "tick “Replaces an existing device”" in await answered()
    assert "is paired" in await answered(replace="true")
    assert "already used for another device" in await answered(device_id="right")
    assert "Please check what you entered" in await answered(device_id="")
    assert "This no longer exists" in await answered(code="AAAAAAAA")


async def begun(rest: Rest) -> dict[str, str]:
    """A new device asks."""
    asked: dict[str, str] = done(await rest.nobody.post("/api/devices/pairings"), 201)
    return asked


async def accepted(
    rest: Rest, code: str, path: str = TAP, *, by: httpx.AsyncClient | None = None, replace: bool = False
) -> httpx.Response:
    """A person accepts a code."""
    body = {"code": code, "path": path, "replace": replace}
    return await (by or rest.engineer).post("/api/devices/pairings/accept", json=body, headers=with_key())


async def claimed(rest: Rest, asked: dict[str, str]) -> httpx.Response:
    """The device asks for its secret."""
    return await rest.nobody.post("/api/devices/pairings/claim", json={"claim": asked["claim"]})
