"""What a running node says of its parts."""

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
    return [examine_node(status), *(examine_part(status, part) for part in Part), examine_broker(status)]


def examine_node(status: Status) -> Finding:
    """The process itself."""
    text = f"runs for {status.uptime_ms // MS_PER_S} s ({status.software}), {status.phase.value}, {status.facts_open} facts open"
    if not status.journal_writable:
        return Finding.problem("node", f"{text}; its journal can't be written: look at the disk, then at its log")
    return Finding.ok("node", text)


def examine_part(status: Status, part: Part) -> Finding:
    """A part that the node watches all the time."""
    if part.value in status.faults:
        return Finding.problem(part.value, ADVICE[part])
    return Finding.ok(part.value, "open" if part is Part.VALVE and status.valve_open else "watched by the node, no fault")


def examine_broker(status: Status) -> Finding:
    """Whom the node is connected with."""
    if not status.connected:
        return Finding.problem("broker", "no connection: look at the network, at [broker] in tap.toml, and at the node's log")
    if status.cores == 0:
        return Finding.problem("broker", "connected, but no core worker has shown itself: is tapwire-core running at this broker?")
    return Finding.ok("broker", f"connected, {status.cores} core worker(s) there")
