"""Devices: tap nodes, desk readers and HTTP controllers. A secret is generated here, shown once, and kept as a hash.

`sync-broker` writes the broker's password file from `broker_logins`, and `broker-logins` answers a broker that asks: HTTP refuses a
revoked secret at once, the broker within seconds.
"""

import base64
import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass
from typing import Final

from tapwire_contracts.reasons import AuditAction, DenyReason
from tapwire_contracts.topics import DevicePath, InvalidPath
from tapwire_core.db.engine import use_case
from tapwire_core.db.store import Store
from tapwire_core.db.tables import Device
from tapwire_core.db.writes import devices as writes
from tapwire_core.domain.actor import Actor
from tapwire_core.errors import Invalid, NotFound, Refused
from tapwire_core.services.sessions import hash_token

SALT_BYTES: Final = 12
SCREEN_SECRET_LENGTH: Final = 40
_SCREEN: Final = b"screen"
HASH_ITERATIONS: Final = 101
"""Mosquitto's own default; the secrets are random, so a slow hash would protect nothing."""
MOST_ITERATIONS: Final = 10_000
"""Those of a hash that another program made: more would take too long while others wait."""
_HASH: Final = re.compile(r"\$7\$([1-9][0-9]{0,7})\$([A-Za-z0-9+/]+={0,2})\$([A-Za-z0-9+/]{86}==)")


class InvalidHash(ValueError):
    """The text is no hash of Mosquitto's password file that this program can check."""


class DeviceExists(Refused):
    """A device with this path exists, and is not revoked."""

    code = "device_exists"


@dataclass(frozen=True, slots=True)
class DeviceSecret:
    """A device's login; the secret is shown once."""

    path: str
    username: str
    secret: str


@use_case
async def add_device(store: Store, actor: Actor, path: DevicePath | str) -> DeviceSecret:
    """Add a device and give it a secret; a revoked one gets a new secret."""
    device = read_path(path)
    known = await writes.lock_device(store, str(device))
    if known is not None and not known.revoked:
        raise DeviceExists(f"There is already a device {device}: rotate its secret if it is lost.", path=str(device))
    return await issue_secret(store, actor, device)


async def issue_secret(store: Store, actor: Actor, device: DevicePath) -> DeviceSecret:
    """Give a device a secret, in place of its old one; part of a larger use case."""
    known = await writes.lock_device(store, str(device))
    made = _new_secret(device)
    login = broker_hash(made.secret)
    if known is None:
        await store.insert(
            Device,
            path=made.path,
            kind=device.kind.value,
            secret_hash=hash_token(made.secret),
            broker_hash=login,
            closed_hash=login,
        )
    else:
        await writes.give_secret(store, made.path, hash_token(made.secret), login)
    is_new = known is None or known.revoked
    await store.audit(AuditAction.DEVICE_ADDED if is_new else AuditAction.DEVICE_ROTATED, actor, made.path)
    return made


@use_case
async def rotate_device(store: Store, actor: Actor, path: DevicePath | str) -> DeviceSecret:
    """Give a device a new secret; the old one is no longer valid."""
    device = await _require_device(store, path)
    made = _new_secret(device)
    await writes.give_secret(store, made.path, hash_token(made.secret), broker_hash(made.secret))
    await store.audit(AuditAction.DEVICE_ROTATED, actor, made.path)
    return made


@use_case
async def revoke_device(store: Store, actor: Actor, path: DevicePath | str) -> None:
    """Revoke a device's credentials."""
    device = await _require_device(store, path)
    await writes.revoke(store, str(device))
    await store.audit(AuditAction.DEVICE_REVOKED, actor, str(device))


@use_case
async def record_closed(store: Store, path: str, login: str) -> None:
    """Record that a broker that asks has closed all connections of a device that are older than this login."""
    await writes.record_closed(store, path, login)


@use_case
async def deny_other_tap(store: Store, actor: Actor, device: DevicePath, asked_tap: str, card_uid: str) -> None:
    """Audit the question of a controller for a tap that its secret does not belong to; nothing else changes."""
    details = {"reason": DenyReason.TAP_UNKNOWN, "asked_tap": asked_tap}
    await store.audit(AuditAction.POUR_DENIED, actor, device, card_uid, details=details)


def broker_hash(secret: str) -> str:
    """A secret's hash for Mosquitto's password file: PBKDF2 with SHA-512."""
    return _broker_hash(secret, secrets.token_bytes(SALT_BYTES), HASH_ITERATIONS)


def screen_secret(secret_hash: bytes) -> str:
    """The secret of a tap's screen, derived from the hash of the tap's secret: it expires with that, and gives no other access."""
    return hmac.digest(secret_hash, _SCREEN, "sha256").hex()[:SCREEN_SECRET_LENGTH]


def is_secret_of(made: str, secret: str) -> bool:
    """Check a secret against a hash that `broker_hash` or Mosquitto 2.0 made, in constant time; raises `InvalidHash`."""
    iterations, salt = _read_hash(made)
    return hmac.compare_digest(_broker_hash(secret, salt, iterations), made)


def check_hash(made: str) -> None:
    """Raise `InvalidHash` unless `is_secret_of` can check secrets against it."""
    _read_hash(made)


def _read_hash(made: str) -> tuple[int, bytes]:
    found = _HASH.fullmatch(made)
    if found is None or int(found[1]) > MOST_ITERATIONS:
        raise InvalidHash(f"no hash of the form $7$ITERATIONS$SALT$HASH with at most {MOST_ITERATIONS} iterations")
    try:
        return int(found[1]), base64.b64decode(found[2], validate=True)
    except ValueError:
        raise InvalidHash("the salt is no base64") from None


def _broker_hash(secret: str, salt: bytes, iterations: int) -> str:
    digest = hashlib.pbkdf2_hmac("sha512", secret.encode(), salt, iterations)
    return f"$7${iterations}${base64.b64encode(salt).decode()}${base64.b64encode(digest).decode()}"


def read_path(path: DevicePath | str) -> DevicePath:
    """Read a device's path as typed; raises `Invalid`."""
    try:
        return DevicePath.parse(str(path))
    except InvalidPath as error:
        raise Invalid(str(error), field="path") from error


async def _require_device(store: Store, path: DevicePath | str) -> DevicePath:
    device = read_path(path)
    if await writes.lock_device(store, str(device)) is None:
        raise NotFound("device", device)
    return device


def _new_secret(device: DevicePath) -> DeviceSecret:
    return DeviceSecret(path=str(device), username=str(device), secret=secrets.token_urlsafe())
