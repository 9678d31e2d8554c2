"""The REST API, for what a browser test needs beside the browser."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final, Self
from uuid import uuid4

import httpx

from tapwire_demo.demo_file import DemoFile

TIMEOUT_S: Final = 30


class Api:
    """The API, with the demo's engineer logged in."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client: Final = client

    @classmethod
    @asynccontextmanager
    async def opened(cls, demo: DemoFile) -> AsyncIterator[Self]:
        """Log in."""
        login = {"username": demo.operator.username, "password": demo.operator.password}
        async with httpx.AsyncClient(base_url=demo.api_url, timeout=TIMEOUT_S) as client:
            token = (await client.post("/api/session", json=login)).raise_for_status().json()["token"]
            client.headers["Authorization"] = f"Bearer {token}"
            yield cls(client)

    async def read(self, path: str) -> Any:
        """The API's answer."""
        return (await self._client.get(path)).raise_for_status().json()

    async def make(self, path: str, body: dict[str, Any]) -> Any:
        """Ask for something that must not be refused; what the API answers."""
        answer = await self._client.post(path, json=body, headers={"Idempotency-Key": uuid4().hex})
        return answer.raise_for_status().json() if answer.content else None

    async def change(self, path: str, body: dict[str, Any]) -> None:
        """Change what is there."""
        (await self._client.patch(path, json=body)).raise_for_status()

    async def put(self, path: str, body: dict[str, Any]) -> None:
        """Put one thing where another may be."""
        (await self._client.put(path, json=body)).raise_for_status()

    async def send(self, path: str, body: dict[str, Any]) -> httpx.Response:
        """Ask for something, which may be refused."""
        return await self._client.post(path, json=body)
