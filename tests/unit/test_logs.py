"""One line a message: readable for people, or one JSON object with the facts as fields of their own."""

import json
import logging

from tapwire_contracts.logs import JsonLine, TextLine, structured


def record(**facts: object) -> logging.LogRecord:
    """A message as a program logs it."""
    made = logging.LogRecord("tapwire", logging.INFO, __file__, 1, "a pour of %s ml", (250,), None)
    made.__dict__.update(structured(facts))
    return made


def test_a_json_line_has_the_facts_beside_the_message() -> None:
    line = json.loads(JsonLine("core").format(record(pour_id="1f", volume_ml=250)))

    assert (line["source"], line["message"], line["pour_id"], line["volume_ml"]) == ("core", "a pour of 250 ml", "1f", 250)


def test_a_text_line_has_the_message_alone_and_so_has_json_without_facts() -> None:
    assert TextLine("core").format(record(pour_id="1f")).endswith("core: a pour of 250 ml")
    assert json.loads(JsonLine("core").format(record())).keys() == {"at", "level", "source", "message"}
