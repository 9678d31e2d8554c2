"""Headings of the tables that the console saves for a spreadsheet, by the columns' names in the REST API."""

from collections.abc import Iterable
from typing import Final

from tapwire_admin.console.translations import N_
from tapwire_admin.console.viewer import Viewer

COLUMNS: Final = {
    "part": N_("Part"),
    "key": N_("Of"),
    "flowed": N_("Flowed"),
    "pours": N_("Pours"),
    "sold": N_("Sold"),
    "written_off": N_("Written off"),
    "rejected": N_("Not charged"),
    "rejected_pours": N_("Pours not charged"),
    "unattributed": N_("Unattributed"),
    "corrected": N_("Corrections"),
    "line_cleaning": N_("Line cleaning"),
    "yield_loss": N_("Left in kicked kegs"),
    "spoiled": N_("Spoiled"),
    "returned": N_("Returned"),
    "pending_pours": N_("Pours not settled yet"),
    "pending_max": N_("Not settled yet, at most"),
    "pending_hold": N_("On hold"),
    "top_ups": N_("Top-ups"),
    "refunds": N_("Refunds"),
    "adjustments": N_("Corrections"),
    "reversals": N_("Reversed"),
    "comps": N_("House credit"),
    "gross": N_("Gross"),
    "net": N_("Net"),
    "tax": N_("Tax"),
    "currency": N_("Currency"),
    "cash_float": N_("Drawer: float"),
    "cash_top_ups": N_("Drawer: top-ups"),
    "cash_refunds": N_("Drawer: refunds"),
    "cash_reversals": N_("Drawer: taken back"),
    "cash_pay_in": N_("Drawer: paid in"),
    "cash_pay_out": N_("Drawer: paid out"),
    "cash_drop": N_("Drawer: dropped into the safe"),
    "cash_expected": N_("Drawer: expected"),
    "cash_counted": N_("Drawer: counted"),
    "cash_over_short": N_("Drawer: difference"),
    "cash_float_difference": N_("Drawer: float less the last count"),
    "liability": N_("All guests have"),
    "deposits": N_("Deposits on cards"),
    "movement_id": N_("Number"),
    "cleaning_id": N_("Number"),
    "calibration_id": N_("Number"),
    "kind": N_("Kind"),
    "amount": N_("Amount"),
    "guest_id": N_("Guest"),
    "reason": N_("Reason"),
    "actor": N_("Who"),
    "created_at": N_("Time"),
    "tap": N_("Tap"),
    "note": N_("Agent and note"),
    "volume": N_("Flowed"),
    "event_id": N_("Event"),
    "cleaned_by": N_("Who"),
    "cleaned_at": N_("Time"),
    "reference": N_("In the vessel"),
    "metered": N_("Counted by the meter"),
    "pulses_per_liter_before": N_("Pulses per litre before"),
    "pulses_per_liter_after": N_("Pulses per litre after"),
    "error_per_mille": N_("Meter error, per mille"),
    "calibrated_by": N_("Who"),
    "calibrated_at": N_("Time"),
}
"""Headings by the columns' names, without the unit at their end."""


def headings(viewer: Viewer, names: Iterable[str]) -> list[str]:
    """The columns' headings in the viewer's language, with the unit of volumes and amounts."""
    return [_heading(viewer, name) for name in names]


def _heading(viewer: Viewer, name: str) -> str:
    plain = name.removesuffix("_ml").removesuffix("_minor")
    heading = viewer.translate(COLUMNS[plain])
    if name.endswith("_ml"):
        return f"{heading}, {viewer.translate(N_('ml'))}"
    return f"{heading} ({viewer.formats.currency})" if name.endswith("_minor") else heading
