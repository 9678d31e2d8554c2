"""Another node uses this tap's login: the log, the journal's alarms and `doctor` name it."""

from uuid import uuid4

from tapwire_contracts.reasons import Phase
from tapwire_node.commands.doctor.node_checks import examine_login
from tapwire_node.control.messages import Status
from tapwire_node.controller.effects import RaiseAlarm
from tapwire_node.controller.events import OtherNodeSeen
from tests.unit.node.controller_bench import ControllerBench


def test_another_node_with_our_login_is_one_alarm() -> None:
    tap, boot_id = ControllerBench().in_service(), uuid4()

    tap.happen(OtherNodeSeen, boot_id=boot_id, software="tapwire-node 1.0")
    tap.happen(OtherNodeSeen, boot_id=boot_id, software="tapwire-node 1.0")

    (alarm,) = [effect for effect in tap.effects if isinstance(effect, RaiseAlarm)]
    assert str(boot_id) in alarm.text
    assert tap.state.other_node == boot_id


def test_the_doctor_names_the_other_node() -> None:
    boot_id = uuid4()
    status = Status(
        software="tapwire-node 1.0",
        phase=Phase.IDLE,
        valve_open=False,
        faults=(),
        out_of_service=None,
        connected=True,
        cores=1,
        config_status=None,
        config_revision=1,
        pulses_per_liter=450,
        journal_writable=True,
        facts_open=0,
        odometer_ml=0,
        uptime_ms=1,
        other_node=boot_id,
    )

    finding = examine_login(status)

    assert not finding.is_ok
    assert str(boot_id) in finding.line()
