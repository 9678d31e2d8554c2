"""Limits (SYSTEM.md, "Limits") and the other settings that rules depend on."""

from dataclasses import dataclass, field

from tapwire_contracts.currencies import CURRENCY_DIGITS
from tapwire_contracts.reasons import Locale
from tapwire_core.domain.closed_sets import PaymentProviderName
from tapwire_core.domain.webhooks import WebhookLimits


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """The installation's currency, language and limits. The defaults are those of SYSTEM.md."""

    currency: str = "EUR"
    locale: Locale = Locale.EN
    start_window_ms: int = 10_000
    sync_timeout_ms: int = 360_000
    max_duration_ms: int = 300_000
    idle_timeout_ms: int = 15_000
    max_report_ml: int = 100_000
    max_flow_ml_per_s: int = 200
    overpour_tolerance_ml: int = 50
    late_sync_tolerance_ml: int = 5
    idempotency_ttl_h: int = 24
    heartbeat_ms: int = 10_000
    core_heartbeat_ms: int = 5_000
    takeover_ms: int = 6_000
    device_incidents_per_hour: int = 100
    device_dead_letters_per_hour: int = 100
    device_decisions_per_hour: int = 36_000
    identity_conflict_ms: int = 120_000
    payment_provider: PaymentProviderName | None = None
    payment_min_minor: int = 5_00
    payment_max_minor: int = 200_00
    guest_page_key: str = field(default="", repr=False)
    webhooks: WebhookLimits = field(default_factory=WebhookLimits)

    def __post_init__(self) -> None:
        if self.currency not in CURRENCY_DIGITS:
            raise ValueError(f"TAPWIRE_CURRENCY: {self.currency!r} is no currency of ISO 4217, such as EUR")
        if self.sync_timeout_ms < self.max_duration_ms + SYNC_TIMEOUT_MARGIN_MS:
            raise ValueError(
                f"sync_timeout_ms ({self.sync_timeout_ms}) must be at least max_duration_ms ({self.max_duration_ms}) "
                f"plus {SYNC_TIMEOUT_MARGIN_MS}: raise TAPWIRE_SYNC_TIMEOUT_MS or lower TAPWIRE_MAX_DURATION_MS"
            )


SYNC_TIMEOUT_MARGIN_MS = 30_000
"""Time after `max_duration_ms` before a missing report is an incident."""
