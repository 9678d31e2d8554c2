"""The guest's own page: its secret address, what it shows, and what it withholds."""

import asyncio
import logging
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import event

from tapwire_contracts.codec import encode
from tapwire_contracts.messages import MAX_INTEGER, PourAuthorized, PourProgress
from tapwire_core.db.engine import Database
from tapwire_core.domain.actor import Actor
from tapwire_core.domain.retention import DEFAULT_RETENTION
from tapwire_core.errors import NotFound
from tapwire_core.services import guest_pages
from tapwire_core.services.decision_rates import DecisionRates
from tapwire_core.services.restore import begin_after_restore
from tapwire_core.services.retention import delete_expired
from tests.rest import Rest, application, done, live, metrics_page, refusal, with_key
from tests.venue import Guest, SimulatedTap, Venue

STAFF = Actor("ann")


async def whose(db: Database, token: str) -> UUID:
    """The visit of a token."""
    async with db.transaction() as store:
        return (await guest_pages.find_guest(store, token)).visit_id


async def test_each_visit_gets_a_page_whose_token_only_the_seal_tells(db: Database, venue: Venue) -> None:
    ann, bob = await venue.guest(), await venue.guest()

    pages = [await guest_pages.show_page(db, guest.visit_id) for guest in (ann, bob)]

    tokens = [page.token for page in pages]
    assert [len(token) for token in tokens] == [guest_pages.TOKEN_LENGTH] * 2
    assert tokens[0] != tokens[1]
    assert [await whose(db, token) for token in tokens] == [ann.visit_id, bob.visit_id]
    assert await guest_pages.show_page(db, ann.visit_id) == pages[0]
    kept = str([dict(row) for row in await db.pool.fetch("SELECT * FROM guest_pages")])
    assert not any(token in kept for token in tokens)


async def test_a_renewed_page_ends_the_old_address_at_once(db: Database, venue: Venue) -> None:
    ann = await venue.guest()
    before = await guest_pages.show_page(db, ann.visit_id)

    after = await guest_pages.renew_page(db, STAFF, ann.visit_id)

    with pytest.raises(NotFound):
        await whose(db, before.token)
    assert await whose(db, after.token) == ann.visit_id
    assert await venue.audited("guest_page_renewed") == 1


async def test_the_pages_of_an_erased_guest_end_for_good(db: Database, venue: Venue) -> None:
    ann, bob = await venue.guest(), await venue.guest()
    tokens = [(await guest_pages.show_page(db, guest.visit_id)).token for guest in (ann, bob)]

    async with db.transaction() as store:
        await guest_pages.end_pages_of(store, ann.guest_id)

    with pytest.raises(NotFound):
        await whose(db, tokens[0])
    with pytest.raises(guest_pages.GuestPageEnded):
        await guest_pages.show_page(db, ann.visit_id)
    with pytest.raises(guest_pages.GuestPageEnded):
        await guest_pages.renew_page(db, STAFF, ann.visit_id)
    assert await whose(db, tokens[1]) == bob.visit_id


async def test_a_visit_of_before_gets_its_page_when_it_is_asked_for(db: Database, venue: Venue) -> None:
    ann = await venue.guest()
    await db.pool.execute("DELETE FROM guest_pages")

    page = await guest_pages.show_page(db, ann.visit_id)

    assert await whose(db, page.token) == ann.visit_id
    assert await guest_pages.show_page(db, ann.visit_id) == page


async def url_of(rest: Rest, guest: Guest) -> str:
    """The address of a guest's page, as staff get it."""
    url: str = done(await rest.operator.get(f"/api/visits/{guest.visit_id}/guest-page"))["url"]
    return url


def token_in(url: str) -> str:
    """The token of an address."""
    return url.rpartition("/")[2]


def progress(tap: SimulatedTap, pour: PourAuthorized, volume_ml: int) -> tuple[str, bytes]:
    """A tap's message that so much has flowed of a pour."""
    return tap.path.topic("pour/progress"), encode(PourProgress(pour_id=pour.pour_id, volume_ml=volume_ml, elapsed_ms=1_000))


async def read(rest: Rest, token: str) -> dict[str, Any]:
    """What the page shows to somebody without a login."""
    shown: dict[str, Any] = done(await rest.nobody.get(f"/api/public/g/{token}"))
    return shown


async def gone(rest: Rest, token: str) -> dict[str, Any]:
    """The answer for a token that opens nothing, without what differs between any two answers."""
    answer = refusal(await rest.nobody.get(f"/api/public/g/{token}"), 404, "not_found")
    del answer["request_id"]
    return answer


async def test_a_page_shows_its_guest_the_balance_and_the_pours_and_no_id(rest: Rest, venue: Venue) -> None:
    ann = await venue.guest(balance_minor=50_00)
    await venue.report(await venue.grant(ann), volume_ml=400)
    url = await url_of(rest, ann)

    page = await read(rest, token_in(url))

    assert url.startswith("http://tapwire/g/")
    (pour,) = page["pours"]
    assert page["first_name"] == "Ann"
    assert (page["venue"], page["status"], page["expires_at"]) == ("The Bar", "active", None)
    assert page["balance_minor"] == page["remaining_minor"] == 50_00 - pour["amount_minor"]
    assert (pour["beverage"], pour["volume_ml"]) == ("Pils", 400)
    assert (page["pour"], page["allowance"], page["hindrance"], page["receipt"]) == (None, None, None, None)
    text = str(page)
    assert not any(secret in text for secret in (ann.card_uid, ann.card_uid[-4:], str(ann.guest_id), str(ann.visit_id)))


async def test_a_pour_shows_what_flows_and_what_it_costs(rest: Rest, venue: Venue) -> None:
    limit = {"measure": "volume", "limit_ml": 900}
    done(await rest.engineer.patch("/api/venues/bar", json={"serving_limit": limit}))
    ann = await venue.guest(balance_minor=500_00)
    token = token_in(await url_of(rest, ann))
    pour = await venue.grant(ann)
    before = await read(rest, token)

    live().receive(*progress(venue.tap, pour, 200))

    during = await read(rest, token)
    price_minor = during["pour"]["sell_price_per_liter_minor"]
    assert (before["pour"]["volume_ml"], before["remaining_minor"], before["allowance"]["left"]) == (0, 500_00, 900)
    assert (during["pour"]["volume_ml"], during["pour"]["flowing"]) == (200, True)
    assert during["pour"]["amount_minor"] == price_minor // 5
    assert during["balance_minor"] == 500_00
    assert during["remaining_minor"] == 500_00 - price_minor // 5
    assert (during["allowance"]["used"], during["allowance"]["left"]) == (200, 700)
    await venue.report(pour, volume_ml=300)
    after = await read(rest, token)
    assert after["pour"] is None
    assert (after["pours"][0]["volume_ml"], after["allowance"]["left"]) == (300, 600)


async def test_the_page_of_a_closed_visit_has_its_receipt_and_ends_a_day_later(rest: Rest, venue: Venue, db: Database) -> None:
    ann = await venue.guest(balance_minor=50_00)
    await venue.report(await venue.grant(ann), volume_ml=400)
    token = token_in(await url_of(rest, ann))
    done(await rest.operator.post(f"/api/visits/{ann.visit_id}/close", json={}))

    page = await read(rest, token)

    whole = done(await rest.operator.get(f"/api/visits/{ann.visit_id}/receipt"))
    assert page["receipt"] == {name: whole[name] for name in page["receipt"]}
    assert page["receipt"]["balance_minor"] == page["balance_minor"]
    assert [pour["amount_minor"] for pour in page["pours"]] == [pour["amount_minor"] for pour in whole["pours"]]
    ends_at = datetime.fromisoformat(page["closed_at"]) + timedelta(hours=24)
    assert datetime.fromisoformat(page["expires_at"]) == ends_at
    await db.pool.execute("UPDATE visits SET closed_at = closed_at - interval '24 hours'")
    assert await gone(rest, token) == await gone(rest, "x" * len(token))
    refusal(await rest.operator.get(f"/api/visits/{ann.visit_id}/guest-page"), 409, "guest_page_ended")
    refusal(await rest.operator.post(f"/api/visits/{ann.visit_id}/guest-page"), 409, "guest_page_ended")


async def test_renewing_ends_the_old_address_and_leaves_no_token_behind(rest: Rest, venue: Venue, db: Database) -> None:
    ann = await venue.guest()
    old = token_in(await url_of(rest, ann))
    key = with_key()

    renewed = done(await rest.operator.post(f"/api/visits/{ann.visit_id}/guest-page", headers=key))

    new = token_in(renewed["url"])
    assert await gone(rest, old) == await gone(rest, "x" * len(old))
    assert (await read(rest, new))["first_name"] == "Ann"
    assert done(await rest.operator.post(f"/api/visits/{ann.visit_id}/guest-page", headers=key)) == renewed
    assert token_in(await url_of(rest, ann)) == new
    tables = [row["tablename"] for row in await db.pool.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")]
    for table in tables:
        rows = str([dict(row) for row in await db.pool.fetch(f"SELECT * FROM {table}")])
        assert old not in rows, table
        assert new not in rows, table


async def test_unknown_malformed_and_ended_tokens_look_alike(rest: Rest, venue: Venue, db: Database) -> None:
    ann = await venue.guest()
    async with db.transaction() as store:
        token = (await guest_pages.show_page(db, ann.visit_id)).token
        await guest_pages.end_pages_of(store, ann.guest_id)

    answers = [await gone(rest, wrong) for wrong in (token, "x" * len(token), "x", "%C3%A9" * 32, "y" * 2_000)]

    assert answers == [answers[0]] * len(answers)


@pytest.mark.parametrize(
    "path",
    [
        "/api/public/g/{}",
        "/g/{}",
        "/g/{}/now",
        "/g/{}/app.webmanifest",
        "/g/{}/nothing",
        "/G/{}",
        "/g//{}",
        "http://tapwire//g/{}",
        "/api//public//g//{}",
    ],
)
async def test_no_answer_lets_the_address_go_elsewhere(rest: Rest, venue: Venue, path: str) -> None:
    token = token_in(await url_of(rest, await venue.guest()))

    answers = [await rest.nobody.get(path.format(one)) for one in (token, "x" * len(token))]

    for answer in answers:
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["x-robots-tag"] == "noindex, nofollow"
        assert "set-cookie" not in answer.headers
        assert "etag" not in answer.headers


async def test_no_log_has_a_token(rest: Rest, venue: Venue, caplog: pytest.LogCaptureFixture, monkeypatch: Any) -> None:
    token = token_in(await url_of(rest, await venue.guest()))
    paths = ("/api/public/g/{}", "/g/{}", "/G/{}", "/g/{}/nothing", "http://tapwire//g/{}/", "/api/public/g/{}/top-ups", "/g//{}")

    with caplog.at_level(logging.DEBUG):
        for path in paths:
            await rest.nobody.get(path.format(token))
        monkeypatch.setattr("tapwire_admin.guest_pages.read_pages", None)
        assert (await rest.nobody.get(f"/api/public/g/{token}")).status_code == 500

    logged = "\n".join(f"{record.getMessage()} {record.exc_text}" for record in caplog.records if record.name != "httpx")
    assert "/api/public/g/- failed" in logged
    assert token not in logged
    assert token not in metrics_page()


async def test_a_page_is_limited_by_its_token_and_no_other_page_with_it(rest: Rest, venue: Venue) -> None:
    ann, bob = await venue.guest(), await venue.guest()
    tokens = [token_in(await url_of(rest, guest)) for guest in (ann, bob)]
    application().state.guest_pages.looks = DecisionRates(60, 3)

    answers = [await rest.nobody.get(f"/api/public/g/{tokens[0]}") for _ in range(4)]

    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert 0 < int(answers[3].headers["retry-after"]) <= 60
    refusal(answers[3], 429, "rate_limited")
    await read(rest, tokens[1])


async def test_guesses_are_limited_by_address_and_keep_no_guest_out(rest: Rest, venue: Venue) -> None:
    token = token_in(await url_of(rest, await venue.guest()))
    application().state.guest_pages.wrong_tokens = DecisionRates(60, 3)

    answers = [await rest.nobody.get(f"/api/public/g/{guess:032}") for guess in range(5)]

    assert [answer.status_code for answer in answers] == [404, 404, 404, 429, 429]
    refusal(answers[4], 429, "rate_limited")
    await read(rest, token)


@pytest.mark.parametrize(
    ("what_happened", "hindrance"),
    [
        ("UPDATE guests SET blocked = true", "guest_blocked"),
        ("UPDATE visits SET card_uid = NULL", "no_card"),
        ("UPDATE cards SET status = 'lost'", "card_not_working"),
        ("UPDATE cards SET status = 'retired', guest_id = NULL", "no_card"),
        ("UPDATE visits SET valid_until = now()", "visit_expired"),
    ],
)
async def test_a_page_says_why_no_tap_opens(rest: Rest, venue: Venue, db: Database, what_happened: str, hindrance: str) -> None:
    token = token_in(await url_of(rest, await venue.guest(balance_minor=10_00)))

    await db.pool.execute(what_happened)

    page = await read(rest, token)
    assert (page["hindrance"], page["balance_minor"]) == (hindrance, 10_00)


async def test_staff_of_another_venue_do_not_get_the_address(rest: Rest, venue: Venue, db: Database) -> None:
    ann = await venue.guest()
    await Venue.open(db, "pub")
    await db.pool.execute("UPDATE users SET venues = '{pub}' WHERE username = 'operator'")

    refusal(await rest.operator.get(f"/api/visits/{ann.visit_id}/guest-page"), 404, "not_found")
    refusal(await rest.operator.post(f"/api/visits/{ann.visit_id}/guest-page"), 404, "not_found")
    assert (await rest.nobody.get(f"/api/visits/{ann.visit_id}/guest-page")).status_code == 401


async def test_a_public_address_of_the_settings_stands_in_each_url(rest: Rest, venue: Venue, monkeypatch: Any) -> None:
    monkeypatch.setattr(application().state, "public_url", "https://taps.example")

    assert (await url_of(rest, await venue.guest())).startswith("https://taps.example/g/")


async def test_a_page_sealed_with_another_key_gets_a_new_address(rest: Rest, venue: Venue, db: Database) -> None:
    ann = await venue.guest()
    keyed = replace(db, policy=replace(db.policy, guest_page_key="k" * 32))
    before = await guest_pages.show_page(db, ann.visit_id)

    after = await guest_pages.show_page(keyed, ann.visit_id)

    assert after.token != before.token
    assert await guest_pages.show_page(keyed, ann.visit_id) == after
    await gone(rest, before.token)
    await read(rest, after.token)
    assert "k" * 32 not in repr(keyed.policy)


async def test_a_venue_called_g_keeps_its_tap_list(rest: Rest, db: Database) -> None:
    await Venue.open(db, "g")
    done(await rest.engineer.patch("/api/venues/g", json={"public_menu": True}))

    answer = await rest.nobody.get("/api/public/g/tap-list")

    assert done(answer)["name"] == "The Bar"
    assert answer.headers["cache-control"].startswith("public")


async def test_the_page_is_made_of_our_own_files_and_holds_no_id(rest: Rest, venue: Venue) -> None:
    ann = await venue.guest(balance_minor=50_00)
    url = await url_of(rest, ann)

    page, german = [await rest.nobody.get(url, headers={"Accept-Language": language}) for language in ("ru", "de")]

    assert 'lang="ru"' in page.text
    assert 'lang="en"' in german.text
    sources = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert sources
    assert all(source.startswith("/") and not source.startswith("//") for source in sources)
    assert "default-src 'self'" in page.headers["content-security-policy"]
    assert "noindex" in page.text
    assert not any(secret in page.text for secret in (ann.card_uid, ann.card_uid[-4:], str(ann.guest_id), str(ann.visit_id)))


async def test_the_app_starts_with_the_page_and_is_one_for_all_visits(rest: Rest, venue: Venue) -> None:
    urls = [await url_of(rest, await venue.guest()) for _ in range(2)]

    manifests = [done(await rest.nobody.get(f"{url}/app.webmanifest")) for url in urls]

    assert [f"http://tapwire{manifest['start_url']}" for manifest in manifests] == urls
    assert len({manifest["id"] for manifest in manifests}) == 1
    for icon in manifests[0]["icons"]:
        assert (await rest.nobody.get(icon["src"])).headers["content-type"] == "image/png"


async def test_pages_of_addresses_that_opened_nothing_say_it_in_plain_words(rest: Rest, venue: Venue) -> None:
    url = await url_of(rest, await venue.guest())
    token = token_in(url)

    ended = await rest.nobody.get(url.replace(token, "x" * len(token)))
    application().state.guest_pages.looks = DecisionRates(60, 0)
    busy = await rest.nobody.get(url)

    assert (ended.status_code, busy.status_code) == (404, 429)
    assert "This page has ended" in ended.text
    assert "<script" not in ended.text
    assert "One moment, please" in busy.text


async def test_an_unreadable_number_of_a_device_breaks_no_page(rest: Rest, venue: Venue) -> None:
    ann = await venue.guest(balance_minor=500_00)
    token = token_in(await url_of(rest, ann))
    pour = await venue.grant(ann)

    live().receive(*progress(venue.tap, pour, MAX_INTEGER))

    page = await read(rest, token)
    assert page["pour"]["volume_ml"] == page["pour"]["max_volume_ml"]
    assert page["remaining_minor"] >= 0


async def test_a_crowd_of_telephones_costs_a_few_queries(rest: Rest, venue: Venue, db: Database) -> None:
    tokens = [token_in(await url_of(rest, await venue.guest())) for _ in range(10)]
    asked: list[str] = []
    event.listen(db.engine.sync_engine, "before_cursor_execute", lambda *said: asked.append(said[2]))

    answers = await asyncio.gather(*(rest.nobody.get(f"/api/public/g/{token}") for token in tokens * 5))

    assert {answer.status_code for answer in answers} == {200}
    assert sum("guest_pages" in statement for statement in asked) <= 5


async def test_a_query_that_fails_fails_only_for_those_who_waited_for_it(
    rest: Rest, venue: Venue, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = token_in(await url_of(rest, await venue.guest()))
    with monkeypatch.context() as broken:
        broken.setattr("tapwire_admin.guest_pages.read_pages", None)
        failed = await asyncio.gather(*(rest.nobody.get(f"/api/public/g/{token}") for _ in range(3)))

    assert {answer.status_code for answer in failed} == {500}
    await read(rest, token)


async def test_a_restored_backup_revives_no_address_that_was_renewed_after_it(db: Database, venue: Venue) -> None:
    ann = await venue.guest()
    before = await guest_pages.show_page(db, ann.visit_id)

    await begin_after_restore(db, STAFF, datetime.now(UTC))

    with pytest.raises(NotFound):
        await whose(db, before.token)
    assert await whose(db, (await guest_pages.show_page(db, ann.visit_id)).token) == ann.visit_id


async def test_nothing_is_kept_of_pages_that_ended(rest: Rest, db: Database, venue: Venue) -> None:
    ann, bob = await venue.guest(), await venue.guest()
    done(await rest.operator.post(f"/api/visits/{ann.visit_id}/close", json={}))

    assert (await delete_expired(db, DEFAULT_RETENTION))["guest_pages"] == 0
    await db.pool.execute("UPDATE visits SET closed_at = closed_at - interval '3 days' WHERE visit_id = $1", ann.visit_id)
    assert (await delete_expired(db, DEFAULT_RETENTION))["guest_pages"] == 1

    refusal(await rest.operator.get(f"/api/visits/{ann.visit_id}/guest-page"), 409, "guest_page_ended")
    assert await db.pool.fetchval("SELECT visit_id FROM guest_pages") == bob.visit_id
