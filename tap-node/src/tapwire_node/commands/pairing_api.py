"""The two requests of pairing to the admin API."""

from typing import Final

from msgspec import Struct

from tapwire_node.commands.admin_api import AdminApi, AnswerT, ApiUnusable, Refusal, UnreadableAnswer

PAIRINGS: Final = "/api/devices/pairings"


class PairingRefused(ApiUnusable):
    """Pairing is impossible this way; the text says what to do."""


class PairingPending(Exception):
    """The code has not been accepted yet."""


class CodeExpired(Exception):
    """The code has expired or was used."""


class PairingStarted(Struct, frozen=True):
    """A started pairing: `code` is shown to people, `claim` is the device's own key to the secret."""

    code: str
    claim: str


class PairedDevice(Struct, frozen=True):
    """The device's login, given once, and the broker's address, CA and MQTT protocol, if the API knows them."""

    path: str
    username: str
    secret: str
    broker_url: str | None = None
    broker_ca: str | None = None
    broker_protocol: str | None = None


class PairingApi(AdminApi):
    """The admin API, for a device that has no secret yet."""

    unusable = PairingRefused
    without_tls = "; if it has none, make the settings with `tapwire-core add-device` and copy them here"

    def begin(self) -> PairingStarted:
        """Start a pairing; raises `ApiUnreachable` and `PairingRefused`."""
        try:
            return self._pair(PAIRINGS, None, PairingStarted)
        except UnreadableAnswer as error:
            raise PairingRefused(f"{error}: it is not a Tapwire admin API, or one of another version") from error

    def claim(self, claim: str) -> PairedDevice:
        """Fetch the secret; raises `PairingPending`, `CodeExpired`, `ApiUnreachable` and `PairingRefused`."""
        return self._pair(f"{PAIRINGS}/claim", {"claim": claim}, PairedDevice)

    def _pair(self, path: str, body: dict[str, str] | None, answer: type[AnswerT]) -> AnswerT:
        try:
            return self.post(path, body, answer)
        except Refusal as error:
            match error.code:
                case "pairing_waits":
                    raise PairingPending from error
                case "too_many_pairings":
                    raise PairingRefused(
                        f"{error} Ask an engineer to accept the waiting ones, or use `tapwire-core add-device`."
                    ) from error
                case "not_found" if path.endswith("/claim"):
                    raise CodeExpired from error
                case _:
                    raise UnreadableAnswer(f"{self.address} answers {error.status} {error.code}: {error}") from error
