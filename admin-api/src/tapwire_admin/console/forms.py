"""Submitted forms: their fields as the bodies of the REST routes, and an idempotency key.

Each form is rendered with a new key. Sent twice, it takes effect once, and the second answer is made from the stored result. The
result of a handler with `returns_secret` is stored for the sending session alone, as in the REST API.
"""

import hashlib
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Concatenate, Final, ParamSpec, TypeVar

import msgspec
from litestar import Request
from litestar.di import NamedDependency
from msgspec import Struct

from tapwire_admin.access.cookies import CSRF_FIELD
from tapwire_admin.access.personal_data import shown_to
from tapwire_admin.console.field_problems import Problem, read_problem
from tapwire_admin.console.viewer import Viewer
from tapwire_admin.requests.bodies import read_as
from tapwire_admin.requests.idempotency import scope_of, sealing_key_of
from tapwire_core.db.engine import Database
from tapwire_core.domain.shown import Noun
from tapwire_core.errors import Invalid
from tapwire_core.services.idempotency import KeyedRequest, run_once
from tapwire_core.services.shown import Shown, as_shown, takes_shown

KEY_FIELD: Final = "key"
SHOWN_FIELD: Final = "shown"
"""The thing that the page showed, with its values; required by each route that declares `shows`."""
CONFIRMED_FIELD: Final = "confirmed"
"""The unusual amount, in minor units, that the person has confirmed."""
MAX_KEY_LENGTH: Final = 60
AS_TYPED: Final = frozenset({"password", "old_password", "new_password"})
"""Fields whose leading and trailing blanks are kept; they are stripped from all others."""
_INTEGER: Final = re.compile(r"-?[0-9]+")
"""msgspec reads `1.000` as 1, but the person may mean a thousand."""


class UnusualAmount(Invalid):
    """The amount is far above what guests pay: it may be mistyped, so a person confirms it."""

    code = "unusual_amount"


class PageOutOfDate(Invalid):
    """The form lacks what its page showed: it is from an older version of the page."""

    code = "page_out_of_date"


S = TypeVar("S", bound=Struct)
P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class SubmittedForm:
    """A form's non-empty fields."""

    values: Mapping[str, str]
    viewer: Viewer
    db: Database
    request: KeyedRequest | None
    shown: Shown | None = None

    @property
    def required_shown(self) -> Shown:
        """What the page showed; for routes that declare `shows`."""
        assert self.shown is not None
        return self.shown

    @property
    def venue_id(self) -> str:
        """The venue that the page showed; never the one that another tab chose."""
        assert self.required_shown.noun in (Noun.VENUE, Noun.VENUE_SETTINGS, Noun.EMERGENCY_STOP)
        return self.required_shown.key

    def changed(self, **typed: object) -> dict[str, Any]:
        """The typed values that differ from the shown ones: an edit sends these alone."""
        values = self.required_shown.values
        return {name: value for name, value in typed.items() if name not in values or msgspec.to_builtins(value) != values[name]}

    def only(self, names: Iterable[str]) -> "SubmittedForm":
        """The same form, which requires these shown values alone."""
        return replace(self, shown=self.required_shown.only(*names))

    def read(self, body: type[S], *, money: tuple[str, ...] = (), **known: object) -> S:
        """The fields as a body of the REST API; `money` names fields typed as an amount. Raises `Invalid`."""
        present = {field for field in body.__struct_fields__ if field in self.values}
        values: dict[str, object] = {field: self.values[field] for field in present}
        for field in money:
            if field in present:
                values[field] = self.viewer.formats.read_money(self.values[field], field)
        try:
            read: S = read_as(body, {**values, **known}, strict=False)
        except msgspec.ValidationError as error:
            raise read_problem(error) from error
        for field in present.difference(money):
            if type(getattr(read, field)) is int and not _INTEGER.fullmatch(self.values[field]):
                text = f"{field}: {self.values[field][:40]!r} is not a whole number in digits."
                raise Invalid(text, field=field, problem=Problem.NOT_WHOLE)
        return read

    def require_usual(self, amount_minor: int, field: str = "amount_minor") -> None:
        """Raise `UnusualAmount` for an amount far above what guests pay, unless this very amount was confirmed."""
        is_confirmed = self.values.get(CONFIRMED_FIELD) == str(amount_minor)
        if abs(amount_minor) > self.viewer.formats.unusual_minor and not is_confirmed:
            raise UnusualAmount("This amount is unusual: confirm it.", field=field, unusual_minor=amount_minor)

    def flag(self, field: str) -> bool:
        """True for a ticked box."""
        return self.values.get(field) == "true"

    async def once(self, use_case: Callable[Concatenate[Database, P], Awaitable[R]], /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run a use case once for this form, if its thing is as the page showed it; a repeated form gets the stored result."""
        wanted: Callable[..., Awaitable[R]] = use_case
        known: dict[str, Any] = dict(kwargs)
        if self.shown is not None and takes_shown(use_case):
            known["shown"] = self.shown
        elif self.shown is not None:
            wanted = as_shown(use_case, self.shown)
        if self.request is None:
            return await wanted(self.db, *args, **known)
        return await run_once(self.db, self.request, wanted, *args, **known)


Form = NamedDependency[SubmittedForm]


async def provide_form(
    request: Request[Any, Any, Any], db: NamedDependency[Database], viewer: NamedDependency[Viewer]
) -> SubmittedForm:
    """The submitted form."""
    fields = await request.form() if request.method == "POST" else {}
    typed = {name: value for name, value in fields.items() if isinstance(value, str)}
    texts = {name: value if name in AS_TYPED else value.strip() for name, value in typed.items()}
    if any("\0" in value for value in texts.values()):
        raise Invalid("A text must not hold the NUL character.")
    values = {name: value for name, value in texts.items() if value and name not in (KEY_FIELD, CSRF_FIELD, SHOWN_FIELD)}
    key = texts.get(KEY_FIELD, "")[:MAX_KEY_LENGTH]
    keyed = _keyed(request, key, values) if key and request.scope["state"].get("operator") else None
    return SubmittedForm(values, viewer, db, keyed, _shown(request, texts.get(SHOWN_FIELD, "")) if fields else None)


def _shown(request: Request[Any, Any, Any], text: str) -> Shown | None:
    """What the page showed; raises `PageOutOfDate` for a form that lacks it, or shows another thing than its address names."""
    noun: Noun | None = request.route_handler.opt.get("shows")
    if noun is None:
        return None
    try:
        shown = msgspec.json.decode(text, type=Shown)
    except msgspec.DecodeError as error:
        raise PageOutOfDate("Send what the page showed, in the field shown.", field=SHOWN_FIELD) from error
    if shown.noun is not noun or shown.key not in (_key_in_path(noun, request.path_params) or shown.key):
        raise PageOutOfDate("The form shows another thing than its address names.", field=SHOWN_FIELD)
    return shown_to(request, shown)  # a refusal says what the compared values are now


def _key_in_path(noun: Noun, path: Mapping[str, Any]) -> tuple[str, ...]:
    """The key of the thing that a form's address names; empty where the form alone names it."""
    if noun is Noun.TAP:
        return (f"{path['venue']}/taps/{path['tap']}",)
    fields = {Noun.VENUE_SETTINGS: "venue_id", Noun.BALANCE: "guest_id", Noun.USER: "username", Noun.CARD: "card_uid"}
    name = fields.get(noun, f"{noun}_id")
    return (str(path[name]),) if name in path else ()


def _keyed(request: Request[Any, Any, Any], key: str, values: Mapping[str, str]) -> KeyedRequest:
    body_hash = hashlib.sha256(msgspec.json.encode(values, order="sorted")).digest()
    returns_secret = request.route_handler.opt.get("returns_secret")
    return KeyedRequest(scope_of(request), key, body_hash, sealing_key_of(request, key) if returns_secret else None)
