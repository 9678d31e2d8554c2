"""Choices among many: the first ones, and a search that asks the server for others."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeVar

from tapwire_core.db.views.queries import Page, PageRequest, with_items

SHOWN: Final = 8
"""Choices that are shown; the others are counted, and found by searching."""
FIRST_CHOICES: Final = PageRequest(limit=SHOWN, counted=True)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Choice:
    """A value of a form's field, as people see it; `tag` stands out, `note` stands at the line's end."""

    value: str
    label: str
    note: str = ""
    tag: str = ""


@dataclass(frozen=True, slots=True)
class Choices:
    """A field's choices. `at`: the path that searches them; `none`: the label of the choice of nothing, if that is one."""

    name: str
    at: str
    page: Page[Choice]
    chosen: str | None = None
    none: str | None = None


def choices_of(
    name: str,
    at: str,
    found: Page[T],
    as_choice: Callable[[T], Choice],
    *,
    chosen: T | None = None,
    none: str | None = None,
) -> Choices:
    """The choices of a page of things, with the chosen one before all others."""
    first = [] if chosen is None else [as_choice(chosen)]
    others = [choice for choice in map(as_choice, found.items) if choice not in first]
    return Choices(name, at, with_items(found, [*first, *others]), first[0].value if first else None, none)
