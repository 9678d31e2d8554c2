"""Checks by the state of a running node."""

from tapwire_node.commands.doctor.finding import Finding
from tapwire_node.control.messages import Status
from tapwire_node.controller.events import Part

ADVICE = {
    Part.READER: "the reader does not answer: check its wiring and SPI (raspi-config); the node's log has the reason",
    Part.VALVE: "the valve has a fault: the node's log has the reason",
    Part.METER: "the meter gives more pulses than possible: check its plug and cable; the node's log has the figures",
}
MS_PER_S = 1_000


def examine_running(status: Status) -> list[Finding]:
    """Findings on the node, each part and the broker."""
    return [examine_node(status), *(examine_part(status, part) for part in Part), examine_broker(status), examine_login(status)]


def examine_node(status: Status) -> Finding:
    """Check the process and its journal."""
    text = f"running for {status.uptime_ms // MS_PER_S} s ({status.software}), {status.phase.value}, {status.facts_open} facts open"
    if not status.journal_writable:
        return Finding.problem("node", f"{text}; its journal can't be written: check the disk, then its log")
    return Finding.ok("node", text)


def examine_part(status: Status, part: Part) -> Finding:
    """Check a part by the node's faults."""
    if part.value in status.faults:
        return Finding.problem(part.value, ADVICE[part])
    return Finding.ok(part.value, "open" if part is Part.VALVE and status.valve_open else "watched by the node, no fault")


def examine_login(status: Status) -> Finding:
    """Check that no other node uses this tap's login."""
    if status.other_node is None:
        return Finding.ok("login", "no other node has used it since this one started")
    return Finding.problem(
        "login",
        f"another node (boot {status.other_node}) uses it: look for a cloned memory card and switch one of the two off; "
        "a second tap needs a device of its own",
    )


def examine_broker(status: Status) -> Finding:
    """Check the connection to the broker and core workers."""
    if not status.connected:
        return Finding.problem("broker", "no connection: check the network, [broker] in tap.toml, and the node's log")
    if status.cores == 0:
        return Finding.problem("broker", "connected, but no core worker is online: check that tapwire-core runs at this broker")
    return Finding.ok("broker", f"connected, {status.cores} core worker(s) online")
