"""Search words: what is typed finds what was stored, however either is spelled."""

from hypothesis import given
from hypothesis import strategies as st

from tapwire_core.domain.search import phone_query, phone_words, query_of, words_of


def test_words_are_folded() -> None:
    assert words_of("Sofía", "Ibáñez-Łoś") == ["sofia", "ibanez", "los", "ibanezlos"]
    assert words_of("Seán", "O'Neil", None) == ["sean", "o", "neil", "oneil"]
    assert words_of("Ёлкина", "Straße", "Ångström") == ["елкина", "strasse", "angstrom"]


def test_the_words_of_a_number_are_its_endings() -> None:
    assert phone_words("+34 612") == ["#34612", "#4612", "#612", "=34612"]
    assert phone_words("0034 (0) 612") == phone_words("+34-612")
    assert phone_words(None) == phone_words("") == []


def test_a_query_joins_its_words_and_takes_numbers_in_any_spelling() -> None:
    assert query_of("Ibáñez Sof").tsquery == "'ibanez':* & 'sof':*"
    assert query_of("612 55 01 09").tsquery == "('#612550109':* | ('612':* & '55':* & '01':* & '09':*))"
    assert query_of("+34 612 55 01 09").tsquery.startswith("('#34612550109':* | '=4612550109' | '=612550109'")  # type: ignore[union-attr]
    assert query_of("04 A1:B2-c3").card_prefix == "04a1b2c3"
    assert (query_of("!?").tsquery, query_of("!?").card_prefix) == (None, None)
    assert phone_query("no") is None


@given(st.text(max_size=40))
def test_no_text_breaks_out_of_a_querys_quotes(text: str) -> None:
    query = query_of(text).tsquery or ""
    words = [part.strip("()").removesuffix(":*") for part in query.replace("&", "|").split("|")]
    for word in words:
        inner = word.strip().strip("()").removesuffix(":*").strip("()").strip()
        assert not inner or (inner[0] == inner[-1] == "'" and "'" not in inner[1:-1] and "\\" not in inner)
