"""A whole core as the kit meets one: a broker that learns of new devices, a worker, and the API at a port."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Final

import uvicorn

from tapwire_conformance.broker import BrokerUrl
from tapwire_conformance.core.api import Api
from tapwire_conformance.core.catalogue import CORE_RULES
from tapwire_conformance.core.stage import CoreStage, Timing
from tapwire_conformance.own_broker import OwnBroker
from tapwire_conformance.report import progress
from tapwire_conformance.runner import Outcome, Result, try_rules
from tapwire_conformance.transcript import Transcript
from tapwire_contracts.tasks import end_tasks
from tapwire_core.db.engine import Database
from tapwire_core.db.views.devices import broker_logins
from tapwire_core.domain.closed_sets import Role
from tapwire_core.mqtt.connection import BrokerAddress
from tapwire_core.worker.worker import Intervals, Worker
from tapwire_demo.broker import EmbeddedBroker
from tapwire_demo.processes import LOOPBACK, free_port
from tests.rest import add_user, application, set_decisions_per_hour

PACE: Final = Intervals(sweep_s=0.05, ask_again_s=0.2, outbox_s=0.5, progress_s=0.05, database_check_s=0.1, reconnect_max_s=0.3)
START_WINDOW_MS: Final = 300
TIMING: Final = Timing(answer_s=10.0, quiet_s=0.5, sweep_s=20.0)
LOOK_S: Final = 0.05
DECISIONS_PER_HOUR: Final = 36_000


@dataclass(frozen=True, slots=True)
class WholeCore:
    """Where it is, and an engineer's token."""

    db: Database
    broker_url: str
    api_url: str
    token: str
    own_broker: OwnBroker | None = None

    async def judge(self, *only: str, timing: Timing = TIMING) -> list[Result]:
        """What the kit says of it, by these rules or groups."""
        return await asyncio.to_thread(self._judge, asyncio.get_running_loop(), list(only), timing)

    def _judge(self, loop: asyncio.AbstractEventLoop, only: list[str], timing: Timing) -> list[Result]:
        transcript = Transcript()
        api = Api(self.api_url, self.token, transcript)

        def an_hour_passes() -> None:
            moved = "UPDATE visits SET valid_until = now() - interval '1 second' WHERE valid_until IS NOT NULL"
            asyncio.run_coroutine_threadsafe(self.db.pool.execute(moved), loop).result()

        url = BrokerUrl.parse(self.broker_url)
        with CoreStage.opened(url, api, transcript, timing, an_hour_passes, own_broker=self.own_broker) as stage:
            return list(try_rules(CORE_RULES.chosen(only), stage, lambda result: print(progress(result))))


@asynccontextmanager
async def whole_core(
    db: Database, mosquitto: EmbeddedBroker, decisions_per_hour: int = DECISIONS_PER_HOUR, own_broker: OwnBroker | None = None
) -> AsyncIterator[WholeCore]:
    """Run it on a database and a broker."""
    policy = replace(db.policy, start_window_ms=START_WINDOW_MS, device_decisions_per_hour=decisions_per_hour)
    used = replace(db, policy=policy)
    address = BrokerAddress(url=mosquitto.url("core"), protocol=mosquitto.protocol, shared=True)
    worker = Worker(used, address, PACE, f"core-{secrets.token_hex(4)}")
    port = free_port()
    app = application()
    app.state.db = used
    set_decisions_per_hour(decisions_per_hour)
    server = uvicorn.Server(uvicorn.Config(app, host=LOOPBACK, port=port, log_config=None, lifespan="off"))
    tasks = [asyncio.create_task(part) for part in (worker.run(), server.serve(), admit_devices(used, mosquitto))]
    try:
        while not server.started:
            await asyncio.sleep(LOOK_S)
        token = await add_user(used, Role.ENGINEER)
        broker_url = f"mqtt://{mosquitto.host}:{mosquitto.device_port}"
        yield WholeCore(used, broker_url, f"http://{LOOPBACK}:{port}", token, own_broker)
    finally:
        server.should_exit = True
        await tasks[1]
        await end_tasks(*tasks)


async def admit_devices(db: Database, broker: EmbeddedBroker) -> None:
    """Let the database's devices in, as `tapwire-core sync-broker` does."""
    while True:
        await broker.set_device_logins(await broker_logins(db))
        await asyncio.sleep(LOOK_S)


def broken(results: list[Result]) -> dict[str, str]:
    """The rules that were broken, and what happened instead."""
    return {result.rule_id: result.detail for result in results if result.outcome is Outcome.BROKEN}
