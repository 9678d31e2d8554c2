"""Service runs from the terminal: `clean`, `pour-test`, and the pours of `calibrate`."""

import select
from pathlib import Path
from typing import Final, assert_never

from tapwire_contracts.reasons import EndReason, FlowCause
from tapwire_node.commands.terminal import Terminal
from tapwire_node.control.client import NodeConnection
from tapwire_node.control.messages import Answer, Hold, Refused, RunEnded, RunProgress, RunStarted, StartRun, Status, StopRun
from tapwire_node.settings import Settings

HOLD_S: Final = 0.2
"""Interval of `hold`."""
MS_PER_S: Final = 1_000
END_TEXTS: Final = {
    EndReason.LIMIT: "the volume was reached",
    EndReason.MAX_DURATION: "the time was up",
    EndReason.STOPPED: "it was stopped",
    EndReason.NO_FLOW: "nothing was flowing",
    EndReason.DISABLED: "the tap's status is no longer cleaning",
    EndReason.FAULT: "a fault, see the node's log",
}


class ServiceRunRefused(Exception):
    """The node refuses the service run; the text says why."""


def clean(settings: Settings, max_volume_ml: int, max_duration_s: int) -> int:
    """Flush the line and return the exit code."""
    terminal = Terminal()
    terminal.say(f"Put a vessel under the tap. Up to {max_volume_ml} ml in {max_duration_s} s; Enter stops it.")
    run = _run(settings, terminal, FlowCause.CLEANING, max_volume_ml, max_duration_s)
    return 1 if run.reason in (EndReason.FAULT, EndReason.DISABLED) else 0


def pour_test(settings: Settings, volume_ml: int, max_duration_s: int) -> int:
    """Test that the valve opens and closes and the meter counts; return the exit code."""
    terminal = Terminal()
    terminal.say(f"Put a glass under the tap: {volume_ml} ml; Enter stops it.")
    run = _run(settings, terminal, FlowCause.TEST, volume_ml, max_duration_s)
    if run.pulses == 0:
        terminal.say(
            "FAILED: the meter gave no pulse. If beer flowed, check the meter's plug and meter_pin; if not, check the valve."
        )
        return 1
    if run.reason is not EndReason.LIMIT:
        terminal.say("FAILED: the volume was not reached.")
        return 1
    terminal.say("ok: the valve opens and closes, the meter counts")
    return 0


def _run(settings: Settings, terminal: Terminal, cause: FlowCause, max_volume_ml: int, max_duration_s: int) -> RunEnded:
    start = StartRun(cause=cause, max_volume_ml=max_volume_ml, max_duration_ms=max_duration_s * MS_PER_S)
    with NodeConnection.open(Path(settings.journal.file)) as node:
        run = carry_out_run(node, terminal, start)
    terminal.say(run_summary(run))
    return run


def carry_out_run(node: NodeConnection, terminal: Terminal, start: StartRun) -> RunEnded:
    """Carry out one run to its end; Enter or Ctrl-C stops it. Raises `ServiceRunRefused` and `NodeUnreachable`."""
    node.send(start)
    printed_ml, stopping = -1, False
    while True:
        try:
            wants_stop = terminal.wait(node.fileno(), timeout_s=HOLD_S)
            node.send(StopRun() if wants_stop else Hold())
            for answer in receive_ready(node):
                match answer:
                    case RunEnded():
                        return answer
                    case Refused():
                        raise ServiceRunRefused(answer.text)
                    case RunStarted():
                        terminal.say("the valve is open")
                    case RunProgress():
                        printed_ml = print_progress(terminal, answer, printed_ml)
                    case Status():
                        pass
                    case _:
                        assert_never(answer)
        except KeyboardInterrupt:
            if stopping:
                raise
            stopping = True
            node.send(StopRun())


def receive_ready(node: NodeConnection) -> list[Answer]:
    """The answers that have already come, without waiting."""
    return node.receive() if select.select([node.fileno()], [], [], 0)[0] else []


def print_progress(terminal: Terminal, progress: RunProgress, printed_ml: int) -> int:
    """Print the volume if it has changed; return it."""
    if progress.volume_ml != printed_ml:
        terminal.say(f"  {progress.volume_ml} ml, {progress.pulses} pulses")
    return progress.volume_ml


def run_summary(run: RunEnded) -> str:
    """The run as one line of text."""
    over = "" if run.over_ml is None else f" ({run.over_ml:+d} ml against the cap)"
    latency = "" if run.latency_ms is None else f", the valve took {run.latency_ms} ms to close"
    return (
        f"{run.volume_ml} ml{over}, {run.pulses} pulses in {run.duration_ms} ms: {END_TEXTS.get(run.reason, run.reason.value)}."
        f" After closing: {run.tail_ml} ml{latency}."
    )
