"""`tapwire-node pair`: give a new device its secret without anybody copying it.

The command starts a pairing at the admin API, shows the code, and polls until an engineer has accepted the code. Then it fetches
the secret, once, and writes it to tap.toml with the broker's address and CA. Everything that can go wrong with that file is tried
before the secret is made. If the answer with the secret is lost all the same, the device must be paired again.

On a machine without a screen the code is in the log, on the console, and in `systemctl status`; there the unit
`tapwire-pair@.service` starts again with a new code until one is accepted.
"""

import logging
import re
import signal
import time
from pathlib import Path
from typing import Final

import msgspec
import tomlkit
from tomlkit import TOMLDocument

from tapwire_contracts.logs import set_up_logs
from tapwire_node.clock import monotonic_ms
from tapwire_node.commands.admin_api import ApiUnreachable
from tapwire_node.commands.big_letters import big_letters
from tapwire_node.commands.pairing_api import CodeExpired, PairedDevice, PairingApi, PairingPending, PairingRefused
from tapwire_node.commands.tap_toml import atomic_replacement, read_document, table_of
from tapwire_node.commands.terminal import Terminal
from tapwire_node.runtime.systemd_notify import SystemdNotifier
from tapwire_node.settings import InvalidSettings, PairingSettings, Settings, load_settings

CA_FILE: Final = "ca.crt"
"""The file of the broker's CA, beside tap.toml."""
LOGIN: Final = re.compile("//[^/]*@")
"""A login in the broker's URL, which the new login replaces."""
NOT_FOR_OTHERS: Final = 0o770
PLACEHOLDER: Final = PairedDevice("bar/taps/left", "bar/taps/left", "secret", "mqtts://broker.example")
MS_PER_S: Final = 1_000
PAIR_AGAIN: Final = "pair again, and let the engineer accept the new code with `replace`, for a device that exists already"
NEW_TAP_TOML: Final = """\
# This file contains the secret: keep it readable for the node only.
[tap]

[broker]

[journal]
file = "journal.sqlite"

[hardware]
driver = "gpio"
valve_pin = 17                           # as wired: BCM numbers
meter_pin = 27
"""
"""A new tap.toml with the pins of docs/tap-node.md; an existing file is completed instead."""
logger: Final = logging.getLogger(__name__)


def pair(config: Path, api: str | None, ca_file: Path | None, *, again: bool) -> int:
    """Pair this device and return the exit code. Raises `PairingRefused` and `InvalidSettings`."""
    terminal, paired = Terminal(), None
    try:
        document = read_document(config) if config.exists() else tomlkit.parse(NEW_TAP_TOML)
        if has_secret(document, config) and not again:
            terminal.say(f"{config} already has a secret; to pair the device again, use --again.")
            return 0
        pairing = pairing_settings(document, config, api, ca_file)
        check_other_settings(document, config)
        set_up_logs("pairing")
        # so that temporary files are removed when systemd stops us
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        restrict_permissions(config)
        with atomic_replacement(config) as put:
            paired = fetch_secret(PairingApi(pairing.api, Path(pairing.ca_file) if pairing.ca_file else None), pairing, terminal)
            write_broker_ca(paired, document, config, terminal)
            complete_settings(document, paired)
            put(tomlkit.dumps(document))
    except OSError as error:
        advice = f"the secret is lost, {PAIR_AGAIN}" if paired else "run this as the owner of the file and its folder"
        raise PairingRefused(f"{config} can't be written ({error.strerror}): {advice}") from error
    terminal.say(f"This device is {paired.path}. Its secret is in {config}.")
    terminal.say(next_step(config))
    return 0


def has_secret(document: TOMLDocument, config: Path) -> bool:
    """True when tap.toml has a secret; a `password_file` that does not exist is none."""
    broker = table_of(document, "broker").unwrap()
    file = broker.get("password_file")
    is_kept = file is not None and (config.resolve().parent / str(file)).exists()
    return is_kept or bool(broker.get("password")) or "@" in str(broker.get("url"))


def pairing_settings(document: TOMLDocument, config: Path, api: str | None, ca_file: Path | None) -> PairingSettings:
    """The admin API by the command's options, or else by [pairing] in the file."""
    given = dict(table_of(document, "pairing").unwrap()) if "pairing" in document else {}
    if "ca_file" in given:
        given["ca_file"] = str(config.resolve().parent / given["ca_file"])
    if api is not None:
        given["api"] = api
    if ca_file is not None:
        given["ca_file"] = str(ca_file)
    if "api" not in given:
        raise PairingRefused(f"the admin API is not known: use --api https://HOST, or set api under [pairing] in {config}")
    try:
        return msgspec.convert(given, PairingSettings)
    except msgspec.ValidationError as error:
        raise InvalidSettings(f"{config}: pairing: {error}") from error


def check_other_settings(document: TOMLDocument, config: Path) -> None:
    """Check the rest of the file before a secret is made for it; raises `InvalidSettings`."""
    completed = tomlkit.parse(tomlkit.dumps(document))
    complete_settings(completed, PLACEHOLDER)
    try:
        msgspec.convert(completed.unwrap(), Settings)
    except msgspec.ValidationError as error:
        raise InvalidSettings(f"{config}: {error}") from error


def fetch_secret(api: PairingApi, pairing: PairingSettings, terminal: Terminal) -> PairedDevice:
    """Show a code, wait until it is accepted, and return the login; raises `PairingRefused`."""
    try:
        begun = api.begin()
    except ApiUnreachable as error:
        raise PairingRefused(f"{error}. Check the address and the network") from error
    show_code(f"{begun.code[:4]}-{begun.code[4:]}", api.address, terminal)
    answered_ms, is_away = monotonic_ms(), False
    while True:
        time.sleep(pairing.poll_ms / MS_PER_S)
        try:
            return api.claim(begun.claim)
        except PairingPending:
            if is_away:
                terminal.say("The admin API answers again.")
            answered_ms, is_away = monotonic_ms(), False
        except ApiUnreachable as error:
            if not is_away:
                terminal.say(f"{error}; trying again.")
            is_away = True
            if monotonic_ms() - answered_ms > pairing.patience_ms:
                raise PairingRefused(f"{error}. Pair again when it answers") from error
        except CodeExpired as error:
            if is_away:
                raise PairingRefused(
                    f"the code has expired, or the answer with the secret was lost on the way: {PAIR_AGAIN}"
                ) from error
            raise PairingRefused("the code has expired: pair again to get a new one") from error


def show_code(code: str, address: str, terminal: Terminal) -> None:
    """Show the code on the terminal, in the log, and in `systemctl status`."""
    terminal.say(f"\n{big_letters(code)}\n\n{code}\n")
    terminal.say(f"An engineer enters this code at {address} under Devices, Pair by code, and selects this device. Waiting.")
    logger.info("pairing code %s: an engineer accepts it at %s under Devices", code, address)
    SystemdNotifier().notify_status(f"pairing code {code}")


def restrict_permissions(config: Path) -> None:
    """Remove the permissions of others from a prepared file; raises `OSError`."""
    if config.exists():
        config.chmod(config.stat().st_mode & NOT_FOR_OTHERS)


def write_broker_ca(paired: PairedDevice, document: TOMLDocument, config: Path, terminal: Terminal) -> None:
    """Write the broker's CA beside the settings, unless they name a file that exists."""
    if paired.broker_ca is None:
        return
    named = str(table_of(document, "broker").setdefault("ca_file", CA_FILE))
    file = config.resolve().parent / named
    try:
        if named == CA_FILE or not file.exists():
            with atomic_replacement(file) as put:
                put(paired.broker_ca)
    except OSError as error:
        # the secret is given only once, so it is written all the same
        terminal.say(f"{file} can't be written ({error.strerror}): put the broker's CA certificate there.")


def complete_settings(document: TOMLDocument, paired: PairedDevice) -> None:
    """Set the login, the broker's address and its protocol; everything else stays."""
    table_of(document, "tap")["path"] = paired.path
    broker = table_of(document, "broker")
    if paired.broker_url is not None:
        broker["url"] = paired.broker_url
    elif "url" in broker:
        broker["url"] = LOGIN.sub("//", str(broker["url"]))
    if paired.broker_protocol is not None:
        broker["protocol"] = paired.broker_protocol
    broker["username"] = paired.username
    broker.pop("password_file", None)
    broker["password"] = paired.secret


def next_step(config: Path) -> str:
    """Text: the next step for the person."""
    try:
        load_settings(config)
    except InvalidSettings as error:
        return f"Before the node can run, fix this: {error}"
    return (
        f"Next: `tapwire-node doctor --config {config}`, then start the node (`systemctl enable --now tapwire-node@{config.stem}`)."
    )
