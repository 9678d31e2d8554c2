"""Pairing of a new device, so that nobody has to copy its secret to it.

The device requests a pairing and shows its code. A person in front of it enters that code and the device's path. Then the device
fetches its secret, once, with a token that only it knows: the code alone gives no access, and the person accepts the device that
they see. The secret is generated when it is fetched, and kept only as hashes. A pairing expires after some minutes and is used
once; the number of open ones is limited, so that nobody fills the database.
"""

import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from tapwire_contracts.topics import DevicePath
from tapwire_core.db.engine import use_case
from tapwire_core.db.store import Store
from tapwire_core.db.writes import devices, pairings
from tapwire_core.domain.actor import Actor
from tapwire_core.errors import NotFound, Refused
from tapwire_core.services.devices import DeviceExists, DeviceSecret, issue_secret, read_path
from tapwire_core.services.sessions import hash_token

CODE_LIFETIME_S: Final = 600
"""Lifetime of a code."""
MAX_OPEN_PAIRINGS: Final = 20
"""Limit of open pairings; more are refused until one is used or expires."""
CODE_LETTERS: Final = "ABCDEFGHJKMNPQRSTUVWXYZ23456789"
"""Letters and digits that are not mistaken for each other."""
CODE_LENGTH: Final = 8


class TooManyPairings(Refused):
    """Too many pairings are open."""

    code = "too_many_pairings"


class PairingWaits(Refused):
    """Nobody has accepted the device yet."""

    code = "pairing_waits"


class PairingAccepted(Refused):
    """The code was already accepted for another device."""

    code = "pairing_accepted"


@dataclass(frozen=True, slots=True)
class Pairing:
    """The device's side of a pairing: the `code` that it shows, and the secret `claim`."""

    code: str
    claim: str
    expires_at: datetime


@use_case
async def begin_pairing(store: Store) -> Pairing:
    """Open a pairing for a new device; raises `TooManyPairings`."""
    if not await pairings.make_room(store, MAX_OPEN_PAIRINGS, CODE_LIFETIME_S):
        raise TooManyPairings(f"{MAX_OPEN_PAIRINGS} pairings are open: try again in some minutes.", most=MAX_OPEN_PAIRINGS)
    code, claim = "".join(secrets.choice(CODE_LETTERS) for _ in range(CODE_LENGTH)), secrets.token_urlsafe()
    return Pairing(code, claim, await pairings.open_pairing(store, hash_token(claim), code, CODE_LIFETIME_S))


@use_case
async def accept_pairing(store: Store, actor: Actor, code: str, path: DevicePath | str, *, replace: bool = False) -> str:
    """Accept the device that shows this code, and return its path; `replace`: it takes the place of an existing device.

    Idempotent. Raises `NotFound` for a code that is unknown or expired, `PairingAccepted` and `DeviceExists`.
    """
    device = str(read_path(path))
    pairing = await pairings.lock_by_code(store, read_code(code), CODE_LIFETIME_S)
    if pairing is None or pairing.claimed:
        raise NotFound("pairing", code)
    if pairing.path not in (None, device):
        raise PairingAccepted("This code was already accepted for another device: start a new pairing.", path=pairing.path)
    known = await devices.lock_device(store, device)
    if known is not None and not known.revoked and not replace:
        raise DeviceExists(f"There is already a device {device}: set `replace` if this one takes its place.", path=device)
    await pairings.accept(store, pairing.code, device, actor.name)
    return device


@use_case
async def claim_pairing(store: Store, claim: str) -> DeviceSecret:
    """Give an accepted device its secret, once; raises `PairingWaits` before it is accepted, `NotFound` after it has expired."""
    pairing = await pairings.lock_by_claim(store, hash_token(claim), CODE_LIFETIME_S)
    if pairing is None or pairing.claimed:
        raise NotFound("pairing", "of this claim")
    if pairing.path is None or pairing.accepted_by is None:
        raise PairingWaits("Nobody has accepted this device yet: show its code, and ask again in some seconds.", code=pairing.code)
    made = await issue_secret(store, Actor(pairing.accepted_by), read_path(pairing.path))
    await pairings.close(store, pairing.code)
    return made


def read_code(text: str) -> str:
    """Normalise a code from a person's input."""
    return "".join(text.upper().split()).replace("-", "")
