"""The two requests of pairing to the admin API, with the standard library's HTTP, so that a Pi needs no HTTP library.

Errors are turned into texts that say what a person can do.
"""

import http.client
import ssl
import urllib.error
import urllib.request
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, NoReturn, TypeVar
from urllib.parse import urlsplit

import msgspec
from msgspec import Struct

TIMEOUT_S: Final = 10.0
MAX_ANSWER_BYTES: Final = 262_144
LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")
PAIRINGS: Final = "/api/devices/pairings"
REDIRECTS: Final = range(300, 400)
FIRST_SERVER_ERROR: Final = 500

AnswerT = TypeVar("AnswerT", bound=Struct)


class PairingRefused(Exception):
    """Pairing is impossible this way; the text says what to do."""


class ApiUnreachable(Exception):
    """No answer came, or none of the API itself. The request may have been carried out all the same."""


class UnreadableAnswer(ApiUnreachable):
    """An answer that is not Tapwire's: something else is at that address, or it was damaged on the way."""


class PairingPending(Exception):
    """The code has not been accepted yet."""


class CodeExpired(Exception):
    """The code has expired or was used."""


class PairingStarted(Struct, frozen=True):
    """A started pairing: `code` is shown to people, `claim` is the device's own key to the secret."""

    code: str
    claim: str


class PairedDevice(Struct, frozen=True):
    """The device's login, given once, and the broker's address and CA, if the API knows them."""

    path: str
    username: str
    secret: str
    broker_url: str | None = None
    broker_ca: str | None = None


class Problem(Struct, frozen=True):
    """A refusal of the API."""

    code: str
    detail: str = ""


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """Refuses redirects: the secret is only asked for at the address that a person gave."""

    def redirect_request(self, *_: Any) -> None:
        """Return None: don't follow."""


class PairingApi:
    """The admin API at an address; its certificate is checked against `ca_file`, or the CAs that this machine trusts."""

    def __init__(self, address: str, ca_file: Path | None) -> None:
        self.address = checked_address(address)
        try:
            tls = ssl.create_default_context(cafile=ca_file)
        except OSError as error:  # an SSLError is one
            raise PairingRefused(f"--ca-file: {ca_file} holds no readable certificate: {error.strerror}") from error
        self._opener = urllib.request.build_opener(urllib.request.HTTPSHandler(context=tls), _NoRedirects)

    def begin(self) -> PairingStarted:
        """Start a pairing; raises `ApiUnreachable` and `PairingRefused`."""
        try:
            return self._post(PAIRINGS, None, PairingStarted)
        except UnreadableAnswer as error:
            raise PairingRefused(f"{error}: it is not a Tapwire admin API, or one of another version") from error

    def claim(self, claim: str) -> PairedDevice:
        """Fetch the secret; raises `PairingPending`, `CodeExpired`, `ApiUnreachable` and `PairingRefused`."""
        return self._post(f"{PAIRINGS}/claim", {"claim": claim}, PairedDevice)

    def _post(self, path: str, body: dict[str, str] | None, answer: type[AnswerT]) -> AnswerT:
        content = msgspec.json.encode(body) if body is not None else b""
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        # the address was checked: http or https
        request = urllib.request.Request(f"{self.address}{path}", content, headers, method="POST")  # noqa: S310
        try:
            with self._opener.open(request, timeout=TIMEOUT_S) as response:
                read = response.read(MAX_ANSWER_BYTES)
        except urllib.error.HTTPError as error:
            self._raise_refusal(error)
        except (OSError, http.client.HTTPException) as error:
            self._raise_connection_error(getattr(error, "reason", error) or error)
        try:
            return msgspec.json.decode(read, type=answer)
        except msgspec.DecodeError as error:
            raise UnreadableAnswer(f"{self.address} does not answer as a Tapwire admin API ({error})") from error

    def _raise_refusal(self, error: urllib.error.HTTPError) -> NoReturn:
        with error:
            if error.code in REDIRECTS:
                raise PairingRefused(f"{self.address} has moved to {error.headers.get('Location')}: use that address") from error
            if error.code >= FIRST_SERVER_ERROR:
                raise ApiUnreachable(f"{self.address} answers {error.code} {error.reason}") from error
            try:
                problem = msgspec.json.decode(error.read(MAX_ANSWER_BYTES), type=Problem)
            except (msgspec.DecodeError, OSError):
                raise UnreadableAnswer(f"{self.address} answers {error.code} {error.reason}") from error
        match problem.code:
            case "pairing_waits":
                raise PairingPending
            case "too_many_pairings":
                raise PairingRefused(
                    f"{problem.detail} Ask an engineer to accept the waiting ones, or use `tapwire-core add-device`."
                )
            case "not_found" if error.url.endswith("/claim"):
                raise CodeExpired
            case _:
                raise UnreadableAnswer(f"{self.address} answers {error.code} {problem.code}: {problem.detail}")

    def _raise_connection_error(self, error: object) -> NoReturn:
        match error:
            case ssl.SSLCertVerificationError():
                raise PairingRefused(
                    f"the certificate of {self.address} is not trusted: {error.verify_message}. Give its CA"
                    f" with --ca-file, and check this machine's clock, which says {datetime.now(UTC):%Y-%m-%d %H:%M} UTC"
                )
            case ssl.SSLError():
                raise PairingRefused(f"{self.address} speaks no usable TLS ({error.reason}): check the port")
            case OSError():
                raise ApiUnreachable(f"{self.address} can't be reached: {error.strerror or error}")
            case _:
                raise ApiUnreachable(f"{self.address} closed the connection: {error or type(error).__name__}")


def checked_address(address: str) -> str:
    """Check an address, `https://HOST[:PORT]`; raises `PairingRefused`."""
    parts = urlsplit(address.strip())
    try:
        is_address = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_address = False
    if not is_address:
        raise PairingRefused(f"{address!r} is not an address of the admin API: write https://HOST or https://HOST:PORT")
    if parts.scheme == "http" and parts.hostname not in LOOPBACK:
        raise PairingRefused(
            f"{address}: the secret would be sent unencrypted. Use the API's https:// address; if it has none,"
            " make the settings with `tapwire-core add-device` and copy them here"
        )
    return address.strip().rstrip("/").removesuffix("/api")
