"""The node's side of the control socket. Requests become events, and the controller decides on them."""

import asyncio
import logging
import socket
import struct
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Final, assert_never

import msgspec

from tapwire_node import SOFTWARE
from tapwire_node.clock import monotonic_ms
from tapwire_node.control.messages import (
    MAX_LINE,
    Answer,
    AskStatus,
    Hold,
    Refused,
    Request,
    RunEnded,
    RunProgress,
    RunStarted,
    StartRun,
    Status,
    StopRun,
    request_decoder,
    to_line,
)
from tapwire_node.control.socket_file import bind
from tapwire_node.controller import State
from tapwire_node.controller.effects import ServiceRunEffect, TellRunEnded, TellRunRefused, TellRunStarted
from tapwire_node.controller.events import EventFactory, ServiceRunHeld, ServiceRunRequested, ServiceRunStopped
from tapwire_node.controller.state import out_of_service_reason

MAX_CONNECTIONS: Final = 8
PROGRESS_MS: Final = 200
PEER_CREDENTIALS: Final = struct.Struct("3i")
"""pid, uid and gid of the program at the other end, as Linux gives them."""
logger: Final = logging.getLogger(__name__)


class ControlServer:
    """Serves the commands at the node; `post` posts an event, `state` returns the controller's state."""

    def __init__(self, file: Path, post: Callable[[EventFactory], None], state: Callable[[], State]) -> None:
        self._file = file
        self._post = post
        self._state = state
        self._started_ms = monotonic_ms()
        self._server: asyncio.Server | None = None
        self._connected: set[asyncio.StreamWriter] = set()
        self._run_owner: asyncio.StreamWriter | None = None
        self._progress_sent_ms = 0

    async def start(self) -> None:
        """Listen. An error is only logged, as the tap pours without its control socket all the same."""
        try:
            self._server = await asyncio.start_unix_server(self._serve_connection, sock=bind(self._file), limit=MAX_LINE)
        except OSError as error:
            logger.error(
                "the control socket %s can't be opened, so there are no service runs and no live doctor: %s", self._file, error
            )

    async def end(self) -> None:
        """Close all connections and the socket."""
        if self._server is not None:
            self._server.close()
            with suppress(OSError):  # the next start makes room for itself
                self._file.unlink()
        for writer in tuple(self._connected):
            writer.close()

    # ── from the controller ───────────────────────────────────────────

    def report_outcome(self, effect: ServiceRunEffect) -> None:
        """Pass the outcome of a service run on to the program that requested it."""
        match effect:
            case TellRunRefused():
                self._answer(self._run_owner, Refused(text=effect.text))
                self._run_owner = None
            case TellRunStarted():
                self._answer(self._run_owner, RunStarted())
            case TellRunEnded():
                self._answer(self._run_owner, run_ended(effect))
                self._run_owner = None
            case _:
                assert_never(effect)

    def send_progress(self) -> None:
        """Send the run's progress each `PROGRESS_MS`."""
        state, now_ms = self._state(), monotonic_ms()
        run = state.service_run
        if self._run_owner is None or run is None or run.opened_ms is None or now_ms - self._progress_sent_ms < PROGRESS_MS:
            return
        self._progress_sent_ms = now_ms
        progress = RunProgress(
            volume_ml=state.odometer.ml - run.odometer_from_ml,
            pulses=state.odometer.pulses - run.pulses_from,
            elapsed_ms=now_ms - run.opened_ms,
        )
        self._answer(self._run_owner, progress)

    def _answer(self, writer: asyncio.StreamWriter | None, answer: Answer) -> None:
        if writer is not None and not writer.is_closing():
            writer.write(to_line(answer))

    # ── from a command ────────────────────────────────────────

    async def _serve_connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._connected) >= MAX_CONNECTIONS:
            writer.close()
            return
        self._connected.add(writer)
        try:
            while line := await reader.readline():
                self._receive(writer, request_decoder.decode(line))
        except (msgspec.DecodeError, ValueError) as error:
            self._answer(
                writer, Refused(text=f"the request can't be read ({error}): the command may be another version than the node")
            )
        except OSError as error:
            logger.info("the control socket's other end went away: %s", error)
        finally:
            self._connected.discard(writer)
            self._end_owned_run(writer)
            writer.close()

    def _receive(self, writer: asyncio.StreamWriter, request: Request) -> None:
        match request:
            case AskStatus():
                self._answer(writer, self._status())
            case StartRun() if self._run_owner is not None:
                self._answer(writer, Refused(text="another service run is in progress"))
            case StartRun():
                self._start(writer, request)
            case Hold() if writer is self._run_owner:
                self._post(ServiceRunHeld)
            case StopRun() if writer is self._run_owner:
                self._post(ServiceRunStopped)
            case Hold() | StopRun():
                pass  # it was sent before the end of the run had arrived
            case _:
                assert_never(request)

    def _start(self, writer: asyncio.StreamWriter, request: StartRun) -> None:
        caps = f"up to {request.max_volume_ml} ml and {request.max_duration_ms} ms"
        logger.warning("service run (%s, %s) asked for by %s", request.cause.value, caps, peer_name(writer))
        self._run_owner = writer
        self._post(
            partial(
                ServiceRunRequested,
                cause=request.cause,
                max_volume_ml=request.max_volume_ml,
                max_duration_ms=request.max_duration_ms,
            )
        )

    def _end_owned_run(self, writer: asyncio.StreamWriter) -> None:
        """Stop the run of a program that has disconnected."""
        if writer is self._run_owner:
            self._run_owner = None
            self._post(ServiceRunStopped)

    def _status(self) -> Status:
        state = self._state()
        return Status(
            software=SOFTWARE,
            phase=state.phase,
            valve_open=state.valve_open,
            faults=tuple(sorted(state.faults)),
            out_of_service=out_of_service_reason(state),
            connected=state.peers.connected,
            cores=len(state.peers.cores),
            config_status=state.config.status if state.config else None,
            config_revision=state.config.revision if state.config else 0,
            pulses_per_liter=state.odometer.pulses_per_liter,
            journal_writable=state.journal.writable,
            facts_open=state.facts_open,
            odometer_ml=state.odometer.ml,
            uptime_ms=monotonic_ms() - self._started_ms,
            other_node=state.other_node,
        )


def run_ended(effect: TellRunEnded) -> RunEnded:
    """Make the message about the end of a run."""
    closing = effect.fact.closing
    assert closing is not None
    return RunEnded(
        reason=effect.reason,
        volume_ml=effect.fact.message.volume_ml,
        pulses=effect.pulses,
        duration_ms=effect.fact.message.duration_ms,
        tail_ml=closing.tail_ml,
        over_ml=closing.over_ml,
        latency_ms=closing.latency_ms,
    )


def peer_name(writer: asyncio.StreamWriter) -> str:
    """The user and process at the other end, for the log."""
    connection = writer.get_extra_info("socket")
    if connection is None or not hasattr(socket, "SO_PEERCRED"):
        return "somebody at this machine"
    pid, uid, _gid = PEER_CREDENTIALS.unpack(connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, PEER_CREDENTIALS.size))
    return f"user {uid}, process {pid}"
