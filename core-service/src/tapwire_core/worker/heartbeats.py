"""The heartbeat of a program that runs for ever, beside its work."""

import asyncio
import logging
import os
import socket
from typing import Final, Never

from tapwire_core.db.engine import Database
from tapwire_core.domain.closed_sets import Program
from tapwire_core.services.heartbeats import beat
from tapwire_core.worker.periodic import DATABASE_ERRORS

CHECK_TIMEOUT_S: Final = 2.0

log: Final = logging.getLogger(__name__)


def instance_of_this_process() -> str:
    """A name for this process; a container's stays the same when it is restarted."""
    return f"{socket.gethostname()}-{os.getpid()}"


async def keep_heartbeat(db: Database, program: Program, instance: str) -> Never:
    """Beat at the interval of the settings, also while the database is unavailable; ends only by cancellation."""
    complaint = None
    while True:
        try:
            await db.check_connection(CHECK_TIMEOUT_S)
            await beat(db, program, instance)
            complaint = None
        except DATABASE_ERRORS as error:
            if complaint != str(error):
                complaint = str(error)
                log.warning("no heartbeat: %s; trying again", complaint)
        await asyncio.sleep(db.policy.heartbeat_ms / 1000)
