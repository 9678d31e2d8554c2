"""A body with an unknown field: refused with the field's name to operators, ignored at the device door."""

import re
from typing import Any

from tests.rest import Rest, document
from tests.venue import Venue

DEVICE_DOOR = {"/api/visits/authorize-pour", "/api/sync/pours", "/api/devices/pairings/claim"}
"""Paths whose callers are devices, which may be newer than the server."""


def with_bodies() -> list[tuple[str, str]]:
    return [
        (method, path)
        for path, operations in document()["paths"].items()
        for method, one in operations.items()
        if "requestBody" in one
    ]


def filled(path: str) -> str:
    known = {"venue_id": "bar", "username": "nobody", "card_uid": "04a1b2c3", "venue": "bar", "tap": "left", "movement_id": "1"}
    return re.sub(r"{([^}]*)}", lambda name: known.get(name[1], "00000000-0000-4000-8000-000000000000"), path)


async def test_every_operation_of_operators_names_an_unknown_field(rest: Rest, venue: Venue) -> None:
    wrong: list[Any] = []
    operations = with_bodies()
    for method, path in operations:
        answer = await rest.engineer.request(
            method, filled(path), json={"sell_price_per_litre_minor": 700}, headers={"Idempotency-Key": f"{method}{path}"[:60]}
        )
        named = answer.status_code == 400 and answer.json().get("field") == "sell_price_per_litre_minor"
        if named is (path in DEVICE_DOOR):
            wrong.append((method, path, answer.status_code, answer.text[:80]))

    assert len(operations) > 30
    assert {path for _, path in operations} >= DEVICE_DOOR
    assert wrong == []
