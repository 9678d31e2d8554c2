"""Every list of the console and of the REST API has all its rows, page by page, and says how many follow."""

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from html import unescape
from inspect import signature
from typing import Final
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

import pytest
from litestar.routes import HTTPRoute

from tapwire_admin.requests.parameters import CONSOLE_LIMIT
from tapwire_core.db.engine import Database
from tapwire_core.db.views.queries import COUNTED_UP_TO
from tapwire_core.domain.policy import Policy
from tapwire_demo.postgres import EmbeddedPostgres
from tests.rest import Rest, application, done
from tests.venue import Venue

pytestmark = pytest.mark.lasts

ROWS: Final = 1_000
GUEST, VISIT, WEBHOOK, SHIFT = (UUID(int=number << 64 | 1) for number in (1, 2, 3, 8))
CARD_UID: Final = "0400000000000b"
UUIDS: Final = "([0-9a-f-]{36})"

_IDS: Final = {
    noun: f"(lpad('{number}', 16, '0') || lpad(to_hex(n), 16, '0'))::uuid"
    for number, noun in enumerate(("guest", "visit", "webhook", "keg", "beverage", "pour", "incident", "shift", "event"), start=1)
}
_MANY: Final = f"FROM generate_series(1, {ROWS}) n"
_FILL: Final = (
    "DELETE FROM audit",
    """INSERT INTO venues (venue_id, name, time_zone) SELECT 'v' || n, 'Café ' || n, 'UTC' {many}""",
    "INSERT INTO guests (guest_id, first_name, balance_minor) SELECT {guest}, 'Ann' || n, n {many}",
    "INSERT INTO cards (card_uid, status, guest_id) SELECT '04' || lpad(to_hex(n * 11), 12, '0'), 'bound', {guest} {many}",
    "INSERT INTO beverages (beverage_id, name, sell_price_per_liter_minor) SELECT {beverage}, 'Ale' || n, 900 {many}",
    """INSERT INTO beverages (beverage_id, name, sell_price_per_liter_minor, archived_at)
       SELECT gen_random_uuid(), 'Old' || n, 900, now() {many}""",
    """INSERT INTO kegs (keg_id, venue_id, beverage_id, initial_volume_ml, book_volume_ml)
       SELECT {keg}, 'bar', {beverage}, 50000, 50000 {many}""",
    """INSERT INTO kegs (keg_id, venue_id, beverage_id, initial_volume_ml, book_volume_ml, status)
       SELECT gen_random_uuid(), 'bar', {beverage}, 50000, 50000, 'retired' {many}""",
    """INSERT INTO price_rules (price_rule_id, venue_id, name, weekdays, from_time, to_time, percent_off)
       SELECT gen_random_uuid(), 'bar', 'Rule' || n, '{{1}}', '17:00', '18:00', 20 {many}""",
    "INSERT INTO taps (tap_path, venue_id, tap_id, name) SELECT 'bar/taps/t' || n, 'bar', 't' || n, 'Ann' || n {many}",
    """INSERT INTO tap_cleanings (tap_path, venue_id, kind, cleaned_by, note)
       SELECT 'bar/taps/t1', 'bar', 'rinse', 'test', 'cleaned ' || n {many}""",
    """INSERT INTO calibrations (tap_path, venue_id, pulses_per_liter_before, pulses_per_liter_after, error_per_mille, note,
           calibrated_by)
       SELECT 'bar/taps/t1', 'bar', 450, 450, 0, 'calibrated ' || n, 'test' {many}""",
    """INSERT INTO devices (path, kind, secret_hash, broker_hash)
       SELECT 'bar/readers/desk-' || n, 'readers', decode(to_hex(n + 4096), 'hex'), '' {many}""",
    """INSERT INTO visits (visit_id, venue_id, guest_id, card_uid, opened_by, opened_at, lock_set_at)
       SELECT {visit}, 'bar', {guest}, '04' || lpad(to_hex(n * 11), 12, '0'), 'test', now() - make_interval(mins => n),
           CASE WHEN n > 900 THEN now() END {many}""",
    """INSERT INTO visits (visit_id, venue_id, guest_id, status, opened_by, closed_at, closed_by)
       SELECT gen_random_uuid(), 'bar', {guest}, 'closed', 'test', now(), 'test' {many}""",
    """INSERT INTO payments (payment_id, provider, guest_id, visit_id, venue_id, amount_minor)
       SELECT gen_random_uuid(), 'stripe', {guest}, {visit}, 'bar', n {many}""",
    """INSERT INTO pours (pour_id, visit_id, guest_id, card_uid, venue_id, tap_path, keg_id, beverage_id, sync_status, request_id,
           sell_price_per_liter_minor, max_volume_ml, hold_minor, amount_minor, settled_at)
       SELECT {pour}, '{VISIT}', '{GUEST}', '{CARD_UID}', 'bar', 'bar/taps/t1', {keg}, {beverage}, 'synced', {event}, 900, 400, 360,
           n, now() {many}""",
    """INSERT INTO incidents (incident_id, kind, cause, venue_id) SELECT {incident}, 'keg_overdrawn', n::text, 'bar' {many}""",
    """INSERT INTO incidents (incident_id, kind, cause, venue_id, status, resolution, resolved_at, comment)
       SELECT gen_random_uuid(), 'keg_overdrawn', n::text, 'bar', 'resolved', 'no_action', now(), 'ended ' || n {many}""",
    """INSERT INTO money_movements (debit_account, credit_account, amount_minor, guest_id, reason, actor)
       SELECT 'adjustment', 'guest', 1, '{GUEST}', 'reason ' || n, 'test' {many}""",
    """INSERT INTO money_movements (debit_account, credit_account, amount_minor, venue_id, shift_id, actor)
       SELECT 'cash', 'pay_in', 1, 'bar', '{SHIFT}', 'test' {many}""",
    """INSERT INTO audit (action, actor, subjects) SELECT 'guest_changed', 'entry ' || n, ARRAY['{CARD_UID}'] {many}""",
    """INSERT INTO audit (action, actor, subjects) SELECT 'guest_changed', 'note ' || n, ARRAY['{GUEST}'] {many} WHERE n <= 20""",
    """INSERT INTO shifts (shift_id, venue_id, status, opened_by, closed_at) SELECT {shift}, 'bar', 'closed', 'a', now() {many}""",
    "INSERT INTO users (username, role, password_hash) SELECT 'user' || n, 'operator', '' {many}",
    """INSERT INTO webhooks (webhook_id, url, event_types, enabled, active_since, secret, created_by)
       SELECT {webhook}, 'https://example.org/' || n, '{{}}', true, now(), '', 'test' {many}""",
    """INSERT INTO webhook_events (event_id, event_type, occurred_at, payload) VALUES ('{GUEST}', 'ping', now(), '{{}}')""",
    """INSERT INTO webhook_deliveries (delivery_id, webhook_id, event_id, status)
       SELECT gen_random_uuid(), '{WEBHOOK}', '{GUEST}', 'failed' {many}""",
    """INSERT INTO search_entries (noun, id, words) SELECT 'guest', {guest}, array_to_tsvector(ARRAY['ann', 'ann' || n]) {many}""",
    """INSERT INTO search_entries (noun, id, words) SELECT 'tap', 'bar/taps/t' || n, array_to_tsvector(ARRAY['ann']) {many}""",
    """INSERT INTO search_entries (noun, id, words)
       SELECT 'beverage', {beverage}, array_to_tsvector(ARRAY['ale', 'ale' || n]) {many}""",
)


_OF_CARD: Final = f"audit WHERE '{CARD_UID}' = ANY(subjects)"


@dataclass(frozen=True)
class Listed:
    """A list of the console: its page, the pattern of a row's key, and its rows in the database.

    `cursor`: the name of its cursor in a link; `within`: the pattern of its part of the page.
    `is_variant`: it is another list with a filter, so that two pages tell enough.
    """

    path: str
    key: str
    rows: str
    cursor: str = "cursor"
    within: str = "(.*)"
    is_variant: bool = False


LISTS: Final = (
    Listed("/", 'data-tap="([^"]+)"', "taps"),
    Listed("/all-venues", 'id="venue-([^"]+)"', "venues"),
    Listed("/attention", 'id="incident-([^"]+)"', "incidents WHERE status = 'open'"),
    Listed("/attention/resolved", ">(ended [0-9]+)<", "incidents WHERE status = 'resolved'"),
    Listed("/audit", 'class="hide-narrow small">([^<]+)</td>', "audit"),
    Listed(f"/audit?action=guest_changed&subject={CARD_UID}&since=2020-01-01", ">(entry [0-9]+)<", _OF_CARD, is_variant=True),
    Listed(f"/cards?card_uid={CARD_UID}", ">(entry [0-9]+)<", _OF_CARD),
    Listed("/devices", r'/devices/rotate\?path=([^"]+)"', "devices"),
    Listed("/guests", f'href="/guests/{UUIDS}"', "guests"),
    Listed("/guests?search=ann", f'href="/guests/{UUIDS}"', "guests WHERE first_name LIKE 'Ann_%'", is_variant=True),
    Listed("/payments", f'href="/guests/{UUIDS}"', "payments"),
    Listed("/payments?status=pending", f'href="/guests/{UUIDS}"', "payments", is_variant=True),
    Listed(f"/guests/{GUEST}", "<li>(.*?)</li>", f"generate_series(1, {ROWS} + 20 + 3)"),
    Listed("/search?q=ann&of=guests", f'href="/guests/{UUIDS}"', "guests WHERE first_name LIKE 'Ann_%'"),
    Listed("/search?q=ann&of=visits", f'href="/visits/{UUIDS}"', "visits WHERE status = 'active'"),
    Listed("/search?q=ann&of=taps", r'href="/\?tap=([^"]+)"', "taps WHERE name LIKE 'Ann%'"),
    Listed(
        "/search?q=ale&of=kegs", r'href="/stock\?keg=([^"]+)"', "kegs JOIN beverages USING (beverage_id) WHERE name LIKE 'Ale%'"
    ),
    Listed("/search?q=0400&of=cards", r'href="/cards\?card_uid=([^"]+)"', "cards WHERE card_uid LIKE '0400%'"),
    Listed("/shift", f'href="/shift/{UUIDS}">[XZ]<', "shifts"),
    Listed("/stock", 'hx-get="/stock/kegs/([^"]+)"', "kegs WHERE status = 'in_stock'"),
    Listed("/stock?retired=true", 'hx-get="/stock/kegs/([^"]+)"', "kegs WHERE status = 'retired'", is_variant=True),
    Listed("/stock", 'hx-get="/stock/beverages/([^"]+)"', "beverages WHERE archived_at IS NULL", "beverages", "(.*)<details"),
    Listed("/stock", 'hx-get="/stock/beverages/([^"]+)"', "beverages WHERE archived_at IS NOT NULL", "archived", "<details(.*)"),
    Listed("/taps/bar/t1", 'data-cleaning="([^"]+)"', "tap_cleanings"),
    Listed("/taps/bar/t1", 'data-calibration="([^"]+)"', "calibrations", "calibrated"),
    Listed("/users", 'hx-get="/users/(?!new")([^"]+)"', "users"),
    Listed("/visits", f'href="/visits/{UUIDS}"', "visits WHERE status = 'active'"),
    Listed("/visits?status=closed", f'href="/visits/{UUIDS}"', "visits WHERE status = 'closed'", is_variant=True),
    Listed(f"/visits/{VISIT}", r'<td class="number">\s+([^<]*[0-9][^<]*?)\s+</td>', f"pours WHERE visit_id = '{VISIT}'"),
    Listed("/webhooks", f'href="/webhooks/{UUIDS}/deliveries"', "webhooks"),
    Listed(f"/webhooks/{WEBHOOK}/deliveries", f'/deliveries/{UUIDS}"', "webhook_deliveries"),
    Listed(f"/webhooks/{WEBHOOK}/deliveries?status=failed", f'/deliveries/{UUIDS}"', "webhook_deliveries", is_variant=True),
)
PARTS: Final = {
    "/parts/all-venues": "/all-venues",
    "/parts/attention": "/attention",
    "/parts/guests": "/guests",
    "/parts/visits": "/visits",
    f"/guests/{GUEST}/body": f"/guests/{GUEST}",
    f"/visits/{VISIT}/body": f"/visits/{VISIT}",
}
"""Parts that load themselves again, and the page of each; both have the same rows and the same next page."""
REST: Final = (
    ("/api/audit", "audit_id", "audit"),
    ("/api/beverages", "beverage_id", "beverages WHERE archived_at IS NULL"),
    ("/api/beverages?archived=true", "beverage_id", "beverages WHERE archived_at IS NOT NULL"),
    ("/api/devices", "path", "devices"),
    ("/api/guests", "guest_id", "guests"),
    ("/api/guests?search=ann", "guest_id", "guests WHERE first_name LIKE 'Ann_%'"),
    (f"/api/guests/{GUEST}/ledger", "movement_id", f"money_movements WHERE guest_id = '{GUEST}'"),
    ("/api/payments", "payment_id", "payments"),
    ("/api/payments?status=pending", "payment_id", "payments"),
    ("/api/incidents", "incident_id", "incidents"),
    ("/api/incidents?status=resolved", "incident_id", "incidents WHERE status = 'resolved'"),
    ("/api/kegs?status=retired", "keg_id", "kegs WHERE status = 'retired'"),
    ("/api/pours", "pour_id", "pours"),
    ("/api/price-rules", "price_rule_id", "price_rules"),
    (f"/api/shifts/{SHIFT}/cash", "movement_id", f"money_movements WHERE shift_id = '{SHIFT}'"),
    ("/api/taps", "tap", "taps"),
    ("/api/taps/bar/t1/cleanings", "cleaning_id", "tap_cleanings"),
    ("/api/taps/bar/t1/calibrations", "calibration_id", "calibrations"),
    ("/api/users", "username", "users"),
    ("/api/venues", "venue_id", "venues"),
    ("/api/visits?stuck=true", "visit_id", "visits WHERE lock_set_at IS NOT NULL"),
    ("/api/visits", "visit_id", "visits"),
    ("/api/webhooks", "webhook_id", "webhooks"),
    (f"/api/webhooks/{WEBHOOK}/deliveries", "delivery_id", "webhook_deliveries"),
)


CHOICES: Final = (
    (
        "/attention/{incident}/resolve",
        "/attention/{incident}/visits",
        "visit_id",
        "Ann777",
        f"{2:016}{777:016x}",
        "visits WHERE status = 'active'",
    ),
    ("/taps/bar/t1/actions", "/taps/bar/t1/kegs", "keg_id", "ale777", f"{4:016}{777:016x}", f"generate_series(1, {ROWS})"),
    (
        "/stock/new-keg",
        "/stock/new-keg/beverages",
        "beverage_id",
        "Ale777",
        f"{5:016}{777:016x}",
        "beverages WHERE archived_at IS NULL",
    ),
    ("/check-in", "/check-in/readers", "reader", "desk-777", "bar/readers/desk-777", "devices"),
    ("/cards", "/check-in/readers", "reader", "777 Desk", "bar/readers/desk-777", "devices"),
    (f"/visits/{VISIT}/card", "/check-in/readers", "reader", "desk-777", "bar/readers/desk-777", "devices"),
    ("/venues", "/parts/venues", "venue_id", "cafe 777", "v777", "venues"),
)
"""A page with a choice, the path that searches it, its field, a search, the value that it finds, and all that may be chosen."""


@dataclass(frozen=True)
class Crowded:
    """The API, and a database with a thousand rows in each list."""

    rest: Rest
    db: Database

    async def see(self, path: str) -> str:
        """A page of the console, as an engineer sees it."""
        page = await self.rest.engineer.get(path, headers={"Cookie": "tapwire_venue=bar"})
        assert page.status_code == 200, (path, page.text)
        return page.text

    async def count(self, rows: str) -> int:
        """The number of rows in the database."""
        return int(await self.db.pool.fetchval(f"SELECT count(*) FROM {rows}"))


@pytest.fixture(scope="module")
async def crowded(postgres: EmbeddedPostgres, migrated_database: str) -> AsyncIterator[Crowded]:
    """The API on a crowded database."""
    url = await postgres.clone_database(migrated_database, "crowded_lists")
    async with Database.open(url, Policy()) as db:
        await Venue.open(db)
        async with db.transaction() as store:
            await store.connection.execute("SET LOCAL session_replication_role = replica")
            for statement in _FILL:
                named = statement.format(
                    **_IDS, many=_MANY, GUEST=GUEST, VISIT=VISIT, WEBHOOK=WEBHOOK, SHIFT=SHIFT, CARD_UID=CARD_UID
                )
                await store.connection.execute(named)
        await db.pool.execute("ANALYZE")
        async with Rest.open(db) as rest:
            yield Crowded(rest, db)
    await postgres.drop_database("crowded_lists")


def rows_of(listed: Listed, page: str) -> list[str]:
    """The keys of a page's rows, each once."""
    part = re.search(listed.within, page, re.DOTALL)
    return list(dict.fromkeys(re.findall(listed.key, part[1], re.DOTALL))) if part else []


def next_of(listed: Listed, page: str) -> tuple[str, str | None]:
    """The number of further rows as the page says it, and the link to them."""
    said = rf'… and ([0-9]+[+]?) more\s*<a class="button" href="([^"]*[?&;]{listed.cursor}=[^"]*)"'
    found = re.findall(said, page)
    assert len(found) < 2
    return (found[0][0], unescape(found[0][1])) if found else ("0", None)


def filters_of(path: str, cursor: str = "") -> set[tuple[str, str]]:
    """The names and values of a path's query, but its cursor."""
    return {(name, value) for name, values in parse_qs(urlsplit(path).query).items() for value in values if name != cursor}


@pytest.mark.parametrize("listed", LISTS, ids=[f"{listed.path}:{listed.cursor}" for listed in LISTS])
async def test_every_list_has_all_its_rows_and_says_how_many_follow(crowded: Crowded, listed: Listed) -> None:
    count = await crowded.count(listed.rows)
    assert count >= ROWS
    found: list[str] = []
    path: str | None = listed.path
    pages = 0
    while path is not None and not (listed.is_variant and pages == 2):
        page = await crowded.see(path)
        found += rows_of(listed, page)
        pages += 1
        left, path = next_of(listed, page)
        assert left == str(count - len(found)) if count - len(found) <= COUNTED_UP_TO else left == f"{COUNTED_UP_TO}+"
        assert path is None or filters_of(path, listed.cursor) >= filters_of(listed.path)

    assert len(found) == len(set(found)) == (2 * CONSOLE_LIMIT if listed.is_variant else count)


@pytest.mark.parametrize(("path", "key", "rows"), REST, ids=[path for path, _, _ in REST])
async def test_every_list_of_the_api_has_all_its_rows(crowded: Crowded, path: str, key: str, rows: str) -> None:
    found: list[object] = []
    page: dict[str, str] | None = {}
    while page is not None:
        answer = done(await crowded.rest.engineer.get(path, params={**dict(filters_of(path)), "limit": "200", **page}))
        found += [item[key] for item in answer["items"]]
        page = {"cursor": answer["next_cursor"]} if answer["next_cursor"] else None

    assert len(found) == len(set(found)) == await crowded.count(rows)


@pytest.mark.parametrize("part", PARTS)
async def test_a_part_that_loads_itself_again_stays_on_its_page(crowded: Crowded, part: str) -> None:
    (listed,) = [listed for listed in LISTS if listed.path == PARTS[part]]
    _, second = next_of(listed, await crowded.see(listed.path))
    assert second is not None
    cursor = urlsplit(second).query

    page, itself = await crowded.see(second), await crowded.see(f"{part}?{cursor}")

    assert rows_of(listed, page) == rows_of(listed, itself)
    assert next_of(listed, page) == next_of(listed, itself)


@pytest.mark.parametrize(("page", "at", "field", "typed", "value", "rows"), CHOICES, ids=[page for page, *_ in CHOICES])
async def test_a_choice_among_many_is_a_search(
    crowded: Crowded, page: str, at: str, field: str, typed: str, value: str, rows: str
) -> None:
    incident = await crowded.db.pool.fetchval("SELECT incident_id FROM incidents WHERE status = 'open' LIMIT 1")
    at, value = at.format(incident=incident), str(UUID(value)) if len(value) == 32 else value
    offered = re.compile(rf'name="{field}" value="([^"]+)"')

    first = await crowded.see(page.format(incident=incident))
    found = await crowded.see(f"{at}?search={typed}")
    (other,) = [shown for shown in offered.findall(first) if shown not in found][:1]
    kept = await crowded.see(f"{at}?search={typed}&{field}={other}")

    assert f'hx-get="{at}"' in first
    shown = set(offered.findall(first))
    assert value not in shown
    assert int(re.findall(r"… and ([0-9]+) more", first)[0]) == await crowded.count(rows) - len(shown)
    assert offered.findall(found) == [value]
    if field != "venue_id":  # a button, which chooses at once
        assert offered.findall(kept) == [other, value]


async def test_every_link_of_the_search_leads_to_what_it_names(crowded: Crowded) -> None:
    for query in ("ann7", "ale7", CARD_UID, str(VISIT)):
        found = await crowded.see(f"/parts/search?q={query}")
        links = [unescape(link) for link in re.findall('href="([^"]+)"', found)]
        assert links, query
        for link in links:
            page, named = await crowded.see(link), [value for _, value in filters_of(link)] or [link.rsplit("/", 1)[1]]
            assert any(name in page.split("<main", 1)[1] for name in named), link
            if link.startswith("/?tap="):
                assert re.findall('data-tap="([^"]+)"', page) == named
            if link.startswith("/stock?keg="):
                assert re.findall('hx-get="/stock/kegs/([^"]+)"', page) == named


def test_no_list_is_left_out() -> None:
    paged = {
        route.path_format
        for route in application().routes
        if isinstance(route, HTTPRoute)
        for handler in route.route_handlers
        if "page" in signature(handler.fn).parameters
    }

    walked = {urlsplit(path).path for path in (*(listed.path for listed in LISTS), *PARTS, *(path for path, _, _ in REST))}
    assert len(paged) > 20
    assert {path for path in paged if not any(_matches(path, one) for one in walked)} == set()


def _matches(path_format: str, path: str) -> bool:
    return re.fullmatch(re.sub(r"\{[^}]*\}", "[^/]+", path_format), path) is not None
