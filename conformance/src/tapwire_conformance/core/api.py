"""The core's HTTP door, by the standard library: the admin API with an engineer's token, and the door for controllers."""

import json
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen
from uuid import uuid4

from tapwire_conformance.rules import Broken
from tapwire_conformance.transcript import Transcript, Way

TIMEOUT_S: Final = 30.0
_REFUSED: Final = 400


class ApiUnusable(Exception):
    """The API can't be reached; the text says why. No verdict on anything follows from it."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A response: its status, and its body as JSON; None for none."""

    status: int
    body: Any


class Api:
    """The API of one core. What is asked and answered goes into the transcript."""

    def __init__(self, address: str, token: str, transcript: Transcript, ca_file: str | None = None) -> None:
        if not address.startswith(("http://", "https://")):
            raise ValueError(f"{address!r} is no API: write http://host:8080 or https://…")
        self._address = address.rstrip("/")
        self._token = token
        self._transcript = transcript
        self._trust = ssl.create_default_context(cafile=ca_file) if address.startswith("https://") else None

    def request(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """Ask, and take any answer; without headers of the caller's own as the engineer."""
        sent = {"Authorization": f"Bearer {self._token}", "Idempotency-Key": str(uuid4())} if headers is None else dict(headers)
        content = None if body is None else json.dumps(body).encode()
        if content is not None:
            sent["Content-Type"] = "application/json"
        request = Request(f"{self._address}{path}", content, sent, method=method)  # noqa: S310  # the scheme was checked
        try:
            with urlopen(request, timeout=TIMEOUT_S, context=self._trust) as response:  # noqa: S310
                answer = Answer(response.status, _read(response.read()))
        except HTTPError as error:
            answer = Answer(error.code, _read(error.read()))
        except (URLError, TimeoutError, ConnectionError) as error:
            raise ApiUnusable(f"{method} {self._address}{path} got no answer: {error}") from error
        if method != "GET":
            said = "" if body is None else f" {json.dumps(body)}"
            self._transcript.add(Way.DONE, f"{method} {path}", f"{said.strip()} → {answer.status} {json.dumps(answer.body)}")
        return answer

    def get(self, path: str) -> Any:
        """Read; raises `Broken` when it is refused."""
        return self._done("GET", path, None)

    def post(self, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """Do something; raises `Broken` when it is refused."""
        return self._done("POST", path, body)

    def patch(self, path: str, body: Mapping[str, Any]) -> Any:
        """Change something; raises `Broken` when it is refused."""
        return self._done("PATCH", path, body)

    def put(self, path: str, body: Mapping[str, Any]) -> Any:
        """Set something; raises `Broken` when it is refused."""
        return self._done("PUT", path, body)

    def delete(self, path: str) -> Any:
        """Take something away; raises `Broken` when it is refused."""
        return self._done("DELETE", path, None)

    def _done(self, method: str, path: str, body: Mapping[str, Any] | None) -> Any:
        answer = self.request(method, path, body)
        if answer.status >= _REFUSED:
            raise Broken(f"{method} {path} was refused: {answer.status} {json.dumps(answer.body)}")
        return answer.body


def _read(content: bytes) -> Any:
    try:
        return json.loads(content) if content else None
    except ValueError:
        return content.decode(errors="replace")
