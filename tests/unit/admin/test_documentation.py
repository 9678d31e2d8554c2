"""The API's document: every operation says how it is called and how it refuses, with examples that are what they are of."""

from collections.abc import Iterator
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from tests.rest import document

OPERATIONS = [(path, method) for path, item in document()["paths"].items() for method in item]


def examples(operation: dict[str, Any]) -> Iterator[tuple[dict[str, Any], Any]]:
    """Each schema of an operation with each example of it; texts of another kind than JSON have no schema to speak of."""
    bodies = [operation.get("requestBody", {}), *operation["responses"].values()]
    for kind, content in ((kind, said) for body in bodies for kind, said in body.get("content", {}).items()):
        if kind.endswith("json"):
            shown = (
                [example["value"] for example in content["examples"].values()] if "examples" in content else [content["example"]]
            )
            yield from ((content["schema"], example) for example in shown)
    yield from ((said["schema"], said["example"]) for said in operation["parameters"] if "example" in said)


@pytest.mark.parametrize(("path", "method"), OPERATIONS, ids=[f"{method} {path}" for path, method in OPERATIONS])
def test_every_operation_is_documented_whole(path: str, method: str) -> None:
    operation = document()["paths"][path][method]
    whole = {"components": document()["components"]}

    assert "Access: " in operation["description"]
    assert all(
        "code" in str(said) for status, said in operation["responses"].items() if int(status) >= 400 and "Denied" not in str(said)
    )
    for schema, example in examples(operation):
        Draft202012Validator({**schema, **whole}).validate(example)


def test_every_refusal_of_the_rules_is_named_by_some_operation() -> None:
    named = str(document()["paths"])

    for code in (
        "bind_conflict",
        "card_busy",
        "visit_already_active",
        "lost_card",
        "shift_closed",
        "guest_underage",
        "guest_blocked",
    ):
        assert f"'{code}'" in named
    assert "insufficient_funds" in str(document()["paths"]["/api/visits/authorize-pour"])
