"""A guest's personal data: whole for a shift lead on the guest's own page, which is audited; masked everywhere else."""

from typing import Any
from uuid import UUID

from litestar.connection import ASGIConnection

from tapwire_admin.access.auth import SHIFT_LEAD, actor_of, may, operator_of
from tapwire_admin.requests.parameters import require_found
from tapwire_core.db.engine import Database
from tapwire_core.db.views.guests import PERSONAL, GuestView, get_guest, masked
from tapwire_core.domain.shown import Noun
from tapwire_core.services.guests import note_personal_read
from tapwire_core.services.shown import Shown


def may_read_personal_data(connection: ASGIConnection[Any, Any, Any, Any]) -> bool:
    """True if the operator reads guests' whole telephone numbers and birth dates."""
    return may(operator_of(connection), SHIFT_LEAD)


async def guest_on_own_page(db: Database, connection: ASGIConnection[Any, Any, Any, Any], guest_id: UUID) -> GuestView:
    """A guest as this operator may read one; whole personal data are audited first. Raises `NotFound`."""
    guest = require_found(await get_guest(db, guest_id), "guest", guest_id)
    if not may_read_personal_data(connection):
        return masked(guest)
    if guest.has_personal_data:
        await note_personal_read(db, actor_of(connection), guest_id)
    return guest


def shown_to(connection: ASGIConnection[Any, Any, Any, Any], shown: Shown) -> Shown:
    """What a page shows of a thing to this operator, and compares when its form comes back."""
    if shown.noun is Noun.CARD:
        hidden = "in_visit" if operator_of(connection).scope.is_all else "visit_id"  # the visit may be at another venue
        return shown.only(*(name for name in shown.values if name != hidden))
    if shown.noun is not Noun.GUEST or may_read_personal_data(connection):
        return shown
    return shown.only(*(name for name in shown.values if name not in PERSONAL))
