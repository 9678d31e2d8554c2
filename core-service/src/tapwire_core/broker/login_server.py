"""The HTTP door at which brokers ask about logins, on a port of its own: `tapwire-core broker-logins`.

RabbitMQ can send no header, so its paths hold the secret: `/SECRET/rabbitmq/user`, `vhost`, `resource` and `topic`. EMQX sends it
as `Authorization: Bearer SECRET` to `/emqx/authenticate` and `/emqx/authorize`. Without the secret every path is unknown. Only POST
is answered: a query would put devices' secrets into logs.
"""

import hmac
import json
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import parse_qsl

import uvicorn

from tapwire_core.broker.emqx_logins import answer_emqx
from tapwire_core.broker.login_rules import Logins
from tapwire_core.broker.rabbitmq_logins import DENY, RabbitQuestions
from tapwire_core.monitoring.http_timeouts import TimedHTTPProtocol

MAX_BODY_BYTES: Final = 16_384
MAX_FIELDS: Final = 32
MAX_CONNECTIONS: Final = 256
"""Connections and requests at a time; further ones are answered with 503, and the broker refuses its client."""
IDLE_S: Final = 120
STOPS_WITHIN_S: Final = 2
BEARER: Final = "Bearer "

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


class _Unanswerable(Exception):
    """A request that gets an HTTP status and no answer."""

    def __init__(self, status: HTTPStatus) -> None:
        super().__init__(status.phrase)
        self.status: Final = status


@dataclass(frozen=True, slots=True)
class LoginDoor:
    """The ASGI application. `known` returns the logins as they are now, or None before they were read for the first time."""

    secret: str
    rabbitmq: RabbitQuestions
    known: Callable[[], Logins | None]

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer one request."""
        assert scope["type"] == "http"
        try:
            kind, question = self._asked(scope)
            body = await _body(receive)
            answer, content_type = self._answer(kind, question, body)
            await _say(send, HTTPStatus.OK, answer, content_type)
        except _Unanswerable as error:
            await _say(send, error.status, error.status.phrase.encode(), b"text/plain")

    def _asked(self, scope: Message) -> tuple[str, str]:
        """The broker's kind and its question; raises `_Unanswerable` without the secret."""
        match scope["path"].split("/"):
            case ["", secret, "rabbitmq", question] if self._is_secret(secret):
                kind = "rabbitmq"
            case ["", "emqx", question] if self._is_secret(_bearer(scope)):
                kind = "emqx"
            case _:
                raise _Unanswerable(HTTPStatus.NOT_FOUND)
        if scope["method"] != "POST":
            raise _Unanswerable(HTTPStatus.METHOD_NOT_ALLOWED)
        return kind, question

    def _is_secret(self, said: str) -> bool:
        return hmac.compare_digest(said.encode(errors="replace"), self.secret.encode())

    def _answer(self, kind: str, question: str, body: bytes) -> tuple[bytes, bytes]:
        logins = self.known()
        if logins is None:
            raise _Unanswerable(HTTPStatus.SERVICE_UNAVAILABLE)
        if kind == "emqx":
            return json.dumps(answer_emqx(question, body, logins)).encode(), b"application/json"
        form = _read_form(body)
        return (DENY if form is None else self.rabbitmq.answer(question, form, logins)).encode(), b"text/plain"


def login_server(door: LoginDoor, host: str, port: int) -> uvicorn.Server:
    """The server of the door. It logs no request: paths hold its secret."""
    return uvicorn.Server(
        uvicorn.Config(
            door,
            host=host,
            port=port,
            log_config=None,
            log_level="warning",
            access_log=False,
            http=TimedHTTPProtocol,
            ws="none",
            lifespan="off",
            server_header=False,
            limit_concurrency=MAX_CONNECTIONS,
            timeout_keep_alive=IDLE_S,
            timeout_graceful_shutdown=STOPS_WITHIN_S,
        )
    )


def _bearer(scope: Message) -> str:
    said = [value.decode("latin-1") for name, value in scope["headers"] if name == b"authorization"]
    return said[0].removeprefix(BEARER) if len(said) == 1 and said[0].startswith(BEARER) else ""


async def _body(receive: Receive) -> bytes:
    body = bytearray()
    while True:
        part = await receive()
        if part["type"] == "http.disconnect":
            raise _Unanswerable(HTTPStatus.BAD_REQUEST)
        body += part.get("body", b"")
        if len(body) > MAX_BODY_BYTES:
            raise _Unanswerable(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        if not part.get("more_body"):
            return bytes(body)


def _read_form(body: bytes) -> dict[str, str] | None:
    """The fields of a form; None where it is none, or has a field twice."""
    try:
        fields = parse_qsl(
            body.decode("ascii"), keep_blank_values=True, strict_parsing=True, errors="strict", max_num_fields=MAX_FIELDS
        )
    except ValueError:
        return None
    form = dict(fields)
    return form if len(form) == len(fields) else None


async def _say(send: Send, status: HTTPStatus, answer: bytes, content_type: bytes) -> None:
    headers = [(b"content-type", content_type), (b"content-length", str(len(answer)).encode())]
    await send({"type": "http.response.start", "status": int(status), "headers": headers})
    await send({"type": "http.response.body", "body": answer})
