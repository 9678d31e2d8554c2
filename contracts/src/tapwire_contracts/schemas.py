"""Documents generated from the code: JSON Schema for each payload, one AsyncAPI 3.0 document, the brokers' ACLs.

They are committed; a test fails when they differ from this module's output.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import msgspec

from tapwire_contracts import CONTRACT_VERSION
from tapwire_contracts.acl import ACCOUNTS, emqx_acl, mosquitto_acl
from tapwire_contracts.codec import MAX_PAYLOAD_BYTES
from tapwire_contracts.messages import ROUTES, Message, Route, Sender, message_type
from tapwire_contracts.topics import ROOT, SLUG_PATTERN


def documents() -> Iterator[tuple[Path, str]]:
    """Yield every generated file's path from the project's root, and its text."""
    for route in ROUTES:
        for payload in route.payloads:
            yield Path("contracts/schema") / f"{schema_name(payload)}.json", _pretty(payload_schema(payload))
    yield Path("contracts/schema/asyncapi.json"), _pretty(asyncapi())
    yield Path("broker-config/acl"), mosquitto_acl(ACCOUNTS)
    yield Path("broker-config/emqx/acl.conf"), emqx_acl(ACCOUNTS)


def schema_name(payload: type[Message]) -> str:
    """The name of the payload's schema: its `type`, with the prefix `reader_` for the desk reader's `card_presented`."""
    name = message_type(payload)
    return f"reader_{name}" if payload.__name__.startswith("Reader") else name


def payload_schema(payload: type[Message]) -> dict[str, Any]:
    """The payload's JSON Schema (2020-12), with all its definitions."""
    (_,), definitions = msgspec.json.schema_components([payload], ref_template="#/$defs/{name}")
    own = definitions.pop(payload.__name__)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **own, **({"$defs": definitions} if definitions else {})}


def asyncapi() -> dict[str, Any]:
    """The whole MQTT interface as one AsyncAPI 3.0 document."""
    payloads = {schema_name(payload): payload for route in ROUTES for payload in route.payloads}
    _, definitions = msgspec.json.schema_components(payloads.values(), ref_template="#/components/schemas/{name}")
    return {
        "asyncapi": "3.0.0",
        "info": {"title": "Tapwire over MQTT", "version": CONTRACT_VERSION, "description": _DESCRIPTION},
        "defaultContentType": "application/json",
        "channels": {_channel_name(route): _channel(route) for route in ROUTES},
        "operations": {_operation_name(route): _operation(route) for route in ROUTES},
        "components": {
            "messages": {name: _message(name, payload) for name, payload in payloads.items()},
            "schemas": definitions,
        },
    }


_DESCRIPTION: Final = (
    f"Payloads are JSON in UTF-8, at most {MAX_PAYLOAD_BYTES} bytes. Receivers ignore fields that they don't know and treat an "
    "unknown `type` or a missing field as malformed. Facts are repeated until their verdict comes. Nothing retained opens a valve."
)


def _channel_name(route: Route) -> str:
    owner = "_".join(kind.value for kind in route.kinds) or "core"
    return f"{owner}_{route.leaf.replace('/', '_')}"


def _channel(route: Route) -> dict[str, Any]:
    references = {schema_name(payload): {"$ref": f"#/components/messages/{schema_name(payload)}"} for payload in route.payloads}
    if not route.kinds:
        instance = {"instance_id": {"description": "one core worker's own id"}}
        return {"address": f"{ROOT}/core/{{instance_id}}/{route.leaf}", "parameters": instance, "messages": references}
    kinds = [kind.value for kind in route.kinds]
    parameters = {
        "venue": {"description": f"a venue's id, {SLUG_PATTERN}"},
        "kind": {"enum": kinds, "description": "a tap, or a desk reader"},
        "device": {"description": f"the tap's or reader's id, {SLUG_PATTERN}"},
    }
    return {"address": f"{ROOT}/{{venue}}/{{kind}}/{{device}}/{route.leaf}", "parameters": parameters, "messages": references}


def _operation_name(route: Route) -> str:
    return f"{'receive' if route.sender is Sender.NODE else 'send'}_{_channel_name(route)}"


def _operation(route: Route) -> dict[str, Any]:
    channel = _channel_name(route)
    return {
        "action": "receive" if route.sender is Sender.NODE else "send",
        "summary": "as the core sees it",
        "channel": {"$ref": f"#/channels/{channel}"},
        "messages": [{"$ref": f"#/channels/{channel}/messages/{schema_name(payload)}"} for payload in route.payloads],
        "bindings": {"mqtt": {"qos": route.qos, "retain": route.retain, "bindingVersion": "0.2.0"}},
    }


def _message(name: str, payload: type[Message]) -> dict[str, Any]:
    summary = (payload.__doc__ or "").strip()
    return {"name": name, "summary": summary, "payload": {"$ref": f"#/components/schemas/{payload.__name__}"}}


def _pretty(document: dict[str, Any]) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"
