"""The journal after a power cut."""

from tapwire_contracts.reasons import EndReason
from tapwire_node.journal.journal_file import ReportStatus
from tests.unit.node.controller_bench import CARD, CONFIG
from tests.unit.node.disk_journal import DiskJournal, flow, grant, never_started, odometer, poured, the_report


def test_a_seq_is_never_used_again(disk_journal: DiskJournal) -> None:
    first = disk_journal.boot().next_seq(CARD)
    second = disk_journal.cut_power().next_seq(CARD)
    third = disk_journal.cut_power().next_seq(CARD)
    assert (first, second, third) == (1, 2, 3)


def test_a_grant_whose_valve_never_opened_never_started(disk_journal: DiskJournal) -> None:
    authorized = grant()
    before = disk_journal.boot()
    before.record_grant(authorized, "", 40)

    journal = disk_journal.cut_power()
    recovered = journal.recover()

    told = the_report(journal)
    assert (told.pour_id, told.volume_ml, told.end_reason, told.interrupted) == (
        authorized.pour_id,
        0,
        EndReason.NEVER_STARTED,
        False,
    )
    assert recovered.unsettled == (authorized.pour_id,)
    assert not recovered.interrupted


def test_an_interrupted_pour_ends_at_its_last_checkpoint(disk_journal: DiskJournal) -> None:
    authorized = grant()
    before = disk_journal.boot()
    before.record_grant(authorized, "", 40)
    before.checkpoint(odometer(40), authorized.pour_id, 40, 0)
    before.checkpoint(odometer(140, remainder=200), authorized.pour_id, 40, 2_000)

    journal = disk_journal.cut_power()
    recovered = journal.recover()

    told = the_report(journal)
    assert (told.volume_ml, told.end_reason, told.interrupted) == (100, EndReason.POWER_LOSS, True)
    assert (told.odometer_from_ml, told.odometer_to_ml, told.duration_ms) == (40, 140, 2_000)
    assert (told.boot_id, told.journal_id) == (before._boot_id, before.journal_id)
    assert (recovered.odometer_ml, recovered.odometer_remainder, recovered.pulses_per_liter) == (140, 200, 450)
    assert recovered.interrupted


def test_the_age_of_a_pour_of_another_boot_is_not_known(disk_journal: DiskJournal) -> None:
    before = disk_journal.boot()
    poured(before)
    (fact,) = before.open_facts(10)
    assert fact.payload(1_077, before._boot_id).age_ms == 1_000

    journal = disk_journal.cut_power()
    (fact,) = journal.open_facts(10)
    assert fact.payload(1_077, journal._boot_id).age_ms is None


def test_a_report_that_was_written_stays_as_it_is(disk_journal: DiskJournal) -> None:
    before = disk_journal.boot()
    pour_id = poured(before, ml=250)
    journal = disk_journal.cut_power()
    journal.recover()
    told = the_report(journal)
    assert (told.pour_id, told.volume_ml, told.end_reason, told.interrupted) == (pour_id, 250, EndReason.CARD_REMOVED, False)


def test_an_interrupted_leak_ends_at_its_last_checkpoint(disk_journal: DiskJournal) -> None:
    before = disk_journal.boot()
    leak = flow(before, 0, 5)
    before.record_flow(leak, odometer(5), ended=False)
    before.checkpoint(odometer(25), leak.fact_id, 0, 500)

    journal = disk_journal.cut_power()
    recovered = journal.recover()

    (fact,) = journal.open_facts(10)
    assert (fact.fact_id, fact.message.volume_ml) == (leak.fact_id, 25)
    assert recovered.open_flows == {leak.fact_id}
    assert recovered.odometer_ml == 25


def test_recovering_again_in_the_same_boot_ends_nothing(disk_journal: DiskJournal) -> None:
    authorized = grant()
    journal = disk_journal.boot()
    journal.record_grant(authorized, "", 0)
    journal.checkpoint(odometer(10), authorized.pour_id, 0, 100)
    assert journal.recover().unsettled == (authorized.pour_id,)
    assert journal.open_facts(10) == []


def test_a_verdict_survives_and_its_fact_is_no_longer_open(disk_journal: DiskJournal) -> None:
    journal = disk_journal.boot()
    pour_id = poured(journal)
    journal.record_verdict(pour_id, b'{"type":"pour_settled"}')
    after = disk_journal.cut_power()
    assert after.recover().unsettled == ()
    assert after.open_facts(10) == []
    assert after.find_report(after.journal_id, never_started(after, pour_id))[0] is ReportStatus.SETTLED


def test_the_last_config_survives(disk_journal: DiskJournal) -> None:
    disk_journal.boot().record_config(CONFIG)
    assert disk_journal.cut_power().recover().config == CONFIG
