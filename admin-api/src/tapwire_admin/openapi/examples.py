"""Examples for the API's documentation: one for each field name, since a name means the same everywhere.

An example in the schema takes precedence. Without either, the example follows from the schema: constant, closed set, default or
type.
"""

import re
from typing import Any, Final

EXAMPLE_ID: Final = "0b8b1c3e-6a53-4a57-9b62-5f1f0f6b2a11"
EXAMPLE_REQUEST_ID: Final = "7c9e6679-7425-40de-944b-e07fc1f90ae7"
EXAMPLE_TIME: Final = "2026-05-01T20:15:00Z"
EXAMPLE_DAY: Final = "2026-05-01"

BY_NAME: Final[dict[str, Any]] = {
    "abv": 4.9,
    "action": "top_up",
    "active_tap_id": "left",
    "actor": "anna",
    "amount_minor": 2_000,
    "answer": "ok",
    "answer_status": 200,
    "birth_date": "1990-01-31",
    "broker_ca": "-----BEGIN CERTIFICATE-----\nMIIB…\n-----END CERTIFICATE-----\n",
    "broker_protocol": "5",
    "broker_url": "mqtts://broker.example:8883",
    "beverage_ids": [EXAMPLE_ID],
    "by_beverage": {},
    "by_method": {},
    "by_operator": {},
    "by_tap": {},
    "card_uid": "04a1b2c3",
    "counted_by": "anna",
    "counted_minor": 51_230,
    "comment": "seen on the glass",
    "csrf_token": None,
    "currency": "EUR",
    "claim": "q0ZxJ7…",
    "code": "KXTM29PQ",
    "cursor": "WzE3XQ",
    "description": "the books",
    "details": {},
    "duration_ms": 8_000,
    "error": None,
    "expected_minor": 51_250,
    "event_types": ["pour.settled", "top_up.booked"],
    "first_name": "Ann",
    "from": EXAMPLE_DAY,
    "guest_first_name": "Ann",
    "guest_name": "Ann Lee",
    "initial_volume_ml": 50_000,
    "key": "bar/taps/left",
    "last_name": "Lee",
    "limit": 50,
    "message": "Pour!",
    "new_password": "battery staple",
    "old_password": "correct horse",
    "off_reason": None,
    "opened_by": "anna",
    "over_short_minor": -20,
    "owner": "anna",
    "password": "correct horse",
    "patrons": 2,
    "path": "bar/taps/left",
    "payload": '{"type":"pour.settled"}',
    "percent_off": None,
    "phone": "+49 30 1234567",
    "pulses_per_liter": 450,
    "reader_id": "desk",
    "reason": "the guest asked for it",
    "search": "Lee",
    "secret": "k1Yw0b…",
    "sell_price_per_liter_minor": 700,
    "since": EXAMPLE_TIME,
    "software": "tapwire 0.1.0",
    "style": "Pilsner",
    "subject": "04a1b2c3",
    "subjects": ["04a1b2c3"],
    "tap": "bar/taps/left",
    "tap_id": "left",
    "time_zone": "Europe/Berlin",
    "to": EXAMPLE_DAY,
    "token": "R2x…",
    "until": EXAMPLE_TIME,
    "url": "https://books.example/tapwire",
    "username": "anna",
    "venue": "bar",
    "venue_id": "bar",
    "volume_ml": 400,
    "weekdays": [1, 2, 3, 4, 5],
    "window_minutes": 240,
}
_BY_FORMAT: Final = {"uuid": EXAMPLE_ID, "date-time": EXAMPLE_TIME, "date": EXAMPLE_DAY}
_MEASURES: Final = {"_minor": 2_000, "_ml": 400, "_ms": 12_000}


def example_of(schema: dict[str, Any], named: dict[str, Any], name: str = "") -> Any:
    """An example of a schema; `named` are the document's schemas, `name` is the field that holds the value."""
    schema = _resolved(schema, named)
    if schema.get("type") == "object" and "properties" in schema:
        return {field: example_of(part, named, field) for field, part in schema["properties"].items()}
    if schema.get("examples"):
        return schema["examples"][0]
    for known in (name, f"{name}_id"):
        if known in BY_NAME and _fits(schema, BY_NAME[known]):
            return BY_NAME[known]
    if schema.get("type") == "array":
        return [example_of(schema.get("items", {}), named)]
    if "const" in schema or "enum" in schema:
        return schema["const"] if "const" in schema else schema["enum"][0]
    if schema.get("default") is not None:
        return schema["default"]
    return _of_type(schema, name)


def _resolved(schema: dict[str, Any], named: dict[str, Any]) -> dict[str, Any]:
    """Follow a reference; of several alternatives, take the first that is not null."""
    while "$ref" in schema:
        schema = named[schema["$ref"].rpartition("/")[2]]
    if choices := schema.get("oneOf") or ("properties" not in schema and schema.get("anyOf")):
        first = next(choice for choice in choices if choice.get("type") != "null")
        beside = {key: value for key, value in schema.items() if key not in ("oneOf", "anyOf")}
        return {**beside, **_resolved(first, named)}
    return schema


def _fits(schema: dict[str, Any], value: object) -> bool:
    if "enum" in schema or "const" in schema:
        return value in schema.get("enum", [schema.get("const")])
    if isinstance(value, str) and not re.search(schema.get("pattern", ""), value):
        return False
    types: dict[str, type | tuple[type, ...]] = {
        "integer": int,
        "number": (int, float),
        "string": str,
        "object": dict,
        "array": list,
    }
    expected = types.get(schema.get("type", ""), object)
    return value is None or isinstance(value, expected)


def _of_type(schema: dict[str, Any], name: str) -> Any:
    match schema.get("type"):
        case "string":
            return _BY_FORMAT.get(schema.get("format", ""), "text")
        case "integer" | "number":
            measured = next((value for suffix, value in _MEASURES.items() if name.endswith(suffix)), 1)
            return max(measured, schema.get("minimum", measured))
        case "boolean":
            return False
        case _:
            return {}
