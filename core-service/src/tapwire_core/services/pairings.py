"""Letting a new device in without carrying its secret to it.

The device asks, and shows the code that it gets. A person who stands before it types that code and says which device it is. Then
the device fetches its secret, once, with a token that nobody else has seen: so the code alone opens nothing, and what the person
accepts is the device that they look at. The secret is made when it is fetched and is kept nowhere but as hashes. A pairing lives
some minutes and is used once; only so many are open at a time, so that nobody fills the database.
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
"""Pairings that may be open; more are refused until one is used or expires."""
CODE_LETTERS: Final = "ABCDEFGHJKMNPQRSTUVWXYZ23456789"
"""None that people take for another."""
CODE_LENGTH: Final = 8


class TooManyPairings(Refused):
    """Too many devices wait to be let in."""

    code = "too_many_pairings"


class PairingWaits(Refused):
    """Nobody has accepted the device yet."""

    code = "pairing_waits"


class PairingAccepted(Refused):
    """The code was accepted before, for another device."""

    code = "pairing_accepted"


@dataclass(frozen=True, slots=True)
class Pairing:
    """A pairing as the device knows it: the `code` that it shows, and the secret `claim`."""

    code: str
    claim: str
    expires_at: datetime


@use_case
async def begin_pairing(store: Store) -> Pairing:
    """A new device asks to be let in; raises `TooManyPairings`."""
    if not await pairings.make_room(store, MAX_OPEN_PAIRINGS):
        raise TooManyPairings(f"{MAX_OPEN_PAIRINGS} devices wait to be let in: try again in some minutes.", most=MAX_OPEN_PAIRINGS)
    code, claim = "".join(secrets.choice(CODE_LETTERS) for _ in range(CODE_LENGTH)), secrets.token_urlsafe()
    return Pairing(code, claim, await pairings.open_pairing(store, hash_token(claim), code, CODE_LIFETIME_S))


@use_case
async def accept_pairing(store: Store, actor: Actor, code: str, path: DevicePath | str, *, replace: bool = False) -> str:
    """A person says which device shows this code, and returns its path; `replace` a device that may speak already.

    The same again changes nothing. Raises `NotFound` for a code that is not good, `PairingAccepted` and `DeviceExists`.
    """
    device = str(read_path(path))
    pairing = await pairings.lock_by_code(store, read_code(code))
    if pairing is None or pairing.claimed:
        raise NotFound("pairing", code)
    if pairing.path not in (None, device):
        raise PairingAccepted(f"This code was accepted for {pairing.path}.", path=pairing.path)
    known = await devices.lock_device(store, device)
    if known is not None and not known.revoked and not replace:
        raise DeviceExists(f"There is a device {device} already: say `replace` if this one takes its place.", path=device)
    await pairings.accept(store, pairing.code, device, actor.name)
    return device


@use_case
async def claim_pairing(store: Store, claim: str) -> DeviceSecret:
    """The device fetches its secret, once; raises `PairingWaits` until a person has accepted it, `NotFound` when it is too late."""
    pairing = await pairings.lock_by_claim(store, hash_token(claim))
    if pairing is None or pairing.claimed:
        raise NotFound("pairing", "of this claim")
    if pairing.path is None or pairing.accepted_by is None:
        raise PairingWaits("Nobody has accepted this device yet: show its code, and ask again in some seconds.", code=pairing.code)
    made = await issue_secret(store, Actor(pairing.accepted_by), read_path(pairing.path))
    await pairings.close(store, pairing.code)
    return made


def read_code(text: str) -> str:
    """A code as a person typed it."""
    return "".join(text.upper().split()).replace("-", "")
