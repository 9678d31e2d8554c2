"""The core's use cases for devices on plain Python values: the real rules of `tapwire_core.domain`, and a model of the schema.

The model can't drift from the SQL: `tests/simulation/test_on_postgres.py` runs the same seeds on both and compares every row.
"""

from dataclasses import dataclass
from uuid import UUID

import msgspec

from tapwire_contracts.codec import encode
from tapwire_contracts.messages import (
    CardPresented,
    FlowRecorded,
    NodeState,
    PourCompleted,
    PourUnknown,
    PriceRuleShown,
    TapConfig,
    UnattributedFlow,
)
from tapwire_contracts.reasons import ConfigStatus, DenyReason, IncidentKind, Phase, Presence, StopReason
from tapwire_core.domain.actor import CORE, Actor
from tapwire_core.domain.answers import denial_message, shown_beverage
from tapwire_core.domain.authorization import Question
from tapwire_core.domain.authorization_changes import answer_question
from tapwire_core.domain.flows import record_new_flow
from tapwire_core.domain.identities import Claims
from tapwire_core.domain.odometers import book_holes
from tapwire_core.domain.settlement import settle_new_report
from tapwire_core.services.pours import report_of_node
from tests.simulation.books.apply import raise_incident, stop_pour
from tests.simulation.books.facts import (
    RULE_ID,
    is_set_back,
    leak_facts,
    odometer_facts,
    overlapping,
    question_facts,
    report_facts,
    shown_price,
    tap_now,
)
from tests.simulation.books.interface import AskedReport, Command, Statement
from tests.simulation.books.operators import OperatorBooks
from tests.simulation.books.rows import AnswerRow, JournalRow, NodeRow
from tests.simulation.books.statement import state_books


@dataclass(slots=True)
class Ledger(OperatorBooks):
    """Books in memory: `Books`, decided by the real rules."""

    async def answer(self, tap: str, asked: CardPresented, new_pour_id: UUID, now_ms: int, *, dies: bool = False) -> str:
        """`services.pours.authorize_pour`."""
        question = Question.of_node(tap, asked)
        earlier = self.tables.answers.get((tap, asked.event_id))
        if earlier is not None and self.deduplicates:
            return self._repeat(question, earlier)
        facts = question_facts(self.tables, question)
        payload, changes = answer_question(question, fingerprint(asked), facts, self.policy, new_pour_id, Actor(tap))
        if not dies:
            self.write(changes, now_ms)
        return payload

    def _repeat(self, question: Question, earlier: AnswerRow) -> str:
        if earlier.pour_id is not None and not self.tables.pours[earlier.pour_id].pending:
            return encode(denial_message(question, DenyReason.STALE_REQUEST, None, self.policy)).decode()
        return earlier.payload

    async def settle(self, tap: str, report: PourCompleted, *, dies: bool = False) -> str:
        """`services.pours.settle_report`."""
        said = report_of_node(tap, report)
        key = (tap, report.pour_id, report.volume_ml, report.odometer_from_ml, report.odometer_to_ml)
        if key in self.tables.verdicts and self.deduplicates:
            return self.tables.verdicts[key]
        met = overlapping(self.tables, tap, report.journal_id, report.odometer_from_ml, report.odometer_to_ml)
        facts = report_facts(self.tables, said, report.journal_id)
        content = msgspec.to_builtins(report)
        settled = settle_new_report(said, report.journal_id, facts, met, self.policy, Actor(tap), content)
        if not dies:
            self.write(settled.changes)
        return settled.payload

    async def record_flow(self, tap: str, flow: UnattributedFlow, *, dies: bool = False) -> str:
        """`services.flows.record_flow`."""
        is_new = (tap, flow.event_id) not in self.tables.flows or not self.deduplicates
        if is_new and not dies:
            self._record_flow(tap, flow)
        return encode(FlowRecorded(event_id=flow.event_id)).decode()

    def _record_flow(self, path: str, flow: UnattributedFlow) -> None:
        changes = self.changes(path, path)
        met = overlapping(self.tables, path, flow.journal_id, flow.odometer_from_ml, flow.odometer_to_ml)
        leak = leak_facts(self.tables, path)
        set_back = is_set_back(self.tables, path, flow.journal_id, flow.boot_id)
        record_new_flow(path, flow, tap_now(self.tables, path), met, leak, self.policy, changes, set_back=set_back)
        self.write(changes)

    async def note_state(self, tap: str, state: NodeState, *, dies: bool = False) -> None:
        """`services.nodes.note_state`."""
        if dies:
            return
        before = self.tables.nodes.get(tap)
        is_in_step = self._store_state(tap, state)
        if state.status is not Presence.ONLINE:
            return
        self._stop_again(tap, state)
        if before is not None and (before.claims or (before.boot_id != state.boot_id and state.boot_id in before.earlier)):
            self._look_at_claims(tap, state)
        self._renew_if_set_back(tap, state)
        if not is_in_step:
            return
        row = self.tables.taps[tap]
        if row.revision != state.config_revision:
            row.revision = max(row.revision, state.config_revision + 1) if state.config_revision > row.revision else row.revision
            self.tables.outbox.append((tap, None))
        covered_ml = self.tables.journals.get((tap, state.journal_id), JournalRow()).covered_ml
        if state.facts_open == 0 and (covered_ml is None or covered_ml < state.odometer_ml):
            self._account_for_odometer(tap, state)

    def _renew_if_set_back(self, tap: str, state: NodeState) -> None:
        journal = self.tables.journals.get((tap, state.journal_id), JournalRow())
        known = state.boot_id in journal.set_back_boots
        suspected = state.boot_id == journal.suspect_boot_id and state.config_revision >= journal.suspect_revision
        if known or suspected:
            changes = self.changes(tap, CORE.name)
            changes.note_set_back(state.journal_id, state.boot_id, known=known)
            self.write(changes)

    def _look_at_claims(self, tap: str, state: NodeState) -> None:
        """`services.identities.look_at_claims`."""
        node = self.tables.nodes[tap]
        if node.claims is None:
            row = self.tables.taps[tap]
            row.revision = max(row.revision, node.config_revision) + 1
            node.claims = Claims(revision=row.revision, boots=(*node.earlier, node.boot_id), made_ms=0)
            self.tables.outbox.append((tap, None))
            return
        claims = node.claims.heard(state.boot_id, state.config_revision)
        if claims is not node.claims and claims.is_conflict:
            self.tables.taps[tap].identity_conflict = True
            changes = self.changes(tap, CORE.name)
            changes.raise_incident(IncidentKind.IDENTITY_CONFLICT, tap, {})
            self.write(changes)
        node.claims = claims

    def _stop_again(self, tap: str, state: NodeState) -> None:
        named = self.tables.pours.get(state.pour_id) if state.pour_id else None
        if named is None or named.tap_path != tap:
            return
        ended = StopReason.FORCE_UNLOCKED if not named.pending and state.phase is Phase.POURING else None
        reason = named.stop_reason or ended
        if reason is not None:
            stop_pour(self.tables, tap, named.granted.pour_id, reason)

    def _store_state(self, tap: str, state: NodeState) -> bool:
        """`db.writes.nodes.store_node_state`; whether the state is of the stored connection."""
        known, is_online = self.tables.nodes.get(tap), state.status is Presence.ONLINE
        if known is None:
            self.tables.nodes[tap] = NodeRow(
                state.boot_id, state.connection, is_online, state.uptime_ms, config_revision=state.config_revision
            )
            return True
        earlier = dict(known.earlier)
        if known.boot_id != state.boot_id:
            is_newer = is_online and state.connection > earlier.pop(state.boot_id, -1)
            earlier[known.boot_id] = known.connection
        elif known.connection != state.connection:
            is_newer = state.connection > known.connection
        else:
            is_newer = known.is_online and (not is_online or state.uptime_ms >= known.uptime_ms)
        if is_newer:
            self.tables.nodes[tap] = NodeRow(
                state.boot_id, state.connection, is_online, state.uptime_ms, earlier, known.claims, state.config_revision
            )
            return True
        return known.is_online and (known.boot_id, known.connection) == (state.boot_id, state.connection)

    def _account_for_odometer(self, tap: str, state: NodeState) -> None:
        facts = odometer_facts(self.tables, tap, state.journal_id)
        if facts is None:
            return
        changes = self.changes(tap, CORE.name)
        hole_ids = [self.new_id() for _ in range(len(facts.stretches) + 1)]
        tap_facts, max_hole_ml = tap_now(self.tables, tap), self.policy.max_report_ml
        book_holes(state.journal_id, state.odometer_ml, facts, tap_facts, hole_ids, max_hole_ml, changes, state.boot_id)
        self.write(changes)

    async def note_unknown(self, tap: str, unknown: PourUnknown) -> None:
        """`services.nodes.note_pour_unknown`."""
        pour = self.tables.pours.get(unknown.pour_id)
        if pour is not None and pour.pending and pour.tap_path == tap:
            raise_incident(self.tables, IncidentKind.JOURNAL_LOST, str(unknown.pour_id), unknown.pour_id)

    async def ask_for_reports(self, now_ms: int) -> list[AskedReport]:
        """`services.nodes.ask_for_reports`; each call asks for all anew."""
        pending = [pour for pour in self.tables.pours.values() if pour.pending]
        for pour in pending:
            if now_ms - pour.authorized_ms > self.policy.sync_timeout_ms:
                pour_id = pour.granted.pour_id
                raise_incident(self.tables, IncidentKind.SYNC_TIMEOUT, str(pour_id), pour_id, count=False)
        return sorted(
            AskedReport(pour.tap_path, pour.granted.pour_id, pour.granted.journal_id)
            for pour in pending
            if not pour.report_refused
            and pour.granted.journal_id is not None
            and now_ms - pour.authorized_ms > self.policy.start_window_ms
        )

    async def take_commands(self) -> list[Command]:
        """`services.outbox.publish_waiting`: commands in order, then each waiting config once."""
        waiting, self.tables.outbox = self.tables.outbox, []
        commands: list[Command] = [(tap, payload) for tap, payload in waiting if payload is not None]
        return [*commands, *((tap, self._config(tap)) for tap in sorted({tap for tap, payload in waiting if payload is None}))]

    async def configs(self) -> list[Command]:
        """`services.outbox.all_configs`."""
        return [(tap, self._config(tap)) for tap in sorted(self.tables.taps)]

    def _config(self, path: str) -> TapConfig:
        tap, shown = self.tables.taps[path], shown_price(self.tables)
        return TapConfig(
            status=ConfigStatus.EMERGENCY_STOP if self.tables.emergency_stop else ConfigStatus(tap.status),
            beverage=shown_beverage("Pils", None, self.tables.abv_hundredths),
            sell_price_per_liter_minor=shown[0] if shown else self.tables.price_minor,
            list_price_per_liter_minor=self.tables.price_minor,
            price_rule=PriceRuleShown(price_rule_id=RULE_ID, name="Happy hour", until=None) if shown else None,
            currency=self.policy.currency,
            pulses_per_liter=tap.pulses_per_liter,
            max_pour_ml=tap.max_pour_ml,
            locale=self.policy.locale,
            revision=tap.revision,
        )

    async def statement(self) -> Statement:
        """All the books as they are now."""
        return state_books(self.tables)


def fingerprint(asked: CardPresented) -> str:
    """Stands for the hash of the question's content: nobody uses an event's id twice here."""
    return asked.event_id.hex * 2
