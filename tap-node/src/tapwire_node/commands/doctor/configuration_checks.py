"""Checks of the tap's config from the core, and of its calibration factor against tap.toml."""

import sqlite3
from contextlib import closing
from pathlib import Path

from tapwire_contracts.codec import Malformed, decode
from tapwire_contracts.messages import CONFIG, TapConfig
from tapwire_contracts.reasons import ConfigStatus
from tapwire_node.commands.doctor.finding import Finding
from tapwire_node.commands.doctor.machine_checks import open_read_only
from tapwire_node.control.messages import Status
from tapwire_node.settings import Settings


def examine_calibration(settings: Settings, applied: tuple[int, int] | None) -> Finding:
    """Compare tap.toml's factor, which `calibrate` writes, with the config's; `applied` is the latter and its revision."""
    measured = settings.tap.pulses_per_liter
    if applied is None:
        return Finding.ok("calibration", f"{measured} pulses per litre from tap.toml, until the core's config has come")
    pulses_per_liter, revision = applied
    if pulses_per_liter == measured:
        return Finding.ok("calibration", f"{measured} pulses per litre (config revision {revision})")
    path = settings.tap.path.replace("/taps/", "/")
    return Finding.problem(
        "calibration",
        f"tap.toml says {measured} pulses per litre, the core's config {pulses_per_liter} (revision {revision}), which is used:"
        f' PATCH /api/taps/{path} {{"pulses_per_liter": {measured}, "reason": "calibrated"}},'
        f" or write {pulses_per_liter} under [tap] in tap.toml",
    )


def examine_config(status: Status) -> Finding:
    """Check that the tap's config lets guests pour."""
    if status.config_status is None:
        return Finding.problem("config", "the core has sent none: add the tap in the core (POST /api/taps)")
    text = f"{status.config_status}, revision {status.config_revision}"
    if status.config_status != ConfigStatus.ACTIVE:
        return Finding.ok("config", f"{text}: no guest can pour until the tap's status is active")
    if status.out_of_service is not None and not status.faults:
        return Finding.problem("config", f"{text}, but out of service: {status.out_of_service}")
    return Finding.ok("config", text)


def stored_config(journal: Path) -> tuple[int, int] | None:
    """Factor and revision of the config stored in the journal; None without one."""
    try:
        with closing(open_read_only(journal)) as db:
            (stored,) = db.execute("SELECT config FROM journal").fetchone() or (None,)
        config = decode(CONFIG, stored) if stored is not None else None
    except (sqlite3.Error, Malformed):
        return None
    return (config.pulses_per_liter, config.revision) if isinstance(config, TapConfig) else None
