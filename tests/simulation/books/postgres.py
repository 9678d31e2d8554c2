"""The same use cases as services on a real database, with virtual time."""

from collections import Counter
from collections.abc import Awaitable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import time
from decimal import Decimal
from inspect import unwrap
from typing import Any, Final
from uuid import UUID

import msgspec
from msgspec.structs import replace

from tapwire_contracts.codec import encode
from tapwire_contracts.messages import CardPresented, NodeState, PourCompleted, PourUnknown, TapConfig, UnattributedFlow
from tapwire_contracts.topics import DevicePath
from tapwire_core.db.engine import Database
from tapwire_core.domain.actor import Actor
from tapwire_core.domain.authorization import Question
from tapwire_core.domain.check_outs import CheckOutWish
from tapwire_core.domain.closed_sets import CashKind, KegFinish, PaymentMethod, Role, TapStatus
from tapwire_core.domain.serving_limits import ServingLimit
from tapwire_core.errors import DomainError
from tapwire_core.services import (
    beverages,
    cards,
    check_outs,
    money,
    pour_recovery,
    price_rules,
    shift_cash,
    shifts,
    taps,
    venues,
    visits,
)
from tapwire_core.services.flows import record_flow
from tapwire_core.services.nodes import ask_for_reports, note_pour_unknown, note_state
from tapwire_core.services.outbox import all_configs, publish_waiting
from tapwire_core.services.pours import Answered, RawMessage, authorize_pour, report_of_node, settle_report
from tapwire_core.services.price_rules import PriceRuleFields
from tapwire_core.services.receipts import get_receipt
from tapwire_core.services.visits import Party
from tests.simulation.books import sql
from tests.simulation.books.facts import RULE_ID
from tests.simulation.books.interface import (
    Account,
    AskedReport,
    Command,
    GapLine,
    JournalLine,
    MoneyLine,
    PourLine,
    Refusal,
    Statement,
    StockLine,
    StretchLine,
    TapLine,
    VisitLine,
)
from tests.simulation.books.ledger import fingerprint

ENGINEER: Final = Actor("engineer")
WHY: Final = "no report"


class Died(Exception):
    """A worker died with its transaction open."""


@dataclass(slots=True)
class PostgresBooks:
    """`Books` on a database. `authorized_ms` is when each pour was granted, in virtual time."""

    db: Database
    venue_id: str
    beverage_id: UUID
    authorized_ms: dict[UUID, int] = field(default_factory=dict)

    async def answer(self, tap: str, asked: CardPresented, new_pour_id: UUID, now_ms: int, *, dies: bool = False) -> str:
        """A question's answer."""
        arguments = (Question.of_node(tap, asked), fingerprint(asked), Actor(tap), new_pour_id)
        self.authorized_ms[new_pour_id] = now_ms
        answered = await self._run(authorize_pour, *arguments, dies=dies)
        assert isinstance(answered, Answered)
        return answered.payload

    async def settle(self, tap: str, report: PourCompleted, *, dies: bool = False) -> str:
        """A report's verdict."""
        arguments = (report_of_node(tap, report), report.journal_id, Actor(tap), msgspec.to_builtins(report), _raw(tap, report))
        return str(await self._run(settle_report, *arguments, dies=dies))

    async def record_flow(self, tap: str, flow: UnattributedFlow, *, dies: bool = False) -> str:
        """The answer to a flow without a grant."""
        return str(await self._run(record_flow, DevicePath.parse(tap), flow, _raw(tap, flow), dies=dies))

    async def note_state(self, tap: str, state: NodeState, *, dies: bool = False) -> None:
        """A node's state."""
        await self._run(note_state, DevicePath.parse(tap), state, dies=dies)

    async def note_unknown(self, tap: str, unknown: PourUnknown) -> None:
        """A node has lost the journal of a pour."""
        await note_pour_unknown(self.db, DevicePath.parse(tap), unknown)

    async def _run(self, use_case: Any, *arguments: object, dies: bool) -> Any:
        """A use case, or all of it but its commit."""
        if not dies:
            return await use_case(self.db, *arguments)
        result = None
        with suppress(Died):
            async with self.db.transaction() as store:
                result = await unwrap(use_case)(store, *arguments)
                raise Died
        return result

    async def ask_for_reports(self, now_ms: int) -> list[AskedReport]:
        """Pours whose report is asked for now; virtual time has passed for them."""
        await self.db.pool.executemany(
            """UPDATE pours SET authorized_at = now() - $2 * interval '1 millisecond'
               WHERE pour_id = $1 AND sync_status = 'pending_sync'""",
            [(pour_id, now_ms - granted_ms) for pour_id, granted_ms in self.authorized_ms.items()],
        )
        return sorted(AskedReport(asked.tap_path, asked.pour_id, asked.journal_id) for asked in await ask_for_reports(self.db, 0))

    async def take_commands(self) -> list[Command]:
        """The outbox's contents."""
        taken: list[Command] = []
        configs: dict[str, TapConfig] = {}

        async def send_command(tap: str, payload: str) -> None:
            taken.append((tap, payload))

        async def send_config(tap: str, config: TapConfig) -> None:
            configs[tap] = _without_id(config)

        while await publish_waiting(self.db, send_command, send_config):
            pass
        return [*taken, *sorted(configs.items())]

    async def configs(self) -> list[Command]:
        """The config of every tap."""
        return [(tap, _without_id(config)) for tap, config in sorted((await all_configs(self.db)).items())]

    # ── operators ───────────────────────────────────────────────────────────

    async def open_visit(self, guest_id: UUID, card_uid: str, visit_id: UUID, patrons: int = 1) -> UUID | str:
        """Open a visit and issue its card."""
        party = Party(patrons=patrons, reason="a round")
        try:
            opened = await visits.open_and_assign_card(self.db, ENGINEER, self.venue_id, guest_id, card_uid, party)
        except DomainError as refused:
            return refused.code
        return opened.visit_id

    async def assign_card(self, visit_id: UUID, card_uid: str) -> Refusal:
        """Give a visit another card."""
        return await _refusal(visits.assign_card(self.db, ENGINEER, visit_id, card_uid))

    async def close_visit(self, visit_id: UUID, *, void_pending: bool) -> Refusal:
        """Close a visit."""
        if void_pending:
            return await _refusal(visits.void_and_close_visit(self.db, ENGINEER, visit_id, None, WHY))
        return await _refusal(visits.close_visit(self.db, ENGINEER, visit_id))

    async def set_deposit(self, deposit_minor: int) -> Refusal:
        """Another deposit for cards."""
        return await _refusal(venues.change_venue(self.db, ENGINEER, self.venue_id, card_deposit_minor=deposit_minor))

    async def check_out(self, visit_id: UUID, *, pays_out: bool, card_returned: bool) -> int | str:
        """Check a guest out, whatever is unpaid."""
        payout = PaymentMethod.CASH if pays_out else None
        wish = CheckOutWish(payout=payout, card_returned=card_returned, despite_incidents=True, reason=WHY)
        try:
            await check_outs.check_out(self.db, ENGINEER, visit_id, wish)
        except DomainError as refused:
            return refused.code
        receipt = await get_receipt(self.db, visit_id)
        return receipt.paid_out_minor

    async def expire(self, visit_id: UUID) -> Refusal:
        """A visit's end passes, as if it had been opened long before."""
        await self.db.pool.execute("UPDATE visits SET valid_until = now() - interval '1 s' WHERE visit_id = $1", visit_id)
        return None

    async def extend(self, visit_id: UUID) -> Refusal:
        """Let a visit last longer."""
        return await _refusal(visits.extend(self.db, ENGINEER, visit_id, 1))

    async def reconcile(self, visit_id: UUID, volume_ml: int, pour_id: UUID | None) -> Refusal:
        """Settle a pour by hand."""
        return await _refusal(
            pour_recovery.reconcile_pour(self.db, ENGINEER, visit_id, volume_ml=volume_ml, reason=WHY, pour_id=pour_id)
        )

    async def unlock(self, visit_id: UUID, pour_id: UUID | None) -> Refusal:
        """Void a pour by force."""
        return await _refusal(pour_recovery.force_unlock(self.db, ENGINEER, visit_id, reason=WHY, pour_id=pour_id))

    async def top_up(self, guest_id: UUID, amount_minor: int) -> Refusal:
        """Take a guest's money."""
        return await _refusal(money.top_up(self.db, ENGINEER, guest_id, amount_minor, PaymentMethod.CASH))

    async def refund(self, guest_id: UUID, amount_minor: int) -> Refusal:
        """Give a guest money back."""
        return await _refusal(money.refund(self.db, ENGINEER, guest_id, amount_minor, PaymentMethod.CASH, WHY))

    async def comp(self, guest_id: UUID, amount_minor: int, pour_id: UUID | None = None) -> Refusal:
        """Give a guest money of the house."""
        return await _refusal(money.comp(self.db, ENGINEER, guest_id, amount_minor, WHY, pour_id))

    async def adjust(self, guest_id: UUID, amount_minor: int, pour_id: UUID | None = None) -> Refusal:
        """Correct a balance."""
        return await _refusal(money.adjust(self.db, ENGINEER, guest_id, amount_minor, WHY, pour_id))

    async def lose_card(self, card_uid: str) -> Refusal:
        """A card is reported lost."""
        return await _refusal(cards.report_card_lost(self.db, ENGINEER, card_uid, WHY))

    async def restore_card(self, card_uid: str) -> Refusal:
        """A lost card is found."""
        return await _refusal(cards.restore_card(self.db, ENGINEER, card_uid, WHY))

    async def set_tap_status(self, tap: str, status: TapStatus) -> Refusal:
        """Take a tap out of service, or put it back."""
        return await _refusal(taps.change_tap(self.db, ENGINEER, tap, status=status, reason=WHY))

    async def stop_tap(self, tap: str) -> Refusal:
        """End what pours at a tap."""
        return await _refusal(taps.stop_tap(self.db, ENGINEER, tap, WHY))

    async def put_keg(self, tap: str, keg_id: UUID, finish: KegFinish = KegFinish.SWAPPED) -> Refusal:
        """Put another keg on a tap, and say what became of the old one."""
        return await _refusal(taps.put_keg(self.db, ENGINEER, tap, keg_id, finish=finish, reason=WHY, role=Role.SHIFT_LEAD))

    async def set_price(self, price_minor: int) -> Refusal:
        """Another price a litre."""
        return await _refusal(
            beverages.change_beverage(self.db, ENGINEER, self.beverage_id, sell_price_per_liter_minor=price_minor)
        )

    async def set_serving_limit(self, limit: ServingLimit | None) -> Refusal:
        """Set the venue's serving limit, or remove it."""
        return await _refusal(venues.change_venue(self.db, ENGINEER, self.venue_id, serving_limit=limit))

    async def set_strength(self, abv_hundredths: int | None) -> Refusal:
        """Set the beverage's strength."""
        abv = None if abv_hundredths is None else Decimal(abv_hundredths) / 100
        return await _refusal(beverages.change_beverage(self.db, ENGINEER, self.beverage_id, abv=abv))

    async def rearm(self, visit_id: UUID) -> Refusal:
        """Let a guest go on after the serving limit."""
        return await _refusal(visits.rearm(self.db, ENGINEER, visit_id, WHY))

    async def set_alcohol(self, visit_id: UUID, allowed: bool) -> Refusal:
        """Allow a visit alcohol, or refuse it."""
        return await _refusal(visits.set_alcohol(self.db, ENGINEER, visit_id, allowed=allowed, reason=WHY))

    async def set_happy_hour(self, percent_off: int | None) -> Refusal:
        """A price rule that is on all the time; the one before is changed or deleted."""
        rule_id = await self.db.pool.fetchval("SELECT price_rule_id FROM price_rules WHERE deleted_at IS NULL")
        if percent_off is not None and rule_id is not None:
            await price_rules.change_price_rule(self.db, ENGINEER, rule_id, percent_off=percent_off)
        elif percent_off is not None:
            always = PriceRuleFields(
                name="Happy hour", weekdays=[*range(1, 8)], from_time=time(), to_time=time(), percent_off=percent_off
            )
            await price_rules.create_price_rule(self.db, ENGINEER, self.venue_id, **always)
        elif rule_id is not None:
            await price_rules.delete_price_rule(self.db, ENGINEER, rule_id)
        await price_rules.publish_new_prices(self.db)
        return None

    async def set_emergency_stop(self, *, on: bool) -> Refusal:
        """Stop every tap, or let them go on."""
        change = venues.stop_venue if on else venues.release_venue
        return await _refusal(change(self.db, ENGINEER, self.venue_id, WHY))

    async def count_cash_from_next_shift(self) -> Refusal:
        """From its next shift on the venue counts its cash."""
        return await _refusal(venues.change_venue(self.db, ENGINEER, self.venue_id, count_cash=True))

    async def count_drawer(self, counted_minor: int) -> Refusal:
        """Count the open shift's drawer."""
        return await _refusal(
            shift_cash.count_drawer(self.db, ENGINEER, Role.SHIFT_LEAD, await self._open_shift_id(), counted_minor, WHY)
        )

    async def move_cash(self, kind: CashKind, amount_minor: int) -> Refusal:
        """Pay cash into the open shift's drawer, or out of it."""
        return await _refusal(shift_cash.book_cash(self.db, ENGINEER, await self._open_shift_id(), kind, amount_minor, WHY))

    async def _open_shift_id(self) -> UUID:
        found: UUID = await self.db.pool.fetchval("SELECT shift_id FROM shifts WHERE status = 'open'")
        return found

    async def close_shift(self, counted_minor: int | None = None) -> Refusal:
        """Close the shift."""
        return await _refusal(shifts.close_shift(self.db, ENGINEER, self.venue_id, counted_minor=counted_minor))

    async def open_shift(self, float_minor: int = 0) -> Refusal:
        """Open a shift."""
        return await _refusal(shifts.open_shift(self.db, ENGINEER, self.venue_id, float_minor))

    # ── the books ───────────────────────────────────────────────────────────

    async def statement(self) -> Statement:
        """All the books as they are now."""
        async with self.db.snapshot() as store:
            read = store.connection.fetch
            return Statement(
                guests={key: Account(*line) for key, *line in await read(sql.GUESTS)},
                kegs=dict(await read(sql.KEGS)),
                taps={key: TapLine(*line) for key, *line in await read(sql.TAPS)},
                visits={key: VisitLine(*line) for key, *line in await read(sql.VISITS)},
                pours={key: PourLine(*line) for key, *line in await read(sql.POURS)},
                journals={(tap, key): JournalLine(*line) for tap, key, *line in await read(sql.JOURNALS)},
                stretches=Counter(StretchLine(*line) for line in await read(sql.STRETCHES)),
                stock=Counter(StockLine(*line) for line in await read(sql.STOCK)),
                money=Counter(MoneyLine(*line) for line in await read(sql.MONEY)),
                incidents={(kind, cause): occurrences for kind, cause, occurrences in await read(sql.INCIDENTS)},
                gaps={cause: GapLine(*line) for cause, *line in await read(sql.GAPS)},
                audited=dict(await read(sql.AUDITED)),
                served=dict(await read(sql.SERVED)),
                deposits=dict(await read(sql.DEPOSITS)),
            )


def _raw(tap: str, message: PourCompleted | UnattributedFlow) -> RawMessage:
    return RawMessage(DevicePath.parse(tap).topic("pour/completed"), encode(message))


async def _refusal(attempt: Awaitable[object]) -> Refusal:
    try:
        await attempt
    except DomainError as refused:
        return refused.code
    return None


def _without_id(config: TapConfig) -> TapConfig:
    """A config without the random id of its price rule."""
    rule = config.price_rule
    return replace(config, price_rule=replace(rule, price_rule_id=RULE_ID)) if rule else config
