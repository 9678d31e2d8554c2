"""The console's own texts in its languages: English stands in the code and in the templates, the others in `locales/*.po`.

`python -m tapwire_admin.console.translations` (`make texts`) collects the texts. A new text stays empty in each catalogue until it
is translated, and a test fails until then. Guests' texts come from `tapwire_contracts.denials`.
"""

import functools
import io
from gettext import NullTranslations
from pathlib import Path
from typing import Final

from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po
from babel.support import Translations

from tapwire_contracts.reasons import Locale

HOME: Final = Path(__file__).parent
LOCALES: Final = HOME / "locales"
TRANSLATED: Final = tuple(locale for locale in Locale if locale is not Locale.EN)
_METHODS: Final = [("**.py", "python"), ("**.html", "jinja2")]


def N_(text: str) -> str:  # noqa: N802  gettext's own name for it
    """Mark a text for translation where it stands; it is translated when it is shown."""
    return text


@functools.cache
def translations(locale: Locale) -> NullTranslations:
    """A language's texts."""
    if locale is Locale.EN:
        return NullTranslations()
    compiled = io.BytesIO()
    write_mo(compiled, read_catalog(locale))
    compiled.seek(0)
    return Translations(compiled)


def read_catalog(locale: Locale) -> Catalog:
    """A language's catalogue."""
    with _file(locale).open("rb") as file:
        return read_po(file, locale=locale.value)


def collect_texts() -> Catalog:
    """All texts of code and templates, without translations."""
    catalog = Catalog(project="Tapwire", charset="utf-8")
    found = extract_from_dir(HOME, _METHODS, keywords={"_": None, "N_": None, "gettext": None, "ngettext": (1, 2)})
    for file, _line, message, comments, context in found:
        catalog.add(message, locations=[(file, 0)], auto_comments=comments, context=context)
    return catalog


def update_catalogs() -> None:
    """Update each catalogue: new texts come in empty, unused ones are removed."""
    texts = collect_texts()
    for locale in TRANSLATED:
        catalog = read_catalog(locale) if _file(locale).exists() else Catalog(locale=locale.value)
        catalog.update(texts, no_fuzzy_matching=True)
        catalog.obsolete.clear()
        with _file(locale).open("wb") as file:
            write_po(file, catalog, sort_output=True, no_location=True, omit_header=True, width=120)


def _file(locale: Locale) -> Path:
    return LOCALES / f"{locale.value}.po"


if __name__ == "__main__":
    update_catalogs()
