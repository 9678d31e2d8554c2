"""Devices that may speak: tap nodes and desk readers, their secrets, and their taps' screens."""

from typing import Any

from litestar import Request, Response, get, post

from tapwire_admin.access.auth import ENGINEER
from tapwire_admin.console.forms import Form, Sent
from tapwire_admin.console.render import go_to
from tapwire_admin.console.shell import Around
from tapwire_admin.console.viewer import Looking, Viewer
from tapwire_admin.requests.dependencies import AskedPage, By, Db, FromQuery
from tapwire_admin.routes.devices import DevicePathGiven
from tapwire_contracts.topics import DeviceKind
from tapwire_core.db.engine import Database
from tapwire_core.db.views.devices import list_devices, secret_hash_of
from tapwire_core.services import devices, pairings
from tapwire_core.services.devices import read_path, screen_secret


@get("/devices", access=ENGINEER)
async def show_devices(db: Db, viewer: Looking, shell: Around, page: AskedPage) -> Response[str]:
    """Devices by path, and how each last said it is."""
    return viewer.show("devices.html", shell=shell, page=await list_devices(db, page))


@get("/devices/new", access=ENGINEER)
async def ask_for_device(viewer: Looking) -> Response[str]:
    """Which device."""
    return viewer.show("dialogs/new_device.html", kinds=list(DeviceKind))


@post("/devices/new", access=ENGINEER)
async def add_device(request: Request[Any, Any, Any], viewer: Looking, actor: By, sent: Form) -> Response[str]:
    """Let a device speak; its secret is shown this once."""
    made = await devices.add_device(sent.db, actor, _named(viewer, sent))
    return viewer.show("dialogs/device_secret.html", made=made, screen=await _screen(request, sent.db, made.path))


@get("/devices/accept", access=ENGINEER)
async def ask_for_code(viewer: Looking) -> Response[str]:
    """Which code a new device shows, and which device it is."""
    return viewer.show("dialogs/accept_pairing.html", kinds=list(DeviceKind))


@post("/devices/accept", access=ENGINEER)
async def accept_code(viewer: Looking, actor: By, sent: Form) -> Response[str]:
    """Let the device that shows a code fetch its secret."""
    code, path, replace = sent.values.get("code", ""), _named(viewer, sent), sent.flag("replace")
    accepted = await sent.once(pairings.accept_pairing, actor, code, path, replace=replace)
    return viewer.show("dialogs/pairing_accepted.html", path=accepted)


@get("/devices/rotate", access=ENGINEER)
async def show_device(request: Request[Any, Any, Any], db: Db, viewer: Looking, path: FromQuery[str]) -> Response[str]:
    """A device's screen, and a new secret, after which the old one is worth nothing."""
    return viewer.show("dialogs/device.html", path=path, screen=await _screen(request, db, path))


@post("/devices/rotate", access=ENGINEER)
async def rotate_device(request: Request[Any, Any, Any], viewer: Looking, actor: By, sent: Form) -> Response[str]:
    """Give a device a new secret, shown this once."""
    made = await devices.rotate_device(sent.db, actor, sent.read(DevicePathGiven).path)
    return viewer.show("dialogs/device_secret.html", made=made, screen=await _screen(request, sent.db, made.path))


@post("/devices/revoke", access=ENGINEER)
async def revoke_device(actor: By, sent: Form) -> Response[str]:
    """Revoke a device's credentials."""
    await sent.once(devices.revoke_device, actor, sent.read(DevicePathGiven).path)
    return go_to("/devices")


def _named(viewer: Viewer, sent: Sent) -> str:
    """The path of the device that a form names."""
    return f"{viewer.the_venue.venue_id}/{sent.values.get('kind', '')}/{sent.values.get('device_id', '')}"


async def _screen(request: Request[Any, Any, Any], db: Database, path: str) -> str | None:
    """The address of a tap's screen, with the secret that is good for it alone."""
    device, kept = read_path(path), await secret_hash_of(db, path)
    if device.kind is not DeviceKind.TAP or kept is None:
        return None
    own = f"/screen/{device.venue_id}/{device.device_id}?key={screen_secret(kept)}"
    return f"{request.url.scheme}://{request.url.netloc}{own}"


HANDLERS = (
    show_devices,
    ask_for_device,
    add_device,
    ask_for_code,
    accept_code,
    show_device,
    rotate_device,
    revoke_device,
)
