"""Requests to the admin API, with the standard library's HTTP, so that a Pi needs no HTTP library.

Errors are turned into texts that say what a person can do.
"""

import http.client
import ssl
import urllib.error
import urllib.request
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar, Final, NoReturn, TypeVar
from urllib.parse import urlsplit

import msgspec
from msgspec import Struct

TIMEOUT_S: Final = 10.0
MAX_ANSWER_BYTES: Final = 262_144
LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")
REDIRECTS: Final = range(300, 400)
FIRST_SERVER_ERROR: Final = 500

AnswerT = TypeVar("AnswerT", bound=Struct)


class ApiUnusable(Exception):
    """The API can't be used this way; the text says what to do."""


class ApiUnreachable(Exception):
    """No answer came, or none of the API itself. The request may have been carried out all the same."""


class UnreadableAnswer(ApiUnreachable):
    """An answer that is not Tapwire's: something else is at that address, or it was damaged on the way."""


class Refusal(Exception):
    """The API refused the request, with this code; the text is the API's own."""

    def __init__(self, status: int, code: str, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code


class _Problem(Struct, frozen=True):
    """A refusal as the API writes it."""

    code: str
    detail: str = ""


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """Refuses redirects: a secret goes only to the address that a person gave."""

    def redirect_request(self, *_: Any) -> None:
        """Return None: don't follow."""


class AdminApi:
    """The admin API at an address; its certificate is checked against `ca_file`, or the CAs that this machine trusts."""

    unusable: ClassVar[type[ApiUnusable]] = ApiUnusable
    """The error of an address or certificate that a person must mend."""
    without_tls: ClassVar[str] = ""
    """What to do where the API has no https:// address."""

    def __init__(self, address: str, ca_file: Path | None) -> None:
        self.address = checked_address(address, self.unusable, self.without_tls)
        try:
            tls = ssl.create_default_context(cafile=ca_file)
        except OSError as error:  # an SSLError is one
            raise self.unusable(f"--ca-file: {ca_file} holds no readable certificate: {error.strerror}") from error
        self._opener = urllib.request.build_opener(urllib.request.HTTPSHandler(context=tls), _NoRedirects)

    def post(self, path: str, body: object, answer: type[AnswerT]) -> AnswerT:
        """Send a request; raises `Refusal`, `ApiUnreachable` and `unusable`."""
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
                raise self.unusable(f"{self.address} has moved to {error.headers.get('Location')}: use that address") from error
            if error.code >= FIRST_SERVER_ERROR:
                raise ApiUnreachable(f"{self.address} answers {error.code} {error.reason}") from error
            try:
                problem = msgspec.json.decode(error.read(MAX_ANSWER_BYTES), type=_Problem)
            except (msgspec.DecodeError, OSError):
                raise UnreadableAnswer(f"{self.address} answers {error.code} {error.reason}") from error
        raise Refusal(error.code, problem.code, problem.detail) from error

    def _raise_connection_error(self, error: object) -> NoReturn:
        match error:
            case ssl.SSLCertVerificationError():
                raise self.unusable(
                    f"the certificate of {self.address} is not trusted: {error.verify_message}. Give its CA"
                    f" with --ca-file, and check this machine's clock, which says {datetime.now(UTC):%Y-%m-%d %H:%M} UTC"
                )
            case ssl.SSLError():
                raise self.unusable(f"{self.address} speaks no usable TLS ({error.reason}): check the port")
            case OSError():
                raise ApiUnreachable(f"{self.address} can't be reached: {error.strerror or error}")
            case _:
                raise ApiUnreachable(f"{self.address} closed the connection: {error or type(error).__name__}")


def checked_address(address: str, unusable: type[ApiUnusable] = ApiUnusable, without_tls: str = "") -> str:
    """Check an address, `https://HOST[:PORT]`; raises `unusable`."""
    parts = urlsplit(address.strip())
    try:
        is_address = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_address = False
    if not is_address:
        raise unusable(f"{address!r} is not an address of the admin API: write https://HOST or https://HOST:PORT")
    if parts.scheme == "http" and parts.hostname not in LOOPBACK:
        raise unusable(f"{address}: a secret would be sent unencrypted. Use the API's https:// address{without_tls}")
    return address.strip().rstrip("/").removesuffix("/api")
