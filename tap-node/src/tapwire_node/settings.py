"""`tap.toml`: the settings of one tap node or desk reader.

    [tap]
    path = "bar/taps/left"                   # also the broker's username and client id; "bar/readers/desk" is a desk reader

    [broker]
    url = "mqtts://broker.example:8883"      # or mqtt://; user:secret@ may stand in it; several, separated by commas, for
                                             # the members of a cluster, which are tried in turn
    password_file = "/etc/tapwire/secret"    # or password = "…"
    protocol = "5"                           # "3.1.1" for a broker that speaks no MQTT 5

    [journal]
    file = "/var/lib/tapwire/journal.sqlite"

    [hardware]
    driver = "gpio"                          # or "simulated"; at a desk reader "pcsc", "mfrc522" or "simulated"
    valve_pin = 17
    meter_pin = 27

    [pairing]                                # for `tapwire-node pair`: where a device without a secret asks for one
    api = "https://venue.example"
    ca_file = "api-ca.crt"                   # when this machine does not trust the API's certificate anyway

    [limits]                                 # any of controller.limits, when the default doesn't fit

Paths are relative to the file. An unknown name, a missing one or a wrong value is refused with a text that says what to change.
"""

import tomllib
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import SplitResult, unquote

import msgspec
from msgspec import Meta, Struct

from tapwire_contracts.broker_addresses import InvalidBrokerUrl, parse_broker_url, port_of, split_broker_urls
from tapwire_contracts.messages import Name
from tapwire_contracts.text_files import read_text_file
from tapwire_contracts.topics import DeviceKind, DevicePath, InvalidPath
from tapwire_node.controller.limits import Duration, Limits
from tapwire_node.hardware.settings import DeskHardware, GpioHardware, Mfrc522Hardware, PcscHardware, SimulatedHardware, TapHardware


class InvalidSettings(ValueError):
    """The settings can't be used; the text says what to change."""


class TapSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The tap's or desk reader's identity. `pulses_per_liter` applies until the first config has come."""

    path: str
    reader_id: Name = "tap"
    pulses_per_liter: Annotated[int, Meta(ge=1, le=1_000_000)] = 450


class BrokerSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The broker, the login, and the intervals of reconnecting and resending."""

    url: str
    """Its address, or several of one cluster separated by commas."""
    username: str | None = None
    password: str | None = None
    password_file: str | None = None
    protocol: Literal["5", "3.1.1"] = "5"
    ca_file: str | None = None
    keepalive_s: Annotated[int, Meta(ge=5, le=3_600)] = 15
    timeout_ms: Duration = 5_000
    """Longest duration of connecting, subscribing or one publish."""
    reconnect_first_ms: Duration = 500
    reconnect_max_ms: Duration = 15_000
    """Backoff of reconnecting: waits double from the first to the longest, each shortened by up to half at random."""
    reconnect_stable_ms: Duration = 5_000
    """A connection that lasted this long resets the backoff."""
    correct_state_ms: Duration = 1_000
    """Delay before a retained state of ours that another client overwrote is published again."""
    resend_first_ms: Duration = 2_000
    resend_max_ms: Duration = 60_000
    """Backoff of resending a fact without a verdict."""
    resend_spread_ms: Duration = 3_000
    """Time over which open facts are resent after a connect and for a new core worker."""


class JournalSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The journal's file, the retention of its facts, and `retry_ms`, the retry interval of a broken journal or full disk."""

    file: str = "journal.sqlite"
    keep_days: Annotated[int, Meta(ge=1, le=3_650)] = 30
    """Retention of a fact after its verdict; the newest 10,000 are always kept."""
    retry_ms: Duration = 5_000
    reserve_kib: Annotated[int, Meta(ge=64, le=1_048_576)] = 1_024
    """Disk space reserved for the facts of a running pour; without it no pour begins."""


class ProcessSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Intervals and timeouts of the process."""

    tick_ms: Annotated[int, Meta(ge=1, le=1_000)] = 20
    """Interval of ticks while the tap is not at rest."""
    idle_tick_ms: Annotated[int, Meta(ge=1, le=1_000)] = 100
    """Interval of ticks while the tap is at rest."""
    valve_watchdog_ms: Duration = 1_000
    """The valve's watchdog closes it when the process has not fed the watchdog for this long."""
    reader_stall_ms: Duration = 2_000
    """A reader that has not looked for a card for this long counts as broken."""
    shutdown_ms: Duration = 5_000
    """Longest wait for the end of a pour at shutdown."""


class PairingSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Pairing: how a device without a secret gets one."""

    api: str
    """The admin API, `https://HOST[:PORT]`."""
    ca_file: str | None = None
    poll_ms: Duration = 2_000
    """Interval of asking if the code was accepted."""
    patience_ms: Duration = 900_000
    """How long an unreachable API is tried."""


class Settings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The content of a tap.toml."""

    tap: TapSettings
    broker: BrokerSettings
    journal: JournalSettings = JournalSettings()
    hardware: TapHardware | DeskHardware
    pairing: PairingSettings | None = None
    limits: Limits = Limits()
    process: ProcessSettings = ProcessSettings()


class BrokerAddress(Struct, frozen=True, kw_only=True):
    """One address of the broker, and the node's login there."""

    host: str
    port: int
    tls: bool
    username: str
    password: str | None


def load_settings(file: Path) -> Settings:
    """Read and check a tap.toml; raises `InvalidSettings`."""
    try:
        content = tomllib.loads(read_text_file(file))
        settings = msgspec.convert(content, Settings)
    except OSError as error:
        raise InvalidSettings(f"{file} can't be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidSettings(f"{file} is not valid TOML: {error}") from error
    except msgspec.ValidationError as error:
        raise InvalidSettings(f"{file}: {error}") from error
    (tap_hardware if device_path(settings).kind is DeviceKind.TAP else desk_hardware)(settings)
    settings = resolve_paths(settings, file.resolve().parent)
    broker_addresses(settings)
    ca_file = settings.broker.ca_file
    if ca_file is not None and not Path(ca_file).is_file():
        raise InvalidSettings(f"broker.ca_file: there is no {ca_file}")
    return settings


def resolve_paths(settings: Settings, folder: Path) -> Settings:
    """Resolve the paths in the settings against the folder of the file."""
    broker = msgspec.structs.replace(
        settings.broker,
        password_file=_resolve(folder, settings.broker.password_file),
        ca_file=_resolve(folder, settings.broker.ca_file),
    )
    journal = msgspec.structs.replace(settings.journal, file=str(folder / settings.journal.file))
    hardware = settings.hardware
    if isinstance(hardware, SimulatedHardware):
        hardware = msgspec.structs.replace(
            hardware, scenario=_resolve(folder, hardware.scenario), simulator=_resolve(folder, hardware.simulator)
        )
    return msgspec.structs.replace(settings, broker=broker, journal=journal, hardware=hardware)


def _resolve(folder: Path, file: str | None) -> str | None:
    return str(folder / file) if file is not None else None


def device_path(settings: Settings) -> DevicePath:
    """The path of the tap or desk reader; raises `InvalidSettings`."""
    try:
        return DevicePath.parse(settings.tap.path)
    except InvalidPath as error:
        raise InvalidSettings(f"tap.path: {error}") from error


def tap_hardware(settings: Settings) -> TapHardware:
    """The tap's hardware; raises `InvalidSettings` for a driver without a valve."""
    match settings.hardware:
        case SimulatedHardware() | GpioHardware() as hardware:
            return hardware
        case PcscHardware() | Mfrc522Hardware():
            raise InvalidSettings(f'hardware.driver: {settings.tap.path} is a tap and needs a valve: write "gpio" or "simulated"')


def desk_hardware(settings: Settings) -> DeskHardware:
    """The desk reader's hardware; raises `InvalidSettings` for a driver with a valve."""
    match settings.hardware:
        case SimulatedHardware() | Mfrc522Hardware() | PcscHardware() as hardware:
            return hardware
        case GpioHardware():
            raise InvalidSettings(
                f'hardware.driver: {settings.tap.path} is a desk reader and has no valve: write "pcsc", "mfrc522" or "simulated"'
            )


def broker_addresses(settings: Settings) -> tuple[BrokerAddress, ...]:
    """Hosts, ports, TLS and logins, from the URL, the settings and the password file; raises `InvalidSettings`."""
    try:
        urls = [parse_broker_url(url) for url in split_broker_urls(settings.broker.url)]
    except InvalidBrokerUrl as error:
        raise InvalidSettings(f"broker.url: {error}") from error
    return tuple(_broker_address(settings, url) for url in urls)


def _broker_address(settings: Settings, url: SplitResult) -> BrokerAddress:
    broker = settings.broker
    return BrokerAddress(
        host=url.hostname or "",
        port=port_of(url),
        tls=url.scheme == "mqtts",
        username=broker.username or (unquote(url.username) if url.username else settings.tap.path),
        password=_password(broker, unquote(url.password) if url.password else None),
    )


def _password(broker: BrokerSettings, from_url: str | None) -> str | None:
    given = [broker.password, broker.password_file, from_url]
    if sum(one is not None for one in given) > 1:
        raise InvalidSettings("broker: give the password once, as password, as password_file or in url")
    if broker.password_file is None:
        return broker.password or from_url
    try:
        return read_text_file(broker.password_file).strip()
    except OSError as error:
        raise InvalidSettings(f"broker.password_file: {broker.password_file} can't be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise InvalidSettings(f"broker.password_file: {broker.password_file} is not UTF-8: save it as UTF-8") from error
