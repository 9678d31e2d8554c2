"""Guests' own pages of this process: reading by token, what flows at this moment, and how often one may look.

A token that is known is limited by itself, so that all telephones of a bar, which have one address, don't share a limit. Only
tokens that open nothing are counted for the address that they came from.
"""

import asyncio
import time
from typing import Any, Final

from litestar import Request

from tapwire_admin.live import Live, LiveKind
from tapwire_core.db.engine import Database
from tapwire_core.db.views.guest_pages import read_pages
from tapwire_core.domain.guest_pages import GuestPageView, PageFacts, PendingPour, TopUpOffer, show_page
from tapwire_core.services.decision_rates import DecisionRates, RateLimited
from tapwire_core.services.guest_pages import TOKEN_LENGTH, unknown_page
from tapwire_core.services.receipts import get_receipt
from tapwire_core.services.sessions import hash_token

LOOKS_PER_HOUR: Final = 7_200
"""Looks at one page, by all who have its address: three telephones side by side while their guest pours."""
LOOKS_AT_ONCE: Final = 240
WRONG_TOKENS_PER_HOUR: Final = 3_600
"""Tokens that open nothing, from one address: a whole bar whose pages have just ended may look once more."""
WRONG_TOKENS_AT_ONCE: Final = 1_200


class TooManyLooks(RateLimited):
    """The page is asked for too often; or too many addresses of no page came from this address."""


class _Reads:
    """Reads of pages, joined: those that come while one query runs are the next one. So hundreds of telephones cost few queries."""

    def __init__(self, db: Database) -> None:
        self._db: Final = db
        self._asked: set[bytes] = set()
        self._running: asyncio.Task[dict[bytes, PageFacts]] | None = None
        self._next: asyncio.Task[dict[bytes, PageFacts]] | None = None

    async def read(self, token_hash: bytes) -> PageFacts | None:
        """The facts as of now; raises what the query raises, for all who wait for it."""
        self._asked.add(token_hash)
        if self._next is None:
            self._next = asyncio.create_task(self._read_after(self._running))
        # a telephone that leaves cancels its own wait alone
        return (await asyncio.shield(self._next)).get(token_hash)

    async def _read_after(self, before: asyncio.Task[Any] | None) -> dict[bytes, PageFacts]:
        """Read all that is asked for until the query before has ended."""
        if before is not None:
            await asyncio.wait([before])
        asked, self._asked = self._asked, set()
        self._running, self._next = self._next, None
        return await read_pages(self._db, list(asked))


class GuestPages:
    """The pages, and who looks at them."""

    def __init__(self, db: Database, live: Live, *, takes_payments: bool = False) -> None:
        self._db: Final = db
        self._reads: Final = _Reads(db)
        self._live: Final = live
        limits = TopUpOffer(min_minor=db.policy.payment_min_minor, max_minor=db.policy.payment_max_minor)
        self._payable: Final = limits if takes_payments else None
        self.looks: Final = DecisionRates(LOOKS_PER_HOUR, LOOKS_AT_ONCE)
        self.wrong_tokens: Final = DecisionRates(WRONG_TOKENS_PER_HOUR, WRONG_TOKENS_AT_ONCE)

    async def get(self, request: Request[Any, Any, Any], token: str) -> GuestPageView:
        """The page as of now; raises as `find` does."""
        facts = await self.find(request, token)
        policy = self._db.policy
        longest_ms = policy.max_duration_ms + policy.start_window_ms
        receipt = await get_receipt(self._db, facts.visit_id) if facts.closed_at else None
        return show_page(facts, policy.currency, longest_ms, self._live_ml(facts.pending), receipt, self._payable)

    async def find(self, request: Request[Any, Any, Any], token: str) -> PageFacts:
        """The facts of a token's visit; raises `NotFound` for a token that opens nothing, and `TooManyLooks`.

        The token is looked up before anything is counted: unknown and ended ones cost the same, and a guest is never refused for
        what others at the same address did.
        """
        token_hash = hash_token(token)
        found = await self._reads.read(token_hash) if len(token) == TOKEN_LENGTH else None
        if found is None:
            address = request.client.host if request.client else ""
            _count(self.wrong_tokens, address, "Too many addresses of no page came from here: wait, and scan the code again.")
            raise unknown_page()
        _count(self.looks, token_hash.hex(), "This page is asked for too often: wait a moment.")
        return found

    def _live_ml(self, pending: PendingPour | None) -> int | None:
        """What the tap says has flowed of a pour; None when it says nothing of this one."""
        said = self._live.newest(LiveKind.PROGRESS, pending.tap_path) if pending else None
        return int(said["volume_ml"]) if said and pending and said["pour_id"] == str(pending.pour_id) else None


def _count(rates: DecisionRates, key: str, text: str) -> None:
    now_s = time.monotonic()
    if rates.is_due(now_s):
        rates.take_undecided(now_s)  # forgets those with a full allowance
    if not rates.admit(key, now_s):
        raise TooManyLooks(text, retry_after_ms=rates.retry_after_ms(key))
