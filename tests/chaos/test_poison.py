"""One poisoned device disturbs nobody else: whoever pours beside it is answered rightly, and is charged once."""

from contextlib import AsyncExitStack

import pytest

from tests.chaos.audit import at_rest
from tests.chaos.first_data import FLOODER
from tests.chaos.load import POUR_ML, LoadTap
from tests.chaos.poison import KINDS, poisoned, serve
from tests.chaos.site import TEST_TIMEOUT_S, open_site

pytestmark = [pytest.mark.timeout(TEST_TIMEOUT_S), pytest.mark.lasts]
TAPS = 3
SECONDS = 2.0
PATIENCE_S = 60.0


async def test_a_device_that_floods_garbage_or_replays_anothers_messages_disturbs_nobody_else() -> None:
    async with open_site(0, strangers=TAPS) as site, AsyncExitStack() as stack:
        taps = [await stack.enter_async_context(LoadTap.connected(site, stranger)) for stranger in site.strangers]

        served = 0
        for kind in KINDS:
            async with poisoned(site, kind, site.strangers[0]):
                served += len(await serve(taps, SECONDS)) // 2

        books = await at_rest(site, PATIENCE_S)
        assert {pour["sync_status"] for pour in books.pours} == {"synced"}
        assert {pour["volume_ml"] for pour in books.pours} == {POUR_ML}
        assert len(books.pours) == served >= TAPS * len(KINDS)
        assert {incident["tap_path"] for incident in books.incidents} <= {str(FLOODER)}, books.incidents
