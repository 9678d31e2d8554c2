"""Devices and their credentials: tap nodes, desk readers, HTTP controllers."""

from litestar import get, post
from litestar.di import NamedDependency
from msgspec import Struct

from tapwire_admin.access.auth import ENGINEER, EVERYBODY
from tapwire_admin.requests.dependencies import CurrentActor, Db, JSONBody, PageQuery, RunOnce
from tapwire_admin.requests.field_types import DevicePathText, Verbatim
from tapwire_core.broker.tap_toml import DevicesBroker
from tapwire_core.db.views import devices as views
from tapwire_core.db.views.devices import DeviceView
from tapwire_core.db.views.queries import Page
from tapwire_core.errors import NotFound
from tapwire_core.services import devices, pairings
from tapwire_core.services.devices import DeviceSecret
from tapwire_core.services.pairings import Pairing


class DevicePathGiven(Struct, kw_only=True, forbid_unknown_fields=True):
    """A device, by its path."""

    path: DevicePathText


class CodeAccepted(Struct, kw_only=True, forbid_unknown_fields=True):
    """The code that a new device shows, and the path to give it."""

    code: Verbatim
    path: DevicePathText
    replace: bool = False


class PairingAccepted(Struct, frozen=True, kw_only=True):
    """The device that may now fetch its secret."""

    path: str


class Claim(Struct, kw_only=True):
    """The new device's own proof, from the start of its pairing."""

    claim: Verbatim


class DeviceLetIn(Struct, frozen=True, kw_only=True):
    """A paired device's login, shown this once, and its broker; null for values that the API's settings lack.

    `broker_ca` is the certificate of the authority to trust at `broker_url`, as PEM; `broker_protocol` the MQTT there: `5`
    or `3.1.1`.
    """

    path: str
    username: str
    secret: str
    broker_url: str | None
    broker_ca: str | None
    broker_protocol: str | None


@get("/devices", access=ENGINEER)
async def list_devices(db: Db, page: PageQuery) -> Page[DeviceView]:
    """Devices by path, with their last reported state."""
    return await views.list_devices(db, page)


@post("/devices", access=ENGINEER, returns_secret=True, refuses=(devices.DeviceExists,))
async def add_device(actor: CurrentActor, once: RunOnce, data: JSONBody[DevicePathGiven]) -> DeviceSecret:
    """Add a device; its secret is shown once, and again to a repeat of this session with the same key."""
    return await once(devices.add_device, actor, data.path)


@post("/devices/rotate", access=ENGINEER, returns_secret=True, status_code=200, refuses=(NotFound,))
async def rotate_device(actor: CurrentActor, once: RunOnce, data: JSONBody[DevicePathGiven]) -> DeviceSecret:
    """Give a device a new secret, shown once, and again to a repeat of this session with the same key."""
    return await once(devices.rotate_device, actor, data.path)


@post("/devices/revoke", access=ENGINEER, status_code=204, refuses=(NotFound,))
async def revoke_device(actor: CurrentActor, once: RunOnce, data: JSONBody[DevicePathGiven]) -> None:
    """Revoke a device's credentials."""
    await once(devices.revoke_device, actor, data.path)


@post("/devices/pairings", access=EVERYBODY, refuses=(pairings.TooManyPairings,))
async def begin_pairing(db: Db) -> Pairing:
    """Begin the pairing of a new device: it shows the `code`, and keeps the `claim` secret."""
    return await pairings.begin_pairing(db)


@post(
    "/devices/pairings/accept",
    access=ENGINEER,
    status_code=200,
    refuses=(NotFound, pairings.PairingAccepted, devices.DeviceExists),
)
async def accept_pairing(actor: CurrentActor, once: RunOnce, data: JSONBody[CodeAccepted]) -> PairingAccepted:
    """Accept the device that shows this code; with `replace` it replaces an existing device."""
    return PairingAccepted(path=await once(pairings.accept_pairing, actor, data.code, data.path, replace=data.replace))


@post("/devices/pairings/claim", access=EVERYBODY, status_code=200, refuses=(NotFound, pairings.PairingWaits))
async def claim_pairing(db: Db, broker: NamedDependency[DevicesBroker], data: JSONBody[Claim]) -> DeviceLetIn:
    """Fetch the paired device's secret, once, and its broker's address; 409 `pairing_waits` until a person has accepted it."""
    made = await pairings.claim_pairing(db, data.claim)
    return DeviceLetIn(
        path=made.path,
        username=made.username,
        secret=made.secret,
        broker_url=broker.url,
        broker_ca=broker.ca,
        broker_protocol=broker.protocol,
    )


HANDLERS = (list_devices, add_device, rotate_device, revoke_device, begin_pairing, accept_pairing, claim_pairing)
