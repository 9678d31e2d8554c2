"""Incidents, audit log, devices and users: what people look through."""

from collections.abc import Collection
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from msgspec import Struct
from sqlalchemy import BigInteger, Select, and_, func, or_, select

from tapwire_contracts import CONTRACT_MAJOR
from tapwire_contracts.reasons import AuditAction, IncidentKind, IncidentStatus, Presence, Resolution
from tapwire_contracts.topics import DeviceKind
from tapwire_core.db.engine import Database
from tapwire_core.db.tables import AuditEntry, Device, Incident, LoginTries, MoneyMovement, NodeStatus, Session, User
from tapwire_core.db.views.reading import (
    FIRST_PAGE,
    MAX_LIMIT,
    Page,
    PageRequest,
    age_ms,
    number_in,
    read_all,
    read_one,
    read_page,
    table,
)
from tapwire_core.domain.words import Account, Role

incidents: Final = table(Incident)
audit: Final = table(AuditEntry)
devices: Final = table(Device)
nodes: Final = table(NodeStatus)
users: Final = table(User)
sessions: Final = table(Session)
movements: Final = table(MoneyMovement)
login_tries: Final = table(LoginTries)


class IncidentView(Struct, frozen=True):
    """Something that a person must look at; `occurrences` counts how often its cause came up."""

    incident_id: UUID
    kind: IncidentKind
    status: IncidentStatus
    raised_at: datetime
    age_ms: int
    last_seen_at: datetime
    occurrences: int
    owner: str | None
    claimed_at: datetime | None
    venue_id: str | None
    tap: str | None
    pour_id: UUID | None
    details: dict[str, Any]
    resolution: Resolution | None
    resolved_at: datetime | None
    resolved_by: str | None
    comment: str | None


class PourSales(Struct, frozen=True):
    """What a pour has brought so far, whoever paid."""

    pour_id: UUID
    sales_minor: int


class AuditEntryView(Struct, frozen=True):
    """Something that happened, by whom, to what."""

    audit_id: int
    action: str
    actor: str
    subjects: tuple[str, ...]
    details: dict[str, Any]
    request_id: str | None
    created_at: datetime


class DeviceView(Struct, frozen=True):
    """A device, and how its node last said it is; without a node status it has never been seen.

    `node_facts_open`: the facts that the node has no verdict for yet. `node_contract_fits`: whether its contract version has our
    number before the dot; node and core refuse to work together when it has not.
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


class UserView(Struct, frozen=True):
    """An operator; `locked_ms`: for how long yet no login is tried."""

    username: str
    role: Role
    disabled: bool
    locked_ms: int
    created_at: datetime


class Operator(Struct, frozen=True):
    """Who is logged in."""

    username: str
    role: Role


async def list_incidents(
    db: Database,
    *,
    status: IncidentStatus | None = None,
    venue_id: str | None = None,
    kind: IncidentKind | None = None,
    page: PageRequest = FIRST_PAGE,
) -> Page[IncidentView]:
    """Incidents, the latest first."""
    statement = _incidents()
    for column, value in ((incidents.c.status, status), (incidents.c.venue_id, venue_id), (incidents.c.kind, kind)):
        if value is not None:
            statement = statement.where(column == str(value))
    order = [incidents.c.raised_at, incidents.c.incident_id]
    return await read_page(db, statement, IncidentView, order, page, newest_first=True)


async def list_unresolved(db: Database, venue_id: str) -> list[IncidentView]:
    """The incidents of a venue that a person must still look at, the oldest first, and those that no venue is known of."""
    here = or_(incidents.c.venue_id == venue_id, incidents.c.venue_id.is_(None))
    statement = _incidents().where(incidents.c.status != IncidentStatus.RESOLVED.value, here)
    return await read_all(db, statement.order_by(incidents.c.raised_at).limit(MAX_LIMIT), IncidentView)


async def get_incident(db: Database, incident_id: UUID) -> IncidentView | None:
    """One incident."""
    return await read_one(db, _incidents().where(incidents.c.incident_id == incident_id), IncidentView)


async def incidents_by_id(db: Database, incident_ids: Collection[UUID]) -> list[IncidentView]:
    """These incidents, in any order."""
    return await read_all(db, _incidents().where(incidents.c.incident_id.in_(incident_ids)), IncidentView) if incident_ids else []


async def sales_of_pours(db: Database, pour_ids: Collection[UUID]) -> list[PourSales]:
    """What these pours have brought, in any order; those that brought nothing are left out."""
    sales_minor = func.sum(movements.c.amount_minor).cast(BigInteger).label("sales_minor")
    statement = select(movements.c.pour_id, sales_minor).group_by(movements.c.pour_id)
    statement = statement.where(movements.c.pour_id.in_(pour_ids), movements.c.credit_account == Account.SALES.value)
    return await read_all(db, statement, PourSales) if pour_ids else []


async def incidents_of_pours(db: Database, pour_ids: Collection[UUID]) -> list[IncidentView]:
    """The incidents of these pours, in any order."""
    return await read_all(db, _incidents().where(incidents.c.pour_id.in_(pour_ids)), IncidentView) if pour_ids else []


async def list_audit(
    db: Database,
    *,
    action: str | None = None,
    actions: Collection[AuditAction] | None = None,
    subject: str | None = None,
    since: datetime | None = None,
    page: PageRequest = FIRST_PAGE,
) -> Page[AuditEntryView]:
    """The audit log, the latest first; `subject` is any id that an entry is about."""
    statement = select(*audit.c)
    if action is not None:
        statement = statement.where(audit.c.action == action)
    if actions is not None:
        statement = statement.where(audit.c.action.in_([wanted.value for wanted in actions]))
    if subject is not None:
        statement = statement.where(audit.c.subjects.contains([subject]))
    if since is not None:
        statement = statement.where(audit.c.created_at >= since)
    return await read_page(db, statement, AuditEntryView, [audit.c.audit_id], page, newest_first=True)


async def list_devices(db: Database, page: PageRequest = FIRST_PAGE) -> Page[DeviceView]:
    """Devices by path, those that were revoked too."""
    contract_version = nodes.c.state["contract_version"].as_string()
    statement = select(
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
    return await read_page(db, statement, DeviceView, [devices.c.path], page)


async def broker_logins(db: Database) -> dict[str, str]:
    """Every device that may speak, by path, with its secret as a broker's password file has it."""
    statement = select(devices.c.path, devices.c.broker_hash).where(devices.c.revoked_at.is_(None))
    async with db.engine.connect() as connection:
        return {row.path: row.broker_hash for row in await connection.execute(statement)}


async def device_of_secret(db: Database, secret_hash: bytes) -> str | None:
    """The path of the device that this secret lets speak; None for none.

    It is looked up by its SHA-256: how long that takes tells something of a hash, which nobody can choose, and nothing of a secret.
    """
    statement = select(devices.c.path).where(devices.c.secret_hash == secret_hash, devices.c.revoked_at.is_(None))
    async with db.engine.connect() as connection:
        return (await connection.execute(statement)).scalar_one_or_none()


async def secret_hash_of(db: Database, path: str) -> bytes | None:
    """What is kept of a device's secret, while the device may speak; None otherwise."""
    statement = select(devices.c.secret_hash).where(devices.c.path == path, devices.c.revoked_at.is_(None))
    async with db.engine.connect() as connection:
        return (await connection.execute(statement)).scalar_one_or_none()


async def list_users(db: Database, page: PageRequest = FIRST_PAGE) -> Page[UserView]:
    """Users by name."""
    return await read_page(db, _users(), UserView, [users.c.username], page)


async def get_user(db: Database, username: str) -> UserView | None:
    """One user."""
    return await read_one(db, _users().where(users.c.username == username), UserView)


async def operator_of_token(db: Database, token_hash: bytes) -> Operator | None:
    """Who began the session of this token, while it lasts."""
    lasts = and_(sessions.c.revoked_at.is_(None), sessions.c.expires_at > func.now(), ~users.c.disabled)
    statement = (
        select(users.c.username, users.c.role)
        .join(sessions, sessions.c.username == users.c.username)
        .where(sessions.c.token_hash == token_hash, lasts)
    )
    return await read_one(db, statement, Operator)


def _incidents() -> Select[Any]:
    return select(*incidents.c, incidents.c.tap_path.label("tap"), age_ms(incidents.c.raised_at).label("age_ms"))


def _users() -> Select[Any]:
    wait_ms = func.greatest(0, func.coalesce(-age_ms(login_tries.c.locked_until), 0))
    shown = [users.c[name] for name in ("username", "role", "disabled", "created_at")]
    with_tries = users.outerjoin(login_tries, login_tries.c.username == users.c.username)
    return select(*shown, wait_ms.label("locked_ms")).select_from(with_tries)
