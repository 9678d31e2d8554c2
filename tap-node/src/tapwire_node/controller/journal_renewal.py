"""A new journal in place of one that was set back (`renew_journal`; SYSTEM.md, "Conclusions from a device's own word").

The journal keeps its facts, and they are still sent as those of the old id; questions and new facts are of the new one. It changes
only while nothing flows and nothing is asked, so that no question or fact is of both.
"""

from dataclasses import replace

from tapwire_node.controller.closed_valve_flow import begin_leak, end_leak
from tapwire_node.controller.effects import Effects, LogLine, RaiseAlarm, ResendFacts, WriteRenewal
from tapwire_node.controller.events import JournalRenewed, Moment, RenewalRequested
from tapwire_node.controller.state import State, StepResult


def receive_renewal(state: State, event: RenewalRequested) -> StepResult:
    """Record the order; one for another journal is ignored."""
    journal = state.journal
    if event.renew.journal_id != journal.journal_id or journal.renewal_due:
        return state, ()
    alarm = RaiseAlarm("the core says that this tap's journal was set back to an older copy, or cloned: a new one begins")
    return replace(state, journal=replace(journal, renewal_due=True)), (alarm, ResendFacts())


def renew_if_due(state: State, at: Moment) -> StepResult:
    """Begin the new journal as soon as the tap is at rest; what has flowed without a fact becomes one of the old journal."""
    journal, leftover = state.journal, state.closed_valve_flow
    is_free = state.is_at_rest and state.question is None and state.grant is None and not journal.pending_writes
    if not journal.renewal_due or journal.renewing or not journal.writable or not is_free:
        return state, ()
    effects: Effects = ()
    if leftover.seen_ml > leftover.from_ml:
        state, begun = begin_leak(state, replace(leftover, going_on=True), at)
        state, ended = end_leak(state, at)
        effects = (*begun, *ended)
    renewal = WriteRenewal(at.new_id("journal"))
    return replace(state, journal=replace(state.journal, renewing=True)), (*effects, renewal)


def observe_renewed(state: State, event: JournalRenewed) -> StepResult:
    """Go on with the new journal."""
    journal = replace(state.journal, journal_id=event.journal_id, renewal_due=False, renewing=False)
    return replace(state, journal=journal), (LogLine(f"the journal is now {event.journal_id}"),)
