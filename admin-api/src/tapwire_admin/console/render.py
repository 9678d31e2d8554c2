"""Templates to HTML, in the viewer's language: whole pages, parts of them for htmx, and what a part tells the page around it."""

import functools
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from litestar import Response
from litestar.enums import MediaType
from markupsafe import Markup

from tapwire_admin.console.assets import asset
from tapwire_admin.console.labels import WORDS
from tapwire_admin.console.libraries import Icon, read_icon
from tapwire_admin.console.menu import MENU
from tapwire_admin.console.translations import translations
from tapwire_contracts.reasons import Locale

TEMPLATES: Final = Path(__file__).parent / "templates"
_LIQUIDS: Final = {
    "stout": "dark",
    "porter": "dark",
    "cider": "cider",
    "red": "red",
    "wine": "red",
    "kriek": "red",
    "wheat": "wheat",
    "weiss": "wheat",
    "ipa": "amber",
    "ale": "amber",
}
"""What a beverage looks like in its keg's picture, by how a word of its style or its name begins."""


@functools.cache
def environment(locale: Locale) -> Environment:
    """The templates in one language."""
    made = Environment(
        loader=FileSystemLoader(TEMPLATES),
        extensions=["jinja2.ext.i18n"],
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    texts = translations(locale)
    made.install_gettext_translations(texts, newstyle=True)  # type: ignore[attr-defined]
    made.globals |= {
        "icon": icon,
        "asset": asset,
        "menu": MENU,
        "new_key": new_key,
        "liquid": liquid,
        "label_of": functools.partial(label_of, locale),
    }
    return made


def render(locale: Locale, template: str, context: Mapping[str, Any]) -> str:
    """A template as text."""
    return environment(locale).get_template(template).render(context)


def label_of(locale: Locale, kind: str, word: str | None) -> str:
    """A word of a closed set, for people; one that is not known is shown as it is."""
    if word is None:
        return "–"
    text = WORDS[kind].get(word)
    return translations(locale).gettext(text) if text else str(word)


def liquid(style: str | None, name: str | None) -> str:
    """What colour a beverage has in its keg's picture."""
    words = f"{style or ''} {name or ''}".lower().split()
    return next((look for start, look in _LIQUIDS.items() if any(word.startswith(start) for word in words)), "gold")


@functools.cache
def icon(name: Icon) -> Markup:
    """An icon, for the eye alone: what it stands beside says the same in words."""
    drawing = read_icon(name)
    inside = drawing[drawing.index(">", drawing.index("<svg")) + 1 : drawing.rindex("</svg>")].strip()
    return Markup(  # noqa: S704  a file of ours
        '<svg class="icon" viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="2" stroke-linecap="round" '
        f'stroke-linejoin="round" aria-hidden="true" focusable="false">{inside}</svg>'
    )


def new_key() -> str:
    """The key of a new form, which makes a double press harmless."""
    return str(uuid4())


def html(content: str, status_code: int = 200, headers: Mapping[str, str] | None = None) -> Response[str]:
    """An HTML answer."""
    return Response(content, status_code=status_code, media_type=MediaType.HTML, headers=dict(headers or {}))


def done(said: str | None = None, *, changed: Sequence[str] = (), close: bool = True, body: str | None = None) -> Response[str]:
    """What a form answers when it was done: it closes its dialog, says a sentence, and names the parts that have changed."""
    events: dict[str, Any] = {"changed": {"topics": list(changed)}} if changed else {}
    if said:
        events["said"] = {"text": said}
    if close:
        events["closeDialog"] = {}
    headers = {"HX-Trigger": json.dumps(events)} if events else {}
    if body is None:
        headers["HX-Reswap"] = "none"
    return html(body or "", headers=headers)


def go_to(path: str) -> Response[str]:
    """Lead the whole page of an htmx request elsewhere."""
    return html("", headers={"HX-Redirect": path})
