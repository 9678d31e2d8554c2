"""The outbox relay: commands of committed use cases reach the broker at least once."""

from collections.abc import Awaitable, Callable
from typing import Final

from tapwire_contracts.messages import TapConfig
from tapwire_core.db.engine import Database, use_case
from tapwire_core.db.store import Store
from tapwire_core.db.writes import outbox

MAX_COMMANDS_AT_ONCE: Final = 100

SendCommand = Callable[[str, str], Awaitable[None]]
"""Publishes a payload on a tap's command topic; raises when the broker doesn't take it."""
SendConfig = Callable[[str, TapConfig], Awaitable[None]]
"""Publishes a tap's config, retained; raises when the broker doesn't take it."""


async def publish_waiting(db: Database, send_command: SendCommand, send_config: SendConfig) -> int:
    """Publish the oldest waiting commands, delete them, and return their number. After an error they stay, and are retried."""
    async with db.transaction() as store:
        waiting = await outbox.lock_commands(store, MAX_COMMANDS_AT_ONCE)
        if not waiting:
            return 0
        await store.may_pause()
        configs = await outbox.tap_configs(store, [command.tap_path for command in waiting if command.payload is None])
        for command in waiting:
            if command.payload is not None:
                await send_command(command.tap_path, command.payload)
        for tap_path, config in configs.items():
            await send_config(tap_path, config)
        await outbox.delete_commands(store, [command.command_id for command in waiting])
    return len(waiting)


@use_case
async def all_configs(store: Store) -> dict[str, TapConfig]:
    """List every tap's config; a worker publishes all of them at each connect, as no broker is trusted to keep them."""
    return await outbox.tap_configs(store, await outbox.tap_paths(store))
