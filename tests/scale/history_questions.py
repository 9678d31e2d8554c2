"""Reports and lists of a long past, as people ask for them through the REST door of an admin API."""

import asyncio
import statistics
import time
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import httpx
from msgspec import Struct

from tapwire_core.db.engine import Database
from tapwire_core.domain.closed_sets import Role
from tapwire_core.progress import Advance, untold
from tapwire_core.services import users
from tapwire_demo.postgres import EmbeddedPostgres
from tapwire_demo.processes import LOOPBACK, free_port
from tapwire_demo.programs import Program, start_program
from tests.scale.history_figures import LONGEST_S, LOOK_S, PAST
from tests.venue import OPERATOR

LEAD: Final = ("lead", "a-long-password")
READY_S: Final = 60.0


class Asked(Struct, frozen=True):
    """A request to the API: its status, the seconds of the first answer and the median of the next ones, and its length."""

    status: int
    first_s: float
    again_s: float
    answer_bytes: int


async def measure_reports(
    postgres: EmbeddedPostgres, db: Database, folder: Path, advance: Advance = untold, *, database: str = PAST, again: int = 1
) -> dict[str, Asked]:
    """Reports and lists as people ask for them, once and so many times again, through the REST door of an admin API."""
    with suppress(users.UserExists):  # of an earlier run
        await users.create_user(db, OPERATOR, LEAD[0], Role.SHIFT_LEAD, LEAD[1])
    port = free_port()
    settings = {
        "TAPWIRE_DATABASE_URL": postgres.application_url_of(database),
        "TAPWIRE_ADMIN_HOST": LOOPBACK,
        "TAPWIRE_ADMIN_PORT": str(port),
    }
    admin = start_program(Program("admin", ("tapwire_admin", "run"), settings), folder / "admin.log")
    try:
        async with httpx.AsyncClient(base_url=f"http://{LOOPBACK}:{port}", timeout=LONGEST_S) as client:
            async with asyncio.timeout(READY_S):
                while not await _answers(client):
                    await asyncio.sleep(LOOK_S)
            login = (await client.post("/api/session", json={"username": LEAD[0], "password": LEAD[1]})).raise_for_status()
            client.headers["Authorization"] = f"Bearer {login.json()['token']}"
            wanted = await _questions(db)
            asked = {}
            for number, (name, ask) in enumerate(wanted.items()):
                advance(name, number, len(wanted))
                asked[name] = await _asked(client, ask, again)
            return asked
    finally:
        admin.kill()


async def _answers(client: httpx.AsyncClient) -> bool:
    with suppress(httpx.HTTPError):
        return (await client.get("/health/live")).is_success
    return False


async def _asked(client: httpx.AsyncClient, question: dict[str, Any], again: int) -> Asked:
    """Ask a few times; what is made once, only once."""
    took_s = []
    for _ in range(1 if question["method"] == "POST" else 1 + again):
        began_s = time.monotonic()
        answer = await client.request(**question)
        took_s.append(time.monotonic() - began_s)
    first_s, *others = took_s
    return Asked(answer.status_code, round(first_s, 3), round(statistics.median(others or [first_s]), 3), len(answer.content))


async def _questions(db: Database) -> dict[str, dict[str, Any]]:
    """Requests by the name of what they ask for."""
    row = await db.pool.fetchrow(
        """SELECT pour_id, guest_id, tap_path, visit_id, settled_shift_id AS shift_id, authorized_at::date AS day FROM pours
           WHERE venue_id = 'venue-000' ORDER BY authorized_at DESC LIMIT 1"""
    )
    first = await db.pool.fetchval("SELECT min(opened_at)::date FROM shifts")
    day = row["day"]
    year, month = max(first, day - timedelta(days=364)), max(first, day - timedelta(days=29))

    def period(since: Any, **more: str) -> dict[str, str]:
        return {"from": since.isoformat(), "to": day.isoformat(), **more}

    venue, csv = {"venue_id": "venue-000"}, {"Accept": "text/csv"}
    reports = {
        "sales of a day by hour, one venue": ("sales", period(day, by="hour", **venue)),
        "sales of a month by day, one venue": ("sales", period(month, by="day", **venue)),
        "sales of a month by day, all venues": ("sales", period(month, by="day")),
        "sales of a year by beverage, one venue": ("sales", period(year, by="beverage", **venue)),
        "sales of a year by venue, all venues": ("sales", period(year, by="venue")),
        "heat map of a month, one venue": ("sales/heat-map", period(month, **venue)),
        "heat map of a year, all venues": ("sales/heat-map", period(year)),
        "comparison of a month, one venue": ("sales/comparison", period(month, **venue)),
        "comparison of a month, all venues": ("sales/comparison", period(month)),
        "kegs of a month, one venue": ("kegs", period(month, **venue)),
    }
    shift = f"/api/shifts/{row['shift_id']}/reports"
    return {
        **{name: {"method": "GET", "url": f"/api/reports/{path}", "params": asked} for name, (path, asked) in reports.items()},
        "export of a year's days as CSV, all venues": {
            "method": "GET",
            "url": "/api/reports/sales",
            "params": period(year, by="day"),
            "headers": csv,
        },
        "X report of a night": {"method": "GET", "url": f"{shift}/x"},
        "Z report of a night": {"method": "POST", "url": f"{shift}/z"},
        "export of a guest": {"method": "GET", "url": f"/api/guests/{row['guest_id']}/export"},
        "receipt of a visit": {"method": "GET", "url": f"/api/visits/{row['visit_id']}/receipt"},
        "latest pours": {"method": "GET", "url": "/api/pours", "params": {"limit": 50}},
        "latest pours of a tap": {"method": "GET", "url": "/api/pours", "params": {"tap": row["tap_path"], "limit": 50}},
        "audit log, latest": {"method": "GET", "url": "/api/audit", "params": {"limit": 50}},
        "audit log of a pour": {"method": "GET", "url": "/api/audit", "params": {"subject": str(row["pour_id"])}},
        "search for a guest": {"method": "GET", "url": "/api/search", "params": {"q": "guest 77"}},
    }
