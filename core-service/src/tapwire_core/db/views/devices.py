"""Devices and their credentials."""

from datetime import datetime
from typing import Any, Final

from msgspec import Struct
from sqlalchemy import Integer, Select, Text, and_, case, cast, func, or_, select, true
from sqlalchemy.dialects.postgresql import ARRAY

from tapwire_contracts import CONTRACT_MAJOR
from tapwire_contracts.reasons import Presence
from tapwire_contracts.topics import DeviceKind
from tapwire_core.db.engine import Database
from tapwire_core.db.tables import Device, NodeStatus
from tapwire_core.db.views.queries import (
    FIRST_PAGE,
    Page,
    PageRequest,
    age_ms,
    number_in,
    read_page,
    table,
)
from tapwire_core.domain.search import typed_words

devices: Final = table(Device)
nodes: Final = table(NodeStatus)
_BETWEEN_WORDS: Final = "[^a-z0-9]+"
"""In a device's id, which is lower case."""


class DeviceView(Struct, frozen=True):
    """A device, and its node's latest state; without a node status it has never been seen.

    `node_facts_open`: the node's facts that have no verdict yet. `node_contract_fits`: true if its contract version has the core's
    major number; otherwise node and core refuse to work together.
    """

    path: str
    kind: DeviceKind
    created_at: datetime
    rotated_at: datetime | None
    revoked_at: datetime | None
    node_status: Presence | None
    node_seen_ms: int | None
    node_software: str | None
    node_contract_version: str | None
    node_contract_fits: bool | None
    node_odometer_ml: int | None
    node_facts_open: int | None
    node_state: dict[str, Any] | None


async def list_devices(db: Database, page: PageRequest = FIRST_PAGE) -> Page[DeviceView]:
    """Devices by path, including revoked ones."""
    return await read_page(db, _devices(), DeviceView, [devices.c.path], page)


async def list_readers(
    db: Database, venue_id: str, *, search: str | None = None, chosen: str | None = None, page: PageRequest = FIRST_PAGE
) -> Page[DeviceView]:
    """A venue's devices with valid credentials, each of which has a reader: those at the desk first, then those that are online.

    With `search` those whose id has each typed word in it, whole words first. `chosen`, a device's path, comes before all others,
    found or not.
    """
    words, device_id = typed_words(search or ""), func.split_part(devices.c.path, "/", 3)
    statement = _devices().where(devices.c.path.startswith(f"{venue_id}/", autoescape=True), devices.c.revoked_at.is_(None))
    found = [device_id.contains(word, autoescape=True) for word in words]
    statement = statement.where(or_(and_(true(), *found), devices.c.path == chosen))
    is_online = func.coalesce(nodes.c.status == Presence.ONLINE.value, False)
    at_desk = devices.c.kind == DeviceKind.READER.value
    is_whole = func.regexp_split_to_array(device_id, _BETWEEN_WORDS, type_=ARRAY(Text)).contains(cast(words, ARRAY(Text)))
    rank = case((devices.c.path == chosen, 0), (is_whole, 1), else_=2)
    use = case((and_(at_desk, is_online), 1), (at_desk, 2), (is_online, 3), else_=4)
    return await read_page(db, statement, DeviceView, [cast(rank, Integer), cast(use, Integer), devices.c.path], page)


def _devices() -> Select[Any]:
    contract_version = nodes.c.state["contract_version"].as_string()
    return select(
        *(devices.c[name] for name in ("path", "kind", "created_at", "rotated_at", "revoked_at")),
        nodes.c.status.label("node_status"),
        nodes.c.state.label("node_state"),
        age_ms(nodes.c.seen_at).label("node_seen_ms"),
        nodes.c.state["software"].as_string().label("node_software"),
        contract_version.label("node_contract_version"),
        (func.split_part(contract_version, ".", 1) == CONTRACT_MAJOR).label("node_contract_fits"),
        number_in(nodes.c.state, "odometer_ml").label("node_odometer_ml"),
        number_in(nodes.c.state, "facts_open").label("node_facts_open"),
    ).outerjoin(nodes, nodes.c.path == devices.c.path)


async def broker_logins(db: Database) -> dict[str, str]:
    """The hashes for a broker's password file, by path, of all devices with valid credentials."""
    statement = select(devices.c.path, devices.c.broker_hash).where(devices.c.revoked_at.is_(None))
    async with db.read() as connection:
        return {row.path: row.broker_hash for row in await connection.execute(statement)}


async def unclosed_logins(db: Database) -> dict[str, str]:
    """The devices whose older connections a broker that asks may still have: path to hash, "" for a revoked one."""
    login = case((devices.c.revoked_at.is_(None), devices.c.broker_hash), else_="").label("login")
    statement = select(devices.c.path, login).where(login != devices.c.closed_hash)
    async with db.read() as connection:
        return {row.path: row.login for row in await connection.execute(statement)}


async def device_of_secret(db: Database, secret_hash: bytes) -> str | None:
    """The path of the device with this secret; None for an unknown or revoked one.

    The lookup is by SHA-256: its timing reveals something of a hash, which nobody can choose, and nothing of the secret.
    """
    statement = select(devices.c.path).where(devices.c.secret_hash == secret_hash, devices.c.revoked_at.is_(None))
    async with db.read() as connection:
        return (await connection.execute(statement)).scalar_one_or_none()


async def secret_hash_of(db: Database, path: str) -> bytes | None:
    """Read the hash of a device's secret; None for an unknown or revoked device."""
    statement = select(devices.c.secret_hash).where(devices.c.path == path, devices.c.revoked_at.is_(None))
    async with db.read() as connection:
        return (await connection.execute(statement)).scalar_one_or_none()
