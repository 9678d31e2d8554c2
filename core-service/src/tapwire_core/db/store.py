"""One transaction, with the statements that all writes share. The writes are in `tapwire_core.db.writes`, by noun."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import asyncpg
import msgspec
from sqlmodel import SQLModel

from tapwire_contracts.codec import encode
from tapwire_contracts.messages import Message
from tapwire_contracts.reasons import AuditAction
from tapwire_contracts.topics import DevicePath
from tapwire_core.db.connections import IDLE_IN_TRANSACTION_MS
from tapwire_core.domain.actor import Actor
from tapwire_core.domain.policy import Policy

OUTBOX_CHANNEL: Final = "tapwire_outbox"
"""NOTIFY on this channel wakes the core workers' publisher."""


@dataclass(frozen=True, slots=True)
class Store:
    """One open transaction."""

    connection: asyncpg.Connection
    policy: Policy

    async def may_pause(self) -> None:
        """Let this transaction wait for something besides the database, or compute: it may be idle for longer than others."""
        await self.connection.execute(f"SET LOCAL idle_in_transaction_session_timeout = {IDLE_IN_TRANSACTION_MS}")

    async def insert(self, table: type[SQLModel], **columns: object) -> None:
        """Insert one row; columns that are left out take the database's default."""
        names = ", ".join(columns)
        places = ", ".join(f"${position}" for position in range(1, len(columns) + 1))
        # table and column names are our own code's, never input
        statement = f"INSERT INTO {table.__tablename__} ({names}) VALUES ({places})"  # noqa: S608
        await self.connection.execute(statement, *map(_bind, columns.values()))

    async def audit(
        self,
        action: AuditAction,
        actor: Actor,
        *subjects: object,
        details: Mapping[str, object] | None = None,
        venue_id: str | None = None,
    ) -> None:
        """Add an entry to the audit log; it can be found by the ids in `subjects`.

        `venue_id`: null takes the venue of the first subject that has one (trigger `entry_names_its_venue`).
        """
        await self.connection.execute(
            "INSERT INTO audit (action, actor, subjects, details, request_id, venue_id) VALUES ($1, $2, $3, $4, $5, $6)",
            action.value,
            actor.name,
            [str(subject) for subject in subjects if subject is not None],
            to_json(details or {}),
            actor.request_id,
            venue_id,
        )

    async def send_command(self, tap: DevicePath | str, message: Message) -> None:
        """Put a command into the outbox; a core worker publishes it after the commit."""
        await self._enqueue(str(tap), encode(message).decode())

    async def send_config(self, tap: DevicePath | str) -> None:
        """Increment the tap's config revision and publish the config after the commit."""
        await self.connection.execute("UPDATE taps SET config_revision = config_revision + 1 WHERE tap_path = $1", str(tap))
        await self.publish_config(tap)

    async def publish_config(self, tap: DevicePath | str) -> None:
        """Publish the tap's config again after the commit."""
        await self._enqueue(str(tap), None)

    async def _enqueue(self, tap_path: str, payload: str | None) -> None:
        await self.connection.execute("INSERT INTO command_outbox (tap_path, payload) VALUES ($1, $2)", tap_path, payload)
        await self.connection.execute("SELECT pg_notify($1, '')", OUTBOX_CHANNEL)


def to_json(content: object) -> str:
    """JSON text for a jsonb parameter; UUIDs, times and enums as text."""
    return msgspec.json.encode(content, enc_hook=str).decode()


def _bind(value: object) -> Any:
    return to_json(value) if isinstance(value, dict) else value
