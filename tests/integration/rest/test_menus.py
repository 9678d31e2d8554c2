"""The menu's page: in which language and theme, what caches may keep of it, and that it answers nobody where it is off."""

import asyncio
import time
from typing import Final

import pytest

from tests.rest import Rest, done
from tests.venue import Venue

PAGE = "/menu/bar"
LIVE_WITHIN_S: Final = 2.0


@pytest.fixture
async def shown(rest: Rest, venue: Venue) -> Venue:
    """The venue, with its menu switched on, and a beverage whose name looks like markup."""
    done(await rest.engineer.patch("/api/venues/bar", json={"public_menu": True, "glass_ml": 400, "volume_unit": "oz"}))
    done(await rest.engineer.patch(f"/api/beverages/{venue.beverage_id}", json={"name": "<b>Pils</b>", "abv": 4.9}))
    return venue


async def test_the_page_is_in_the_readers_language_and_the_venues_units(rest: Rest, shown: Venue) -> None:
    english = await rest.nobody.get(PAGE, headers={"Accept-Language": "en-GB"})
    russian = await rest.nobody.get(PAGE, headers={"Accept-Language": "ru, en;q=0.5"})
    chosen = await rest.nobody.get(f"{PAGE}?lang=ru&theme=dark", headers={"Accept-Language": "en"})
    odd = await rest.nobody.get(f"{PAGE}?lang=%00&theme=<script>&lang=xx", headers={"Accept-Language": "en"})

    assert "Price of a glass of 13.5\N{NO-BREAK SPACE}oz" in english.text
    assert "Цена бокала 13,5" in russian.text
    assert chosen.text == russian.text.replace('<html lang="ru" >', '<html lang="ru" data-theme="dark">').replace(
        'content="light dark"', 'content="dark"'
    )
    assert odd.text == english.text
    assert "&lt;b&gt;Pils&lt;/b&gt;" in english.text
    assert "<b>Pils" not in english.text
    for answer in (english, russian):
        assert answer.headers["cache-control"] == "public, max-age=30"
        assert answer.headers["vary"] == "Accept-Language"
        assert "default-src 'self'" in answer.headers["content-security-policy"]


async def test_the_list_that_the_page_asks_for_again_is_304_until_something_changes(rest: Rest, shown: Venue) -> None:
    first = await rest.nobody.get(f"{PAGE}/list?lang=en")
    same = await rest.nobody.get(f"{PAGE}/list?lang=en", headers={"If-None-Match": first.headers["etag"]})
    other = await rest.nobody.get(f"{PAGE}/list?lang=ru", headers={"If-None-Match": first.headers["etag"]})

    assert (same.status_code, same.content) == (304, b"")
    assert other.status_code == 200
    assert "<html" not in first.text


async def test_the_page_of_a_venue_without_a_menu_is_that_of_an_unknown_one(rest: Rest, venue: Venue) -> None:
    hidden, unknown = await rest.nobody.get(PAGE), await rest.nobody.get("/menu/pub")

    assert hidden.status_code == unknown.status_code == 404
    assert hidden.text.replace("bar", "?") == unknown.text.replace("pub", "?")
    assert hidden.headers["cache-control"] == "no-store"
    assert (await rest.nobody.get("/menu/bar/list")).status_code == 404
    for path in ("/menu/BAR", "/menu/" + "x" * 200, "/menu/bar%2Flist", "/menu/%F0%9F%8D%BA"):
        assert (await rest.nobody.get(path)).status_code in (400, 404), path


async def test_a_change_of_price_or_keg_is_on_the_page_within_two_seconds(rest: Rest, shown: Venue) -> None:
    stout = done(await rest.engineer.post("/api/beverages", json={"name": "Stout", "sell_price_per_liter_minor": 7_00}), 201)
    keg = {"beverage_id": stout["beverage_id"], "venue_id": "bar", "initial_volume_ml": 30_000}
    keg_id = done(await rest.engineer.post("/api/kegs", json=keg), 201)["keg_id"]
    changes = {
        "€1.23": rest.engineer.patch(f"/api/beverages/{shown.beverage_id}", json={"sell_price_per_liter_minor": 3_08}),
        "Stout": rest.engineer.put("/api/taps/bar/left/keg", json={"keg_id": keg_id}),
    }
    for text, change in changes.items():
        before = await rest.nobody.get(PAGE, headers={"Accept-Language": "en"})
        done(await change)
        began_s = time.monotonic()
        while text not in (page := await rest.nobody.get(PAGE, headers={"Accept-Language": "en"})).text:
            assert time.monotonic() - began_s < LIVE_WITHIN_S, page.text
            await asyncio.sleep(0.05)

        assert text not in before.text
