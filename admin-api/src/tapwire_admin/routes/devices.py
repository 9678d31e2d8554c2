"""Devices that may speak: tap nodes, desk readers, HTTP controllers."""

from litestar import get, post
from msgspec import Struct

from tapwire_admin.auth import ENGINEER
from tapwire_admin.bounds import DevicePathText
from tapwire_admin.given import AskedPage, By, Db, JSONBody, RunOnce
from tapwire_core.db.views import operations as views
from tapwire_core.db.views.operations import DeviceView
from tapwire_core.db.views.reading import Page
from tapwire_core.errors import NotFound
from tapwire_core.services import devices
from tapwire_core.services.devices import DeviceSecret


class DevicePathGiven(Struct, kw_only=True):
    """Which device."""

    path: DevicePathText


@get("/devices", access=ENGINEER)
async def list_devices(db: Db, page: AskedPage) -> Page[DeviceView]:
    """Devices by path, and how each last said it is."""
    return await views.list_devices(db, page)


@post("/devices", access=ENGINEER, tells_secret=True, refuses=(devices.DeviceExists,))
async def add_device(actor: By, once: RunOnce, data: JSONBody[DevicePathGiven]) -> DeviceSecret:
    """Let a device speak; its secret is shown once, and again to a repeat of this session with the same key."""
    return await once(devices.add_device, actor, data.path)


@post("/devices/rotate", access=ENGINEER, tells_secret=True, status_code=200, refuses=(NotFound,))
async def rotate_device(actor: By, once: RunOnce, data: JSONBody[DevicePathGiven]) -> DeviceSecret:
    """Give a device a new secret, shown once, and again to a repeat of this session with the same key."""
    return await once(devices.rotate_device, actor, data.path)


@post("/devices/revoke", access=ENGINEER, status_code=204, refuses=(NotFound,))
async def revoke_device(actor: By, once: RunOnce, data: JSONBody[DevicePathGiven]) -> None:
    """Let a device speak no more."""
    await once(devices.revoke_device, actor, data.path)


HANDLERS = (list_devices, add_device, rotate_device, revoke_device)
