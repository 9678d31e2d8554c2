"""Forms act on what their page showed: a use case is refused when that has changed meanwhile.

A page reads the values before anything else that it shows, so that a change in between is refused, never missed.
"""

import functools
import inspect
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar
from uuid import UUID

from msgspec import Struct

from tapwire_core.db.engine import is_urgent, urgent_use_case, use_case
from tapwire_core.db.store import Store
from tapwire_core.db.writes.shown import read_values
from tapwire_core.domain.shown import Noun
from tapwire_core.errors import NotFound, Refused

R = TypeVar("R")


class ChangedMeanwhile(Refused):
    """The thing is no longer as the page showed it, or as the request expects it."""

    code = "changed_meanwhile"


class Shown(Struct, frozen=True):
    """A thing as a page showed it: its key and its values, as JSON has them."""

    noun: Noun
    key: str
    values: dict[str, Any]

    def only(self, *names: str) -> "Shown":
        """The same thing with these values alone: those that a change touches."""
        return Shown(self.noun, self.key, {name: value for name, value in self.values.items() if name in names})


@use_case
async def read_shown(store: Store, noun: Noun, key: UUID | str) -> Shown:
    """A thing as its page shows it; raises `NotFound`."""
    values = await read_values(store, noun, str(key), lock=False)
    if values is None:
        raise NotFound(noun.value, key)
    return Shown(noun, str(key), values)


async def require_as_shown(store: Store, shown: Shown | None) -> None:
    """Lock a thing and raise `ChangedMeanwhile` unless it still has the shown values; part of a larger use case."""
    if shown is None:
        return
    now = await read_values(store, shown.noun, shown.key, lock=True)
    if now is None:
        raise NotFound(shown.noun.value, shown.key)
    changed = [
        {"field": name, "shown": value, "now": now.get(name)} for name, value in shown.values.items() if now.get(name) != value
    ]
    if changed:
        fields = ", ".join(str(one["field"]) for one in changed)
        raise ChangedMeanwhile(f"This has changed meanwhile: {fields}. Read it again.", changed=changed)


def takes_shown(wanted: Callable[..., Any]) -> bool:
    """True for a use case that requires its thing as shown by itself, where the order of its locks needs it."""
    return "shown" in inspect.signature(inspect.unwrap(wanted)).parameters


def as_shown(wanted: Callable[..., Awaitable[R]], shown: Shown) -> Callable[..., Awaitable[R]]:
    """A use case that first requires its thing as shown, in the same transaction."""
    steps: Callable[..., Awaitable[R]] = inspect.unwrap(wanted)

    @functools.wraps(steps)
    async def checked(store: Store, /, *args: Any, **kwargs: Any) -> R:
        await require_as_shown(store, shown)
        return await steps(store, *args, **kwargs)

    del checked.__wrapped__  # the idempotent run unwraps a use case down to its steps: these are its steps
    return (urgent_use_case if is_urgent(wanted) else use_case)(checked)
