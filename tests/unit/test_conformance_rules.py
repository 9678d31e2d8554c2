"""The ids of rules: the documents, the kit and the code name the same ones, each in the place that it says."""

import re
from pathlib import Path
from typing import Any, Final

import pytest

from tapwire_conformance.core.catalogue import CORE_RULES
from tapwire_conformance.rules import Rule, UnknownRule
from tapwire_conformance.tap.catalogue import TAP_RULES

ROOT: Final = Path(__file__).parents[2]
DOCUMENTS: Final = ("SYSTEM.md", "CONTRACT.md")
ID: Final = re.compile(r"\b[A-Z]{3,}-\d+\b")
EXAMPLES: Final = frozenset({"ISO-4217", "UTF-8"})
ALL: Final[list[Rule[Any]]] = [*TAP_RULES.rules, *CORE_RULES.rules]
CODE: Final = ("core-service/src/tapwire_core/domain/authorization.py", "core-service/src/tapwire_core/domain/settlement.py")


def sections(document: str) -> dict[str, str]:
    """A document's sections by their headings."""
    text = (ROOT / "docs" / document).read_text(encoding="utf-8")
    parts = re.split(r"^#{1,3} (.+)$", text, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def test_no_two_rules_have_one_id() -> None:
    ids = [rule.rule_id for rule in ALL]

    assert len(ids) == len(set(ids))


def test_the_documents_name_no_rule_that_the_kit_does_not_try_and_the_other_way_round() -> None:
    named = {
        found for document in DOCUMENTS for text in sections(document).values() for found in re.findall(r"`([A-Z]+-\d+)`", text)
    }

    assert named == {rule.rule_id for rule in ALL}


@pytest.mark.parametrize("rule", ALL, ids=lambda rule: rule.rule_id)
def test_each_rule_stands_where_it_says(rule: Rule[Any]) -> None:
    assert f"`{rule.rule_id}`" in sections(rule.place.document)[rule.place.heading]
    assert rule.text.endswith(".")


def test_the_code_names_every_row_of_the_two_tables_and_no_other_rule() -> None:
    known = {rule.rule_id for rule in ALL}
    rows = {found for text in sections("SYSTEM.md").values() for found in re.findall(r"^\| `([A-Z]+-\d+)`", text, re.MULTILINE)}
    named = {found for file in CODE for found in ID.findall((ROOT / file).read_text(encoding="utf-8"))} - EXAMPLES

    assert len(rows) == 17 + 9
    assert rows <= named <= known


def test_a_rule_or_a_group_is_chosen_by_its_name_and_another_name_is_refused() -> None:
    assert [rule.rule_id for rule in CORE_RULES.chosen(["settle-7"])] == ["SETTLE-7"]
    assert len(TAP_RULES.chosen(["VALVE", "CLOSE-1"])) == 15
    assert TAP_RULES.chosen([]) == TAP_RULES.rules
    with pytest.raises(UnknownRule, match="there is no rule AUTH-99; the groups are AUTH, SETTLE"):
        CORE_RULES.chosen(["AUTH-99"])
