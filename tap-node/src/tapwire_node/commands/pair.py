"""`tapwire-node pair`: a new device is let in without anybody carrying its secret to it.

It asks the admin API, shows the code that it gets, and asks again and again until an engineer has accepted the code; then it
fetches its secret, once, and writes it to tap.toml with all that it needs to find the broker. Whatever can go wrong with that file
is tried before the secret is made. What is lost on the way all the same costs a new pairing, and the text says so.

At a machine without a screen the code stands in the log, on the machine's console, and in `systemctl status`
(`tapwire-pair@.service`): there it is asked anew, under a new code, until somebody accepts.
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
from tapwire_node.commands.big_letters import big_letters
from tapwire_node.commands.pairing_api import ApiUnreachable, CodeExpired, PairedDevice, PairingApi, PairingPending, PairingRefused
from tapwire_node.commands.tap_toml import atomic_replacement, read_document, table_of
from tapwire_node.commands.terminal import Terminal
from tapwire_node.runtime.systemd_notify import SystemdNotifier
from tapwire_node.settings import InvalidSettings, PairingSettings, Settings, load_settings

CA_FILE: Final = "ca.crt"
"""The broker's authority, beside the tap.toml."""
LOGIN: Final = re.compile("//[^/]*@")
"""What may stand in the broker's address, and gives way to the new login."""
NOT_FOR_OTHERS: Final = 0o770
PLACEHOLDER: Final = PairedDevice("bar/taps/left", "bar/taps/left", "secret", "mqtts://broker.example")
MS_PER_S: Final = 1_000
PAIR_AGAIN: Final = "pair again, and the engineer accepts the new code as one that takes this device's place (`replace`)"
NEW_TAP_TOML: Final = """\
# The secret stands in here: keep this file readable for the node only.
[tap]

[broker]

[journal]
file = "journal.sqlite"

[hardware]
driver = "gpio"
valve_pin = 17                           # as wired: BCM numbers
meter_pin = 27
"""
"""A tap as docs/tap-node.md wires it; where a file is there already, that one is completed."""
logger: Final = logging.getLogger(__name__)


def pair(config: Path, api: str | None, ca_file: Path | None, *, again: bool) -> int:
    """Let this device be let in; the exit code. Raises `PairingRefused` and `InvalidSettings`."""
    terminal, paired = Terminal(), None
    try:
        document = read_document(config) if config.exists() else tomlkit.parse(NEW_TAP_TOML)
        if has_secret(document, config) and not again:
            terminal.say(f"{config} has its secret already; to let the device in anew, say --again.")
            return 0
        pairing = pairing_settings(document, config, api, ca_file)
        check_other_settings(document, config)
        set_up_logs("pairing")
        # so that what was begun is cleared away when systemd ends us
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
    """Whether the device was let in before; a file that is to hold its secret, and isn't there, is none."""
    broker = table_of(document, "broker").unwrap()
    file = broker.get("password_file")
    is_kept = file is not None and (config.resolve().parent / str(file)).exists()
    return is_kept or bool(broker.get("password")) or "@" in str(broker.get("url"))


def pairing_settings(document: TOMLDocument, config: Path, api: str | None, ca_file: Path | None) -> PairingSettings:
    """Where to ask, as the command or the file's [pairing] says."""
    given = dict(table_of(document, "pairing").unwrap()) if "pairing" in document else {}
    if "ca_file" in given:
        given["ca_file"] = str(config.resolve().parent / given["ca_file"])
    if api is not None:
        given["api"] = api
    if ca_file is not None:
        given["ca_file"] = str(ca_file)
    if "api" not in given:
        raise PairingRefused(f"say where the admin API is: --api https://HOST, or api under [pairing] in {config}")
    try:
        return msgspec.convert(given, PairingSettings)
    except msgspec.ValidationError as error:
        raise InvalidSettings(f"{config}: pairing: {error}") from error


def check_other_settings(document: TOMLDocument, config: Path) -> None:
    """What else the file says must be right before a secret is made for it; raises `InvalidSettings`."""
    completed = tomlkit.parse(tomlkit.dumps(document))
    complete_settings(completed, PLACEHOLDER)
    try:
        msgspec.convert(completed.unwrap(), Settings)
    except msgspec.ValidationError as error:
        raise InvalidSettings(f"{config}: {error}") from error


def fetch_secret(api: PairingApi, pairing: PairingSettings, terminal: Terminal) -> PairedDevice:
    """Show a code and wait until it is accepted; raises `PairingRefused`."""
    try:
        begun = api.begin()
    except ApiUnreachable as error:
        raise PairingRefused(f"{error}. Is the address right, and the network there?") from error
    show_code(f"{begun.code[:4]}-{begun.code[4:]}", api.address, terminal)
    answered_ms, is_away = monotonic_ms(), False
    while True:
        time.sleep(pairing.poll_ms / MS_PER_S)
        try:
            return api.claim(begun.claim)
        except PairingPending:
            if is_away:
                terminal.say("It answers again.")
            answered_ms, is_away = monotonic_ms(), False
        except ApiUnreachable as error:
            if not is_away:
                terminal.say(f"{error}; asking on.")
            is_away = True
            if monotonic_ms() - answered_ms > pairing.patience_ms:
                raise PairingRefused(f"{error}. Pair again when it is back") from error
        except CodeExpired as error:
            if is_away:
                raise PairingRefused(
                    f"the code has expired, or the answer with the secret was lost on the way: {PAIR_AGAIN}"
                ) from error
            raise PairingRefused("the code has expired: pair again, there will be a new one") from error


def show_code(code: str, address: str, terminal: Terminal) -> None:
    """On the terminal, in the log, and where systemd shows how a unit is."""
    terminal.say(f"\n{big_letters(code)}\n\n{code}\n")
    terminal.say(f"An engineer types this code at {address} under Devices, Accept a code, and says which device this is. Waiting.")
    logger.info("pairing code %s: an engineer accepts it at %s under Devices", code, address)
    SystemdNotifier().notify_status(f"pairing code {code}")


def restrict_permissions(config: Path) -> None:
    """A file that was prepared without a secret may be readable for everybody: no more; raises `OSError`."""
    if config.exists():
        config.chmod(config.stat().st_mode & NOT_FOR_OTHERS)


def write_broker_ca(paired: PairedDevice, document: TOMLDocument, config: Path, terminal: Terminal) -> None:
    """Whom to trust at the broker goes beside the settings, unless they name a file that is there."""
    if paired.broker_ca is None:
        return
    named = str(table_of(document, "broker").setdefault("ca_file", CA_FILE))
    file = config.resolve().parent / named
    try:
        if named == CA_FILE or not file.exists():
            with atomic_replacement(file) as put:
                put(paired.broker_ca)
    except OSError as error:
        # the secret is worth more: it goes into its file all the same
        terminal.say(f"{file} can't be written ({error.strerror}): put the certificate of the broker's authority there.")


def complete_settings(document: TOMLDocument, paired: PairedDevice) -> None:
    """What the core said goes in; all else stays as it is."""
    table_of(document, "tap")["path"] = paired.path
    broker = table_of(document, "broker")
    if paired.broker_url is not None:
        broker["url"] = paired.broker_url
    elif "url" in broker:
        broker["url"] = LOGIN.sub("//", str(broker["url"]))
    broker["username"] = paired.username
    broker.pop("password_file", None)
    broker["password"] = paired.secret


def next_step(config: Path) -> str:
    """What a person does now."""
    try:
        load_settings(config)
    except InvalidSettings as error:
        return f"Before it can run: {error}"
    return (
        f"Next: `tapwire-node doctor --config {config}`, then start the node (`systemctl enable --now tapwire-node@{config.stem}`)."
    )
