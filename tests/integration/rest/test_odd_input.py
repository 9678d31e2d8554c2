"""Odd input: every path of the API and the console with odd values, and every list with odd cursors, is answered, never a fault."""

import base64
import json
import re
from collections.abc import Iterator
from typing import Any

import httpx

from tests.rest import Rest, application, document
from tests.venue import Venue

ODD = ("%00", "a%00b", "%1B[31m", "%E2%80%AE", "%ED%A0%80", "%FF", "%2E%2E", "-1", "99" * 40, "%27")
EXTREMES: tuple[Any, ...] = (
    *(0, -1, 2**31, 2**63 - 1, 2**63, 2**70, 1.5, None, True, "", "x", "\0", "\ud800", "'", []),
    *(
        "0001-01-01T00:00:00Z",
        "9999-12-31T23:59:59.999999Z",
        "0001-01-01T00:00:00+23:59",
        "9999-12-31T23:59:59-23:59",
        "294277-01-01T00:00:00Z",
    ),
    *("00000000-0000-0000-0000-000000000000", "2026-11-28T00:00:00Z"),
)


def paths() -> Iterator[tuple[str, str]]:
    """Method and path of every route, each parameter in turn an odd value."""
    for route in application().routes:
        if not (names := re.findall(r"{[^}]*}", route.path)) or "static" in route.path:
            continue
        for method in {method for handler in getattr(route, "route_handlers", ()) for method in handler.http_methods} - {
            "OPTIONS",
            "HEAD",
        }:
            for odd in ODD:
                yield method, re.sub(r"{[^}]*}", odd, route.path)
                if len(names) > 1:
                    yield method, re.sub(r"{[^}]*}", odd, route.path.replace(names[0], "bar", 1))


def cursor_of(values: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(values).encode()).decode().rstrip("=")


def faults(method: str, path: str, answer: httpx.Response) -> list[tuple[str, str, int]]:
    return [(method, path, answer.status_code)] if answer.status_code >= 500 else []


async def test_no_path_makes_a_fault(rest: Rest, venue: Venue) -> None:
    wrong = []
    for method, path in paths():
        wrong += faults(
            method, path, await rest.engineer.request(method, path, json={} if method in ("POST", "PATCH", "PUT") else None)
        )

    assert wrong == []


async def test_no_query_makes_a_fault(rest: Rest, venue: Venue) -> None:
    wrong, operations = [], document()["paths"].items()
    for path, item in operations:
        plain = re.sub(r"{[^}]*}", "bar", path)
        for parameter in item.get("get", {}).get("parameters", ()):
            if parameter["in"] == "query" and "events" not in path:
                for odd in ODD:
                    query = f"{plain}?{parameter['name']}={odd}"
                    wrong += faults("GET", query, await rest.engineer.get(query))

    assert wrong == []


async def test_no_cursor_makes_a_fault(rest: Rest, venue: Venue) -> None:
    await venue.guest(balance_minor=100)
    lists = [path for path, item in document()["paths"].items() if "'name': 'cursor'" in str(item.get("get", {}))]
    wrong = []
    for path in lists:
        plain = re.sub(r"{guest_id}", "00000000-0000-0000-0000-000000000000", path)
        for values in [[one] for one in EXTREMES] + [[one, other] for one in EXTREMES for other in EXTREMES[-1:]] + [{}, 1, [[]]]:
            answer = await rest.engineer.get(plain, params={"cursor": cursor_of(values)})
            wrong += faults("GET", f"{plain} {values}", answer)

    assert len(lists) > 8
    assert wrong == []
