"""What a running node says of its parts."""

from tapwire_contracts.reasons import ConfigStatus
from tapwire_node.commands.doctor.finding import Finding
from tapwire_node.control.messages import Status
from tapwire_node.controller.events import Part

ADVICE = {
    Part.READER: "the reader does not answer: look at its wiring and at SPI (raspi-config); the node's log has the reason",
    Part.VALVE: "the valve has a fault: the node's log has the reason",
    Part.METER: "the meter gives more pulses than it can: look at its plug and cable; the node's log has the figures",
}
MS_PER_S = 1_000


def examine_running(status: Status) -> list[Finding]:
    """One line a part."""
    return [examine_node(status), *(examine_part(status, part) for part in Part), examine_broker(status), examine_config(status)]


def examine_node(status: Status) -> Finding:
    """The process itself."""
    text = f"runs for {status.uptime_ms // MS_PER_S} s ({status.software}), {status.phase.value}, {status.facts_open} facts open"
    if not status.journal_writable:
        return Finding.ill("node", f"{text}; its journal can't be written: look at the disk, then at its log")
    return Finding.well("node", text)


def examine_part(status: Status, part: Part) -> Finding:
    """A part that the node watches all the time."""
    if part.value in status.faults:
        return Finding.ill(part.value, ADVICE[part])
    return Finding.well(part.value, "open" if part is Part.VALVE and status.valve_open else "watched by the node, no fault")


def examine_broker(status: Status) -> Finding:
    """Whom the node is connected with."""
    if not status.connected:
        return Finding.ill("broker", "no connection: look at the network, at [broker] in tap.toml, and at the node's log")
    if status.cores == 0:
        return Finding.ill("broker", "connected, but no core worker has shown itself: is tapwire-core running at this broker?")
    return Finding.well("broker", f"connected, {status.cores} core worker(s) there")


def examine_config(status: Status) -> Finding:
    """What the core wants of the tap."""
    if status.config_status is None:
        return Finding.ill("config", "none has come: add the tap in the core (POST /api/taps)")
    text = f"{status.config_status.value}, revision {status.config_revision}"
    if status.config_status is not ConfigStatus.ACTIVE:
        return Finding.well("config", f"{text}: no guest can pour until the tap's status is active")
    if status.out_of_service is not None and not status.faults:
        return Finding.ill("config", f"{text}, but out of service: {status.out_of_service}")
    return Finding.well("config", text)
