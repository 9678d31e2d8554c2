"""`tapwire-node doctor`: check everything that can keep this tap from pouring; each line is `ok` or says what to do.

Beside a running node it takes no pin, broker login or journal lock, but asks the node over its control socket. Without a running
node it tries the parts itself, with the valve closed all the time.
"""

from pathlib import Path

from tapwire_contracts.topics import DeviceKind
from tapwire_node.commands.doctor.configuration_checks import examine_calibration, examine_config, stored_config
from tapwire_node.commands.doctor.driver_checks import examine_pin_factory, examine_rpi_gpio
from tapwire_node.commands.doctor.finding import Finding
from tapwire_node.commands.doctor.machine_checks import examine_clock, examine_disk, examine_journal, examine_spi
from tapwire_node.commands.doctor.node_checks import examine_running
from tapwire_node.commands.doctor.part_checks import examine_desk, examine_hardware, reach_broker, try_broker
from tapwire_node.commands.terminal import Terminal
from tapwire_node.control.client import NodeConnection, NodeNotRunning, NodeUnreachable
from tapwire_node.control.messages import Status
from tapwire_node.settings import Settings, device_path


def doctor(settings: Settings) -> int:
    """Print every finding; return 1 when there is something to do, else 0."""
    findings, terminal = examine(settings), Terminal()
    for finding in findings:
        terminal.say(finding.line())
    return 0 if all(finding.is_ok for finding in findings) else 1


def examine(settings: Settings) -> list[Finding]:
    """All findings on this tap or desk reader."""
    if device_path(settings).kind is DeviceKind.READER:
        parts = [examine_desk(settings), examine_spi(settings), examine_rpi_gpio(settings), *try_broker(settings)]
        return [Finding.ok("settings", settings.tap.path), *parts]
    journal = Path(settings.journal.file)
    status = ask_node(journal)
    findings = [Finding.ok("settings", settings.tap.path)]
    if isinstance(status, Status):
        findings += [*examine_running(status), *reach_broker(settings), examine_config(status)]
        factor = (status.pulses_per_liter, status.config_revision) if status.config_status else None
    else:
        findings += [status, *examine_hardware(settings), *try_broker(settings)]
        factor = stored_config(journal)
    return [
        *findings,
        examine_spi(settings),
        examine_pin_factory(settings),
        examine_rpi_gpio(settings),
        examine_calibration(settings, factor),
        examine_clock(journal),
        examine_disk(journal),
        examine_journal(journal),
    ]


def ask_node(journal: Path) -> Status | Finding:
    """The running node's state, or the finding that there is none."""
    try:
        with NodeConnection.open(journal) as node:
            return node.status()
    except NodeNotRunning:
        return Finding.ok("node", "not running: the parts are checked without it")
    except NodeUnreachable as error:
        return Finding.problem("node", str(error))
