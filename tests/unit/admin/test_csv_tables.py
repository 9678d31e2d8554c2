"""Tables as CSV: no text acts as a formula, whatever separates the cells and however its first character is written."""

import pytest

from tapwire_admin.responses.csv_tables import write_csv


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("＝1+1", "'＝1+1"),
        ("=1", "'=1"),
        (" @SUM(A1)", " '@SUM(A1)"),
        ("−2", "'−2"),
        ("Pils|=cmd", "Pils|'=cmd"),
        ("Pils;＝cmd", "Pils;'＝cmd"),
        ("IPA-style", "IPA-style"),
    ],
)
def test_a_text_that_begins_like_a_formula_is_kept_a_text(text: str, written: str) -> None:
    assert write_csv(["name"], [[text]]).splitlines() == ["name", written]
