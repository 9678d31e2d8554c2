"""Receipts of visits, read past the views of some venues: of an account a receipt has the sums alone."""

from uuid import UUID

from tapwire_core.db.engine import Database
from tapwire_core.db.writes import receipts
from tapwire_core.domain.receipts import Receipt
from tapwire_core.errors import NotFound


async def get_receipt(db: Database, visit_id: UUID) -> Receipt:
    """The receipt of a visit, which the caller may see; raises `NotFound`."""
    async with db.snapshot() as store:
        receipt = await receipts.read_receipt(store, visit_id, db.scope)
    if receipt is None:
        raise NotFound("visit", visit_id)
    return receipt
