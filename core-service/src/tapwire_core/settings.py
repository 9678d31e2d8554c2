"""Settings: `TAPWIRE_*` environment variables, or lines of a file that `TAPWIRE_SETTINGS_FILE` names.

Each setting, secrets above all, may also come from a file of its own: `TAPWIRE_DATABASE_URL_FILE=/run/secrets/database_url`.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, Field, ValidationError
from pydantic_settings import BaseSettings, DotEnvSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

from tapwire_contracts.broker_addresses import split_broker_urls
from tapwire_contracts.reasons import Locale
from tapwire_contracts.text_files import ENCODING, read_text_file
from tapwire_contracts.topics import HOME_ASSISTANT
from tapwire_core.broker.management_api import read_api_addresses
from tapwire_core.domain.closed_sets import PaymentProviderName
from tapwire_core.domain.policy import Policy
from tapwire_core.domain.retention import DEFAULT_RETENTION, RetentionPeriods
from tapwire_core.domain.webhooks import WebhookLimits

PREFIX: Final = "TAPWIRE_"
LOOPBACK: Final = "127.0.0.1"
SHARE_GROUP: Final = "tapwire"
MQTT_5: Final = "5"
"""The `broker_protocol` that a node speaks too without being told."""
_LIMITS: Final = Policy()
_WEBHOOKS: Final = _LIMITS.webhooks


def _check_broker_urls(text: str) -> str:
    """Refuse what is no address of a broker, nor several."""
    split_broker_urls(text)
    return text


def _check_api_urls(text: str) -> str:
    """Refuse what is no address of a management API, nor several."""
    read_api_addresses(text)
    return text


ApiUrls = Annotated[str, AfterValidator(_check_api_urls)]
BrokerUrls = Annotated[str, AfterValidator(_check_broker_urls)]


class InvalidSettings(Exception):
    """A setting is missing or invalid; the text names it and what it needs."""


class Settings(BaseSettings):
    """Settings of core and admin API. Limits have their names from SYSTEM.md."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_file=os.environ.get(f"{PREFIX}SETTINGS_FILE"),
        env_file_encoding=ENCODING,
        extra="ignore",
        frozen=True,
    )

    database_url: str = Field(pattern="^postgres(ql)?://")
    """`postgresql://user:password@host:port/database`; `…@one:5432,two:5432/database` uses the host that accepts writes."""
    owner_database_url: str | None = Field(default=None, pattern="^postgres(ql)?://")
    """URL for the tables' owner, for `migrate` and `restore`; the role of `database_url` may then only add to the books."""
    broker_url: BrokerUrls | None = None
    """`mqtt://user:secret@host:port`, or `mqtts://…` with TLS; several, separated by commas, are tried in turn (a cluster)."""
    broker_protocol: Literal["5", "3.1.1"] = MQTT_5
    """`3.1.1` for a broker without MQTT 5."""
    broker_ca_file: Path | None = None
    """The certificate authority for `mqtts://`; without it the machine's trusted ones."""
    shared_subscriptions: bool = False
    """`true` lets the broker spread devices' messages over the workers (`$share`); else the workers share the taps themselves."""
    share_group: str = Field(default=SHARE_GROUP, pattern="^[A-Za-z0-9_-]{1,64}$")
    """The workers' shared subscription, if they have one; a secret name where devices can't be trusted."""
    device_broker_url: BrokerUrls | None = None
    """The broker's address for devices, or several separated by commas; `add-device` prints it with a tap's settings, and a device
    that pairs gets it."""
    broker_logins_secret: str | None = Field(default=None, repr=False, pattern="^[A-Za-z0-9_-]{32,200}$")
    """The secret that a broker shows to `broker-logins` when it asks about logins: 32 letters, digits, `_` or `-`, or more."""
    broker_api: Literal["rabbitmq", "emqx"] = "rabbitmq"
    """The kind of broker whose management API `broker-logins` has end connections of revoked devices."""
    broker_api_url: ApiUrls | None = Field(default=None, repr=False)
    """`http://NAME:SECRET@HOST:PORT` of that API, or `https://…`; one address for each member of a cluster, separated by commas."""
    home_assistant: bool = False
    """Publish the taps for Home Assistant over the broker."""
    home_assistant_prefix: str = Field(default=HOME_ASSISTANT, pattern="^[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)*$")
    """Home Assistant's discovery prefix."""
    admin_host: str = LOOPBACK
    """Address on which the admin API listens."""
    admin_port: int = Field(default=8080, ge=0, le=65_535)
    """Port on which the admin API listens."""
    public_url: str | None = Field(default=None, pattern=r"^(https?://[^/?#\s]+/?)?$")
    """Address at which guests reach the admin API, such as `https://taps.example`; else the one at which staff do."""
    metrics_host: str = LOOPBACK
    """Address on which a core worker serves `/metrics`, `/health/live` and `/health/ready`, and the admin API `/metrics`."""
    metrics_port: int | None = Field(default=None, ge=0, le=65_535)
    """Port of a core worker's `/metrics` and `/health`; without one they are not served."""
    admin_metrics_port: int | None = Field(default=None, ge=0, le=65_535)
    """Port of the admin API's `/metrics`, which never are on its public port; without one they are not served."""
    backup_folder: Path | None = None
    """Folder of `tapwire-core backup FOLDER`; `/metrics` shows the age of its newest file."""
    currency: str = Field(default="EUR", pattern="^[A-Z]{3}$")
    """ISO 4217 code of all money."""
    locale: Locale = Locale.EN
    """Language of the taps' screens."""
    log_format: Literal["text", "json"] = "text"
    """`json` for one JSON object per line."""
    session_ttl_h: int = Field(default=12, ge=1)
    """Duration of a login."""
    cookie_secure: bool = False
    """Send the console's cookie over TLS only, also when the login came without TLS."""

    guest_page_key: str = Field(default=_LIMITS.guest_page_key, repr=False, pattern="^(.{32,200})?$")
    """A secret of 32 letters or more that seals the addresses of guests' pages, beside the key in the database; the same for all
    admin APIs. With another one than before, a page that staff look at again gets a new address."""

    keep_answers_days: int = Field(default=DEFAULT_RETENTION.answers_days, ge=1)
    """Retention of answers to questions."""
    keep_verdicts_days: int = Field(default=DEFAULT_RETENTION.verdicts_days, ge=1)
    """Retention of verdicts; keep them longer than nodes keep their facts."""
    keep_dead_letters_days: int = Field(default=DEFAULT_RETENTION.dead_letters_days, ge=1)
    """Retention of dead letters."""
    keep_sessions_days: int = Field(default=DEFAULT_RETENTION.sessions_days, ge=1)
    """Retention of ended sessions."""
    keep_webhooks_days: int = Field(default=DEFAULT_RETENTION.webhooks_days, ge=1)
    """Retention of webhooks' events and deliveries."""
    keep_heartbeats_days: int = Field(default=DEFAULT_RETENTION.heartbeats_days, ge=1, le=365)
    """Retention of the heartbeats of processes that are gone; a program's last one stays until its incident is resolved."""

    keep_guests_days: int | None = Field(default=DEFAULT_RETENTION.guests_days, ge=1)
    """Time after which a guest who was not seen, and has nothing, is erased; without it nobody is erased by itself."""

    webhook_private_targets: bool = _WEBHOOKS.private_targets
    """Allow webhooks to this machine and private networks, there also without TLS."""
    webhook_timeout_ms: int = Field(default=_WEBHOOKS.timeout_ms, ge=100, le=60_000)
    """Timeout of a delivery to a receiver."""
    webhook_concurrency: int = Field(default=_WEBHOOKS.concurrency, ge=1, le=100)
    """Concurrent deliveries of a worker to one webhook."""
    webhook_retry_first_ms: int = Field(default=_WEBHOOKS.retry_first_ms, ge=1)
    """Shortest wait before a retry of a delivery."""
    webhook_retry_most_ms: int = Field(default=_WEBHOOKS.retry_most_ms, ge=1)
    """Longest wait before a retry of a delivery."""
    webhook_give_up_h: int = Field(default=_WEBHOOKS.give_up_h, ge=1)
    """Period for which a delivery is retried."""
    webhook_off_after_days: int = Field(default=_WEBHOOKS.off_after_days, ge=1)
    """Time without a success after which a webhook is switched off."""
    webhook_old_secret_h: int = Field(default=_WEBHOOKS.old_secret_h, ge=0)
    """Period for which a webhook's old secret still signs after a rotation."""

    payments: PaymentProviderName | None = None
    """The provider by which guests pay on their own page, `stripe` or `test`; without one they can't."""
    payment_min_minor: int = Field(default=_LIMITS.payment_min_minor, ge=1)
    """Least amount of a payment by telephone, in minor units."""
    payment_max_minor: int = Field(default=_LIMITS.payment_max_minor, ge=1, le=100_000_000)
    """Largest amount of a payment by telephone, in minor units."""
    stripe_secret_key: str | None = Field(default=None, repr=False)
    """Stripe's secret or restricted key, `sk_…` or `rk_…`."""
    stripe_webhook_secret: str | None = Field(default=None, repr=False)
    """The signing secret of Stripe's webhook endpoint, `whsec_…`."""
    stripe_api_url: str = Field(default="https://api.stripe.com", pattern="^https?://")
    """Stripe's API; another address only for tests."""
    test_payments_allowed: bool = False
    """Allow the provider `test`, by which nobody pays anything, outside the demo."""

    start_window_ms: int = Field(default=_LIMITS.start_window_ms, ge=1)
    """Time after which a pending pour's report is requested."""
    sync_timeout_ms: int = Field(default=_LIMITS.sync_timeout_ms, ge=1)
    """Time after which a pending pour is an incident; at least `max_duration_ms` + 30 s."""
    max_duration_ms: int = Field(default=_LIMITS.max_duration_ms, ge=1)
    """The longest pour."""
    idle_timeout_ms: int = Field(default=_LIMITS.idle_timeout_ms, ge=1)
    """The longest wait without flow."""
    max_report_ml: int = Field(default=_LIMITS.max_report_ml, ge=1)
    """Largest plausible volume of a report or hole."""
    max_flow_ml_per_s: int = Field(default=_LIMITS.max_flow_ml_per_s, ge=1)
    """Fastest plausible flow of a report."""
    overpour_tolerance_ml: int = Field(default=_LIMITS.overpour_tolerance_ml, ge=0)
    """Largest volume over the grant that does not lock the tap."""
    late_sync_tolerance_ml: int = Field(default=_LIMITS.late_sync_tolerance_ml, ge=0)
    """Largest difference at which a late report agrees with the booked volume."""
    idempotency_ttl_h: int = Field(default=_LIMITS.idempotency_ttl_h, ge=1)
    """Retention of the answers to requests with an `Idempotency-Key`."""
    identity_conflict_ms: int = Field(default=_LIMITS.identity_conflict_ms, ge=1_000)
    """Time after which two nodes with one login count as one again, when only one of them was there."""
    heartbeat_ms: int = Field(default=_LIMITS.heartbeat_ms, ge=100, le=600_000)
    """Interval of a program's heartbeat in the database; one whose last process misses three is an incident."""
    core_heartbeat_ms: int = Field(default=_LIMITS.core_heartbeat_ms, ge=100, le=600_000)
    """Interval of a core worker's heartbeat at the broker: taps that miss three of every worker refuse cards at once."""
    takeover_ms: int = Field(default=_LIMITS.takeover_ms, ge=100, le=600_000)
    """Time after which the taps of a core worker that died belong to the others, where subscriptions are not shared."""

    device_incidents_per_hour: int = Field(default=_LIMITS.device_incidents_per_hour, ge=1)
    """Incidents that one device raises in an hour; further ones are counted in its incident `device_misbehaving`."""
    device_dead_letters_per_hour: int = Field(default=_LIMITS.device_dead_letters_per_hour, ge=1)
    """Dead letters that are kept of one device in an hour; further ones are counted likewise."""
    device_decisions_per_hour: int = Field(default=_LIMITS.device_decisions_per_hour, ge=1)
    """Questions, facts and unreadable messages of one device that a worker decides in a minute; further ones get no decision and
    are counted likewise. The device repeats what was not answered."""

    @property
    def owner_url(self) -> str:
        """URL of the database as the role that owns the tables."""
        return self.owner_database_url or self.database_url

    @property
    def policy(self) -> Policy:
        """The limits and settings for the rules."""
        return Policy(
            currency=self.currency,
            locale=self.locale,
            start_window_ms=self.start_window_ms,
            sync_timeout_ms=self.sync_timeout_ms,
            max_duration_ms=self.max_duration_ms,
            idle_timeout_ms=self.idle_timeout_ms,
            max_report_ml=self.max_report_ml,
            max_flow_ml_per_s=self.max_flow_ml_per_s,
            overpour_tolerance_ml=self.overpour_tolerance_ml,
            late_sync_tolerance_ml=self.late_sync_tolerance_ml,
            idempotency_ttl_h=self.idempotency_ttl_h,
            heartbeat_ms=self.heartbeat_ms,
            payment_provider=self.payments,
            payment_min_minor=self.payment_min_minor,
            payment_max_minor=self.payment_max_minor,
            core_heartbeat_ms=self.core_heartbeat_ms,
            takeover_ms=self.takeover_ms,
            device_incidents_per_hour=self.device_incidents_per_hour,
            device_dead_letters_per_hour=self.device_dead_letters_per_hour,
            device_decisions_per_hour=self.device_decisions_per_hour,
            identity_conflict_ms=self.identity_conflict_ms,
            guest_page_key=self.guest_page_key,
            webhooks=WebhookLimits(
                private_targets=self.webhook_private_targets,
                timeout_ms=self.webhook_timeout_ms,
                concurrency=self.webhook_concurrency,
                retry_first_ms=self.webhook_retry_first_ms,
                retry_most_ms=self.webhook_retry_most_ms,
                give_up_h=self.webhook_give_up_h,
                off_after_days=self.webhook_off_after_days,
                old_secret_h=self.webhook_old_secret_h,
            ),
        )

    @property
    def retention(self) -> RetentionPeriods:
        """The retention periods."""
        return RetentionPeriods(
            answers_days=self.keep_answers_days,
            verdicts_days=self.keep_verdicts_days,
            dead_letters_days=self.keep_dead_letters_days,
            sessions_days=self.keep_sessions_days,
            webhooks_days=self.keep_webhooks_days,
            heartbeats_days=self.keep_heartbeats_days,
            guests_days=self.keep_guests_days,
        )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Order the sources: environment, then secrets from files, then the settings file."""
        in_file = dotenv_settings.env_vars if isinstance(dotenv_settings, DotEnvSettingsSource) else {}
        return init_settings, env_settings, _SecretsFromFiles(settings_cls, in_file), dotenv_settings


class _SecretsFromFiles(PydanticBaseSettingsSource):
    """Values from files: `TAPWIRE_DATABASE_URL_FILE=/run/secrets/…` sets `database_url`; likewise for every setting."""

    def __init__(self, settings_cls: type[BaseSettings], in_settings_file: Mapping[str, str | None]) -> None:
        super().__init__(settings_cls)
        self._in_settings_file: Final = in_settings_file

    def get_field_value(self, field: Any, field_name: str) -> tuple[Any, str, bool]:  # noqa: ARG002
        variable = f"{PREFIX}{field_name.upper()}_FILE"
        file = os.environ.get(variable) or self._in_settings_file.get(variable.lower())
        return (read_text_file(file).strip() if file else None), field_name, False

    def __call__(self) -> dict[str, Any]:
        values = {name: self.get_field_value(field, name)[0] for name, field in self.settings_cls.model_fields.items()}
        return {name: value for name, value in values.items() if value is not None}


def read_settings() -> Settings:
    """Read the settings; raises `InvalidSettings` with one line per problem."""
    try:
        settings = Settings()
        assert settings.policy
    except ValidationError as error:
        problems = [f"{PREFIX}{str(problem['loc'][0]).upper()}: {problem['msg']}" for problem in error.errors()]
        raise InvalidSettings("\n".join(problems)) from error
    except (OSError, ValueError) as error:
        raise InvalidSettings(str(error)) from error
    return settings
