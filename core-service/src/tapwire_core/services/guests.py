"""Guests: people with an account. A document's number is never stored, only the birth date, or the operator who checked the age."""

from datetime import date
from typing import Final, TypedDict, Unpack
from uuid import UUID, uuid4

from tapwire_contracts.reasons import AuditAction
from tapwire_core.db.engine import use_case
from tapwire_core.db.store import Store
from tapwire_core.db.tables import Guest
from tapwire_core.db.writes import guests as writes
from tapwire_core.db.writes.guests import LockedGuest
from tapwire_core.db.writes.rows import change_row
from tapwire_core.db.writes.search import index_guest
from tapwire_core.domain.actor import Actor
from tapwire_core.domain.names import is_phone, normalize_phone
from tapwire_core.errors import Invalid, NotFound, Refused

FIRST_BIRTH_YEAR: Final = 1900
PERSONAL: Final = frozenset({"first_name", "last_name", "phone", "birth_date"})
"""The fields that say who a guest is."""


class AgeContradictory(Invalid):
    """By the birth date the guest is under age, but was checked to be of age."""

    code = "age_contradictory"


class GuestErased(Refused):
    """The guest was erased: nothing of theirs changes any longer."""

    code = "guest_erased"


class GuestChanges(TypedDict, total=False):
    """Changes of a guest."""

    first_name: str | None
    last_name: str | None
    phone: str | None
    birth_date: date | None
    blocked: bool
    age_checked: bool


async def add_guest(
    store: Store,
    actor: Actor,
    *,
    first_name: str | None = None,
    last_name: str | None = None,
    phone: str | None = None,
    birth_date: date | None = None,
    age_checked: bool = False,
) -> UUID:
    """Add a guest; one without a name is known by the card. `age_checked`: the operator has seen that the guest is of age."""
    phone = _phone_of(phone)
    await _require_past(store, birth_date)
    guest_id = uuid4()
    names = {"first_name": first_name, "last_name": last_name, "phone": phone, "birth_date": birth_date}
    await store.insert(Guest, guest_id=guest_id, **names)
    await index_guest(store, guest_id)
    if age_checked:
        await writes.set_age_check(store, guest_id, actor)
        await _require_consistent_age(store, guest_id)
    await store.audit(AuditAction.GUEST_CREATED, actor, guest_id, details={"age_checked": age_checked})
    return guest_id


create_guest: Final = use_case(add_guest)


@use_case
async def change_guest(store: Store, actor: Actor, guest_id: UUID, **changes: Unpack[GuestChanges]) -> None:
    """Change a guest; a blocked one can't open a visit or pour. `age_checked`: the operator has seen that the guest is of age, or
    withdraws that. The audit log names the changed fields, and no personal data.
    """
    guest = await require_guest(store, guest_id)
    if guest.erasure_due and changes.keys() & PERSONAL:
        raise GuestErased("The guest was erased before a restore: what is left is only to be settled.", guest_id=guest_id)
    if "phone" in changes:
        changes["phone"] = _phone_of(changes["phone"])
    await _require_past(store, changes.get("birth_date"))
    columns = {name: value for name, value in changes.items() if name != "age_checked"}
    await change_row(store, Guest, {"guest_id": guest_id}, columns)
    await index_guest(store, guest_id)
    if "age_checked" in changes:
        await writes.set_age_check(store, guest_id, actor if changes["age_checked"] else None)
    if changes.keys() & {"birth_date", "age_checked"}:
        await _require_consistent_age(store, guest_id)
    audited = {name: value for name, value in changes.items() if name in ("blocked", "age_checked")}
    await store.audit(AuditAction.GUEST_CHANGED, actor, guest_id, details={"changed": sorted(changes), **audited})


@use_case
async def note_personal_read(store: Store, actor: Actor, guest_id: UUID) -> None:
    """Audit that an operator reads a guest's whole telephone number and birth date: once an hour for each operator and guest."""
    if not await writes.has_read_lately(store, guest_id, actor):
        await store.audit(AuditAction.GUEST_READ, actor, guest_id)


async def _require_consistent_age(store: Store, guest_id: UUID) -> None:
    if await writes.contradicts_age_check(store, guest_id):
        raise AgeContradictory(
            "By birth_date the guest is under age, but age_checked says of age: correct one of the two.", field="birth_date"
        )


async def require_guest(store: Store, guest_id: UUID) -> LockedGuest:
    """Lock a guest for a change; raises `NotFound` and `GuestErased`."""
    locked = await writes.lock_guest(store, guest_id)
    if locked is None:
        raise NotFound("guest", guest_id)
    if locked.erased:
        raise erased(guest_id)
    return locked


async def require_guest_of_visit(store: Store, visit_id: UUID) -> None:
    """Raise `GuestErased` for a visit of an erased guest; it has ended, and stays as it is."""
    guest_id = await writes.erased_guest_of_visit(store, visit_id)
    if guest_id is not None:
        raise erased(guest_id)


def erased(guest_id: UUID) -> GuestErased:
    """The refusal that names an erased guest."""
    return GuestErased("The guest was erased: add a new one.", guest_id=guest_id)


def _phone_of(text: str | None) -> str | None:
    phone = normalize_phone(text) if text is not None else None
    if phone is not None and not is_phone(phone):
        raise Invalid("phone is no telephone number: write digits, blanks and ( ) . / -, with + at the start.", field="phone")
    return phone


async def _require_past(store: Store, birth_date: date | None) -> None:
    if birth_date is not None and birth_date.year < FIRST_BIRTH_YEAR:
        raise Invalid(f"birth_date is before {FIRST_BIRTH_YEAR}: check it.", field="birth_date")
    if birth_date is not None and await writes.is_future(store, birth_date):
        raise Invalid("birth_date is in the future: check it.", field="birth_date")
