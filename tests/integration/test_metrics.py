"""The books check as a metric."""

import asyncio
from urllib.request import urlopen

from tapwire_core.metrics import serve_metrics
from tapwire_demo.processes import free_port
from tests.venue import Venue


async def test_the_metrics_say_whether_the_books_balance_and_what_waits(venue: Venue) -> None:
    await venue.grant(await venue.guest(balance_minor=100_00))
    port = free_port()
    with serve_metrics(port) as metrics:
        await metrics.look(venue.db)
        served = (await asyncio.to_thread(urlopen, f"http://127.0.0.1:{port}/metrics")).read().decode()

    lines = dict(line.rsplit(" ", 1) for line in served.splitlines() if not line.startswith("#"))
    assert lines['tapwire_books_differences{rule="balance = sum of movements"}'] == "0.0"
    assert (lines["tapwire_pending_pours"], lines["tapwire_held_minor"]) == ("1.0", "10000.0")
