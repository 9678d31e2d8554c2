"""Committed files agree with the code: schemas, AsyncAPI, ACL; the import law; one handler for each payload."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest

from tapwire_contracts.codec import encode
from tapwire_contracts.messages import ROUTES, Message, Sender
from tapwire_contracts.schemas import asyncapi, documents, payload_schema
from tapwire_contracts.topics import tap_path
from tapwire_core.mqtt.handlers import HANDLERS
from tests.venue import SimulatedTap

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(("path", "text"), list(documents()), ids=lambda value: str(value) if isinstance(value, Path) else "")
def test_each_generated_file_is_committed_as_the_code_makes_it(path: Path, text: str) -> None:
    assert (ROOT / path).read_text(encoding="utf-8") == text, "run `make schemas` and commit what it changes"


def test_no_schema_is_left_of_a_payload_that_is_gone() -> None:
    made = {path for path, _ in documents() if path.parent == Path("contracts/schema")}

    assert {path.relative_to(ROOT) for path in (ROOT / "contracts/schema").iterdir()} == made


def test_each_payload_that_a_device_sends_has_one_handler() -> None:
    sent = {payload for route in ROUTES if route.sender is Sender.NODE for payload in route.payloads}

    assert set(HANDLERS) == sent


def test_every_reference_of_the_asyncapi_document_leads_somewhere() -> None:
    document = asyncapi()

    for reference in _references(document):
        target: Any = document
        for step in reference.removeprefix("#/").split("/"):
            target = target[step]
        assert target


def test_payloads_fit_their_schemas() -> None:
    tap = SimulatedTap(tap_path("bar", "left"))
    question = tap.question("04a1b2c3")
    messages: list[Message] = [question, tap.report(question.event_id, "04a1b2c3", 250), tap.state()]

    for message in messages:
        content = json.loads(encode(message))
        jsonschema.validate(content, payload_schema(type(message)))
        assert msgspec.json.decode(encode(message), type=type(message)) == message


def test_the_dependency_law_is_kept() -> None:
    checked = subprocess.run(
        [Path(sys.executable).parent / "lint-imports", "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert checked.returncode == 0, checked.stdout


def _references(part: object) -> Iterator[str]:
    match part:
        case dict():
            for key, value in part.items():
                if key == "$ref":
                    yield str(value)
                else:
                    yield from _references(value)
        case list():
            for value in part:
                yield from _references(value)
        case _:
            return
