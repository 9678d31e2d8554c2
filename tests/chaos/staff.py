"""The operators: they take money, and end pours by hand, over the REST API and without losing patience when it is away."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final
from uuid import uuid4

import httpx

from tests.chaos.site import Site

PAUSE_S: Final = (0.5, 2.0)
RETRY_S: Final = 0.3
TIMEOUT_S: Final = 10.0
TOP_UP_MINOR: Final = 1_00
LONG_PENDING_MS: Final = 6_000
"""A pour pending longer than this looks stuck to an operator who sees the guest waiting."""
IMPATIENT: Final = 0.05
"""Rate at which an operator ends a pour that runs as it should."""
GONE: Final = 500


@dataclass
class Staff:
    """Two hands at the counter. `ended` are the pours that somebody ended by hand, or tried to: how, and with which volume."""

    site: Site
    dice: Random
    ended: dict[str, str] = field(default_factory=dict)
    top_ups: int = 0
    _token: str = ""

    async def work(self, is_open: Callable[[], bool]) -> None:
        """Do what operators do while the bar is open."""
        async with httpx.AsyncClient(base_url=self.site.api_url, timeout=TIMEOUT_S) as client:
            while is_open():
                await asyncio.sleep(self.dice.uniform(*PAUSE_S))
                await self.dice.choice((self._take_money, self._end_a_pour))(client)

    async def _take_money(self, client: httpx.AsyncClient) -> None:
        guest = self.dice.choice([guest for tap in self.site.taps for guest in tap.drinkers])
        body = {"amount_minor": TOP_UP_MINOR, "method": self.dice.choice(("cash", "card"))}
        booked = await self._insist(client, f"/api/guests/{guest.guest_id}/top-ups", body)
        assert booked.status_code == httpx.codes.CREATED, booked.text
        guest.paid_minor += TOP_UP_MINOR
        self.top_ups += 1

    async def _end_a_pour(self, client: httpx.AsyncClient) -> None:
        """Reconcile or unlock the pour that has been pending longest; it may well end by itself meanwhile."""
        pending = (await self._ask(client, "GET", "/api/pours?sync_status=pending_sync")).json()["items"]
        if not pending:
            return
        pour = max(pending, key=lambda pour: pour["age_ms"])
        if pour["age_ms"] < LONG_PENDING_MS and self.dice.random() > IMPATIENT:
            return
        route = f"/api/visits/{pour['visit_id']}"
        if self.dice.random() < 0.5:
            volume_ml = self.dice.randint(0, pour["max_volume_ml"])
            self.ended[pour["pour_id"]] = f"reconciled with {volume_ml} ml"
            body = {"pour_id": pour["pour_id"], "volume_ml": volume_ml, "reason": "no report came"}
            answer = await self._insist(client, f"{route}/reconcile-pour", body)
        else:
            self.ended[pour["pour_id"]] = "unlocked"
            body = {"pour_id": pour["pour_id"], "reason": "the guest is waiting"}
            answer = await self._insist(client, f"{route}/force-unlock", body)
        assert answer.status_code in (httpx.codes.OK, httpx.codes.CONFLICT), answer.text

    async def _insist(self, client: httpx.AsyncClient, route: str, body: dict[str, Any]) -> httpx.Response:
        """Post with one key until an answer comes: what was booked before the API died is not booked again."""
        return await self._ask(client, "POST", route, json=body, headers={"Idempotency-Key": str(uuid4())})

    async def _ask(self, client: httpx.AsyncClient, method: str, route: str, **options: Any) -> httpx.Response:
        while True:
            try:
                if not self._token:
                    await self._log_in(client)
                headers = {**options.get("headers", {}), "Authorization": f"Bearer {self._token}"}
                answer = await client.request(method, route, **{**options, "headers": headers})
                if answer.status_code < GONE:
                    return answer
            except httpx.TransportError:
                pass
            await asyncio.sleep(RETRY_S)

    async def _log_in(self, client: httpx.AsyncClient) -> None:
        answer = await client.post("/api/session", json={"username": "staff", "password": self.site.staff_password})
        if answer.status_code == httpx.codes.CREATED:
            self._token = answer.json()["token"]
