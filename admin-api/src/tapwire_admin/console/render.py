"""Rendering of templates to HTML in one language, and answers to htmx with events for the page."""

import functools
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit
from uuid import uuid4

import msgspec
import segno
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from litestar import Response
from litestar.enums import MediaType
from markupsafe import Markup

from tapwire_admin.console.assets import asset
from tapwire_admin.console.labels import WORDS
from tapwire_admin.console.libraries import Icon, read_icon
from tapwire_admin.console.menu import MENU
from tapwire_admin.console.translations import N_, translations
from tapwire_contracts.reasons import Locale
from tapwire_core.domain.names import ERASED_GUEST
from tapwire_core.services.shown import Shown

TEMPLATES: Final = Path(__file__).parent / "templates"
LOCAL_HOSTS: Final = frozenset({"localhost", "127.0.0.1", "::1"})
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
"""Colour of a beverage in its keg's picture, by the start of a word of its style or name."""


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
        "qr_code": qr_code,
        "is_local": is_local,
        "shown_json": shown_json,
        "liquid": liquid,
        "label_of": functools.partial(label_of, locale),
        "who": functools.partial(who, locale),
    }
    return made


def render(locale: Locale, template: str, context: Mapping[str, Any]) -> str:
    """A template as text."""
    return environment(locale).get_template(template).render(context)


def label_of(locale: Locale, kind: str, word: str | None) -> str:
    """The label of a closed set's word; an unknown word is shown unchanged."""
    if word is None:
        return "–"
    text = WORDS[kind].get(word)
    return translations(locale).gettext(text) if text else str(word)


def who(locale: Locale, name: str | None) -> str | None:
    """A guest's name; that of an erased one is in the reader's language."""
    return translations(locale).gettext(N_("Erased guest")) if name == ERASED_GUEST else name


def liquid(style: str | None, name: str | None) -> str:
    """The colour of a beverage in its keg's picture."""
    words = f"{style or ''} {name or ''}".lower().split()
    return next((look for start, look in _LIQUIDS.items() if any(word.startswith(start) for word in words)), "gold")


@functools.cache
def icon(name: Icon) -> Markup:
    """An icon; hidden from screen readers, since a text stands beside it."""
    drawing = read_icon(name)
    inside = drawing[drawing.index(">", drawing.index("<svg")) + 1 : drawing.rindex("</svg>")].strip()
    return Markup(  # noqa: S704  a file of ours
        '<svg class="icon" viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="2" stroke-linecap="round" '
        f'stroke-linejoin="round" aria-hidden="true" focusable="false">{inside}</svg>'
    )


def qr_code(text: str) -> Markup:
    """A QR code as SVG: black on white in each theme, since cameras need the contrast."""
    code = segno.make(text, micro=False)
    drawing = code.svg_inline(border=4, dark="#000", light="#fff", omitsize=True, svgclass=None, lineclass=None)
    return Markup(drawing)  # noqa: S704  it has no text


def is_local(url: str) -> bool:
    """True for an address that other machines don't reach."""
    return urlsplit(url).hostname in LOCAL_HOSTS


def new_key() -> str:
    """A new form's idempotency key."""
    return str(uuid4())


def shown_json(shown: Shown) -> str:
    """What a page shows, for the hidden field of its forms."""
    return msgspec.json.encode(shown).decode()


def html(content: str, status_code: int = 200, headers: Mapping[str, str] | None = None) -> Response[str]:
    """An answer of HTML."""
    return Response(content, status_code=status_code, media_type=MediaType.HTML, headers=dict(headers or {}))


def done(
    message: str | None = None,
    *,
    changed: Sequence[str] = (),
    close: bool = True,
    body: str | None = None,
    undo: tuple[str, str] | None = None,
) -> Response[str]:
    """The answer to a successful form: closes its dialog, shows a message, and names the changed parts.

    `undo`: label and address of the dialog that takes it back, for a button beside the message.
    """
    events: dict[str, Any] = {"changed": {"topics": list(changed)}} if changed else {}
    if message:
        events["said"] = {"text": message, "undo": undo and {"label": undo[0], "path": undo[1]}}
    if close:
        events["closeDialog"] = {}
    headers = {"HX-Trigger": json.dumps(events)} if events else {}
    if body is None:
        headers["HX-Reswap"] = "none"
    return html(body or "", headers=headers)


def go_to(path: str) -> Response[str]:
    """Redirect the whole page of an htmx request."""
    return html("", headers={"HX-Redirect": path})
