"""One line a message: readable for people, or one JSON object with the facts as fields of their own."""

import json
import logging
import subprocess
import sys
from textwrap import dedent

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


def test_text_of_others_forges_no_line_and_moves_no_cursor() -> None:
    forged = logging.LogRecord(
        "tapwire", logging.INFO, __file__, 1, "type %s", ("x\n12:00 info core: paid\x1b[2J\u202e\u2028",), None
    )

    text, line = TextLine("core").format(forged), JsonLine("core").format(forged)

    assert text.endswith(r"core: type x\n12:00 info core: paid\x1b[2J\u202e\u2028")
    assert (text.isprintable(), line.isprintable()) == (True, True)
    assert json.loads(line)["message"] == forged.getMessage()


def test_the_address_of_a_request_to_others_is_not_logged() -> None:
    steps = """
        import logging
        from tapwire_contracts.logs import set_up_logs
        set_up_logs("core")
        logging.getLogger("httpx").info("POST https://hooks.example/a-secret")
        logging.getLogger("httpx").warning("told")
        logging.getLogger("tapwire_core").info("said")
    """
    said = subprocess.run([sys.executable, "-c", dedent(steps)], capture_output=True, text=True, check=True).stderr

    assert [line.rpartition(" ")[2] for line in said.splitlines()] == ["told", "said"]
