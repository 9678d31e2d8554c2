"""Whether node and core count with the factor that was measured."""

from tapwire_node.commands.doctor.finding import Finding
from tapwire_node.settings import Settings

SUBJECT = "calibration"


def examine_calibration(settings: Settings, applied: tuple[int, int] | None) -> Finding:
    """Compare tap.toml's factor, which `calibrate` writes, with the config's: `applied`, with its revision, if one has come."""
    measured = settings.tap.pulses_per_liter
    if applied is None:
        return Finding.well(SUBJECT, f"{measured} pulses per litre, from tap.toml, until the core's config has come")
    pulses_per_liter, revision = applied
    if pulses_per_liter == measured:
        return Finding.well(SUBJECT, f"{measured} pulses per litre (config revision {revision})")
    path = settings.tap.path.replace("/taps/", "/")
    return Finding.ill(
        SUBJECT,
        f"tap.toml says {measured} pulses per litre, the core's config {pulses_per_liter} (revision {revision}), which counts:"
        f' PATCH /api/taps/{path} {{"pulses_per_liter": {measured}}}, or write {pulses_per_liter} under [tap] in tap.toml',
    )
