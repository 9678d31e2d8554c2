"""A short, seeded piece of `make chaos`: real processes killed, connections broken, and everything that flowed booked once."""

import pytest

from tests.chaos.audit import Auditor, Booked
from tests.chaos.run import run_chaos
from tests.chaos.site import TEST_TIMEOUT_S, Site, open_site

pytestmark = [pytest.mark.timeout(TEST_TIMEOUT_S), pytest.mark.lasts]
SECONDS = 8.0
TAPS = 3
PATIENCE_S = 60.0


async def test_whatever_dies_each_millilitre_is_booked_once_and_every_tap_pours_again() -> None:
    async with open_site(TAPS, strangers=1) as site:
        outcome = await run_chaos(site, 7, lambda monkey: monkey.rage(SECONDS), PATIENCE_S)

        assert outcome.findings == [], outcome.faults
        assert outcome.pours["synced"] >= TAPS
        await an_auditor_finds_what_is_wrong(site, outcome.auditor)


async def an_auditor_finds_what_is_wrong(site: Site, auditor: Auditor) -> None:
    """Beer and money that the books lose are missed: an auditor who never finds anything proves nothing."""
    tap, guest = site.taps[0], site.taps[1].drinkers[0]
    await site.db.pool.execute("UPDATE kegs SET book_volume_ml = book_volume_ml + 1 WHERE keg_id = $1", tap.keg_id)
    await site.db.pool.execute("UPDATE guests SET balance_minor = balance_minor - 1 WHERE guest_id = $1", guest.guest_id)

    findings = "\n".join(await auditor.judge(await Booked.read(site)))

    assert f"{tap.path}: " in findings
    assert f"guest {guest.guest_id} paid" in findings
    assert "tapwire-core check: " in findings
