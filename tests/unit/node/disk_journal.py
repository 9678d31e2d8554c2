"""Helpers of the journal's tests: a journal file, the boots that open it, and writes to it."""

from pathlib import Path
from uuid import UUID, uuid4

from tapwire_contracts.messages import Display, PourAuthorized, PourCompleted, UnattributedFlow
from tapwire_contracts.reasons import EndReason, FlowCause
from tapwire_node.controller.flow_facts import Fact
from tapwire_node.controller.odometer import Odometer
from tapwire_node.journal import DiskReserve, Journal
from tests.unit.node.controller_bench import CARD

PATH = "bar/taps/left"
PAGE_BYTES = 4_096


class DiskJournal:
    """One journal file, and the boots that open it."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "journal.sqlite"
        self.opened: list[Journal] = []
        self.reserve: DiskReserve | None = None

    def boot(self, path: str = PATH, file: Path | None = None) -> Journal:
        """Open it as a new boot does."""
        journal = Journal.open(file or self.file, path, uuid4(), self.reserve)
        self.opened.append(journal)
        return journal

    def cut_power(self) -> Journal:
        """End the process without closing; the next boot opens the file."""
        self.opened[-1]._lock.close()
        return self.boot()

    def corrupt(self, at: int | None = None) -> None:
        """Overwrite a page of the file, or all of it, with garbage."""
        self.opened[-1].close()
        content = bytearray(self.file.read_bytes())
        content[at or 0 : None if at is None else at + PAGE_BYTES] = b"\xa5" * (len(content) if at is None else PAGE_BYTES)
        self.file.write_bytes(content)

    def restart(self) -> Journal:
        """The program ends cleanly and starts again."""
        self.opened[-1].close()
        return self.boot()


def odometer(ml: int, remainder: int = 0) -> Odometer:
    return Odometer(ml=ml, remainder=remainder, pulses=0, pulses_per_liter=450)


def grant(pour_id: UUID | None = None) -> PourAuthorized:
    return PourAuthorized(
        request_id=uuid4(),
        pour_id=pour_id or uuid4(),
        card_uid=CARD,
        max_volume_ml=500,
        max_duration_ms=300_000,
        idle_timeout_ms=15_000,
        display=Display(message=""),
    )


def report(journal: Journal, pour_id: UUID, from_ml: int, to_ml: int, reason: EndReason = EndReason.CARD_REMOVED) -> Fact:
    message = PourCompleted(
        pour_id=pour_id,
        card_uid=CARD,
        volume_ml=to_ml - from_ml,
        duration_ms=3_000,
        end_reason=reason,
        interrupted=False,
        started_at="2026-01-01T00:00:00.000+00:00",
        age_ms=None,
        odometer_from_ml=from_ml,
        odometer_to_ml=to_ml,
        journal_id=journal.journal_id,
        boot_id=journal._boot_id,
    )
    return Fact(message, ended_ms=77)


def never_started(journal: Journal, pour_id: UUID) -> Fact:
    return report(journal, pour_id, 0, 0, EndReason.NEVER_STARTED)


def flow(journal: Journal, from_ml: int, to_ml: int, event_id: UUID | None = None) -> Fact:
    message = UnattributedFlow(
        event_id=event_id or uuid4(),
        cause=FlowCause.CLOSED_VALVE,
        volume_ml=to_ml - from_ml,
        duration_ms=1_000,
        card_uid=None,
        age_ms=None,
        odometer_from_ml=from_ml,
        odometer_to_ml=to_ml,
        journal_id=journal.journal_id,
        boot_id=journal._boot_id,
    )
    return Fact(message, ended_ms=77)


def poured(journal: Journal, ml: int = 100) -> UUID:
    """Write a complete pour with a report and no verdict."""
    authorized = grant()
    journal.record_grant(authorized, "", 0)
    journal.checkpoint(odometer(0), authorized.pour_id, 0, 0)
    journal.record_report(report(journal, authorized.pour_id, 0, ml), odometer(ml))
    return authorized.pour_id


def pour_until_full(journal: Journal, written: set[UUID]) -> None:
    for _ in range(1_000):
        written.add(poured(journal))


def the_report(journal: Journal) -> PourCompleted:
    (fact,) = journal.open_facts(10)
    assert isinstance(fact.message, PourCompleted)
    return fact.message
