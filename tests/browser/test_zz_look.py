from uuid import uuid4

from tests.browser.api import Api
from tests.browser.console import Console


async def test_look(browser, demo, api: Api):
    vid = f"look-{uuid4().hex[:6]}"
    await api.make("/api/venues", {"venue_id": vid, "name": "Night Bar", "time_zone": "Europe/Berlin", "count_cash": True})
    shift = await api.make("/api/shifts/open", {"venue_id": vid, "float_minor": 100_00})
    for n in range(9):
        g = await api.make("/api/guests", {"first_name": f"Guest {n}", "age_checked": True})
        await api.make("/api/visits", {"venue_id": vid, "guest_id": g["guest_id"]})
    sid = shift["shift_id"]
    combos = [("en", "light", 1440), ("en", "dark", 360), ("ru", "light", 360), ("ru", "dark", 768)]

    async def shots(step):
        for lang, theme, width in combos:
            async with Console.opened(browser, demo.api_url, language=lang, theme=theme, width=width) as c:
                await c.log_in(demo.operator)
                await c.context.add_cookies([{"name": "tapwire_venue", "value": vid, "url": demo.api_url}])
                for name, path in (("shift", "/shift"), ("close", "/shift/close"), ("report", f"/shift/{sid}")):
                    await c.see(path)
                    if name == "close" and step == "a":
                        await c.page.locator("[data-denominations] summary").click()
                    print(step, name, lang, width, await c.overflow(), await c.small_targets())
                    await c.page.screenshot(path=f"/tmp/w/drawer-look-{step}-{name}-{lang}-{theme}-{width}.png", full_page=True)
                    if name == "report" and step == "c":
                        await c.page.pdf(path=f"/tmp/w/drawer-z-{lang}-a4.pdf", format="A4")
                        await c.page.pdf(path=f"/tmp/w/drawer-z-{lang}-80.pdf", width="80mm", height="297mm")

    await shots("a")
    await api.make(f"/api/shifts/{sid}/count", {"counted_minor": 9950})
    await shots("b")
    print(await api.send("/api/shifts/close", {"venue_id": vid, "end_visits": True}))
    await api.make(f"/api/shifts/{sid}/reports/z", {})
    await shots("c")
