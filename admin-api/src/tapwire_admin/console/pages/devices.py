"""Devices: tap nodes and desk readers, their secrets, and their taps' screens."""

from typing import Any

from litestar import Request, Response, get, post

from tapwire_admin.access.auth import ENGINEER
from tapwire_admin.console.forms import Form, SubmittedForm
from tapwire_admin.console.render import go_to
from tapwire_admin.console.shell import ShellContext
from tapwire_admin.console.viewer import CurrentViewer
from tapwire_admin.requests.dependencies import CurrentActor, Db, FromQuery, PageQuery
from tapwire_contracts.topics import DeviceKind
from tapwire_core.db.engine import Database
from tapwire_core.db.views.devices import list_devices, secret_hash_of
from tapwire_core.db.views.system import list_programs
from tapwire_core.domain.shown import Noun
from tapwire_core.services import devices, pairings
from tapwire_core.services.devices import read_path, screen_secret
from tapwire_core.services.shown import read_shown


@get("/devices", access=ENGINEER)
async def show_devices(db: Db, viewer: CurrentViewer, shell: ShellContext, page: PageQuery) -> Response[str]:
    """Devices by path, with their last reported state, and the programs that serve them."""
    return viewer.show("devices.html", shell=shell, page=await list_devices(db, page), programs=await list_programs(db))


@get("/devices/new", access=ENGINEER)
async def ask_for_device(viewer: CurrentViewer) -> Response[str]:
    """The form of a new device."""
    return viewer.show("dialogs/new_device.html", kinds=list(DeviceKind))


@post("/devices/new", access=ENGINEER, shows=Noun.VENUE)
async def add_device(request: Request[Any, Any, Any], viewer: CurrentViewer, actor: CurrentActor, form: Form) -> Response[str]:
    """Add a device; its secret is shown this once."""
    made = await devices.add_device(form.db, actor, _entered_path(form))
    return viewer.show("dialogs/device_secret.html", made=made, screen=await _screen(request, form.db, made.path))


@get("/devices/accept", access=ENGINEER)
async def ask_for_code(viewer: CurrentViewer) -> Response[str]:
    """The form of a pairing: code and path."""
    return viewer.show("dialogs/accept_pairing.html", kinds=list(DeviceKind))


@post("/devices/accept", access=ENGINEER, shows=Noun.VENUE)
async def accept_code(viewer: CurrentViewer, actor: CurrentActor, form: Form) -> Response[str]:
    """Accept the device that shows a code; it then fetches its secret."""
    code, path, replace = form.values.get("code", ""), _entered_path(form), form.flag("replace")
    accepted = await form.once(pairings.accept_pairing, actor, code, path, replace=replace)
    return viewer.show("dialogs/pairing_accepted.html", path=accepted)


@get("/devices/rotate", access=ENGINEER)
async def show_device(request: Request[Any, Any, Any], db: Db, viewer: CurrentViewer, path: FromQuery[str]) -> Response[str]:
    """A device: its tap's screen, a new secret, revocation."""
    shown = await read_shown(db, Noun.DEVICE, path)
    return viewer.show("dialogs/device.html", shown=shown, path=path, screen=await _screen(request, db, path))


@post("/devices/rotate", access=ENGINEER, returns_secret=True, shows=Noun.DEVICE)
async def rotate_device(request: Request[Any, Any, Any], viewer: CurrentViewer, actor: CurrentActor, form: Form) -> Response[str]:
    """Replace a device's secret; the new one is shown this once."""
    made = await form.once(devices.rotate_device, actor, form.required_shown.key)
    return viewer.show("dialogs/device_secret.html", made=made, screen=await _screen(request, form.db, made.path))


@post("/devices/revoke", access=ENGINEER, shows=Noun.DEVICE)
async def revoke_device(actor: CurrentActor, form: Form) -> Response[str]:
    """Revoke a device's credentials."""
    await form.once(devices.revoke_device, actor, form.required_shown.key)
    return go_to("/devices")


def _entered_path(form: SubmittedForm) -> str:
    """The path of the form's device."""
    return f"{form.venue_id}/{form.values.get('kind', '')}/{form.values.get('device_id', '')}"


async def _screen(request: Request[Any, Any, Any], db: Database, path: str) -> str | None:
    """The address of a tap's screen, with its secret; None for other devices."""
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
