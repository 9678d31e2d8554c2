"""Retention periods. Pours, the audit log and the books are kept for good."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class RetentionPeriods:
    """Retention periods in days.

    A node repeats a fact for 30 days (SYSTEM.md, "The tap node"), so a verdict is kept for longer: without it the repeat would be
    settled as another report. `guests_days`: guests who were not seen for so long, and have nothing, are erased; None: never.
    """

    answers_days: int = 30
    verdicts_days: int = 31
    dead_letters_days: int = 30
    sessions_days: int = 30
    webhooks_days: int = 30
    heartbeats_days: int = 1
    guests_days: int | None = None


DEFAULT_RETENTION: Final = RetentionPeriods()
"""The defaults."""
