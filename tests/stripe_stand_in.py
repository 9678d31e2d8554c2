"""A stand-in for Stripe on loopback: Checkout Sessions, refunds, disputes and their events, shaped as Stripe publishes them.

It speaks what Stripe's library speaks (form bodies, bearer key, `Idempotency-Key`, lists page by page), and signs its events with
the library's own scheme. A test plays the guest, the bank and the venue's bookkeeper.
"""

import asyncio
import re
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit

import msgspec
import stripe

KEY = "sk_test_stand_in"
WEBHOOK_SECRET = "whsec_stand_in"
_PART = re.compile(r"[^\[\]]+")


@dataclass(frozen=True)
class Event:
    """An event as Stripe sends it."""

    body: bytes
    headers: dict[str, str]


@dataclass
class StripeStandIn:
    """An account at the stand-in. `broken`: so many requests fail yet; `asked`: method and path of each request."""

    port: int = 0
    sessions: dict[str, dict[str, Any]] = field(default_factory=dict)
    refunds: dict[str, dict[str, Any]] = field(default_factory=dict)
    disputes: dict[str, dict[str, Any]] = field(default_factory=dict)
    answers: dict[str, tuple[str, int, Any]] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)
    broken: int = 0
    latency_s: float = 0.0

    @classmethod
    @asynccontextmanager
    async def open(cls) -> AsyncIterator[Self]:
        """Listen until the block ends."""
        account = cls()
        server = await asyncio.start_server(account._serve, "127.0.0.1", 0)
        account.port = server.sockets[0].getsockname()[1]
        try:
            yield account
        finally:
            server.close()

    @property
    def url(self) -> str:
        """Its API's address."""
        return f"http://127.0.0.1:{self.port}"

    # --- what a guest, a bank and a bookkeeper do ---------------------------------------------------------------------------

    def session_of(self, payment_id: object) -> dict[str, Any]:
        """The session of a payment of ours."""
        return next(its for its in self.sessions.values() if its["client_reference_id"] == str(payment_id))

    def pay(self, session: dict[str, Any]) -> dict[str, Any]:
        """The guest pays."""
        intent = {"id": _id("pi"), "object": "payment_intent", "status": "succeeded"}
        session.update(status="complete", payment_status="paid", payment_intent=intent["id"])
        return session

    def expire(self, session: dict[str, Any]) -> dict[str, Any]:
        """The guest does not pay in time."""
        session.update(status="expired")
        return session

    def refund_by_hand(self, session: dict[str, Any], amount: int) -> dict[str, Any]:
        """The bookkeeper refunds in Stripe's dashboard."""
        return self._refund({"payment_intent": session["payment_intent"], "amount": amount, "metadata": {}})

    def dispute(self, session: dict[str, Any], amount: int | None = None, status: str = "needs_response") -> dict[str, Any]:
        """The guest's bank takes the money back."""
        made = {
            "id": _id("dp"),
            "object": "dispute",
            "amount": session["amount_total"] if amount is None else amount,
            "currency": session["currency"],
            "charge": _id("ch"),
            "payment_intent": session["payment_intent"],
            "reason": "fraudulent",
            "status": status,
            "created": int(time.time()),
            "metadata": {},
        }
        self.disputes[made["id"]] = made
        return made

    # --- events ---------------------------------------------------------------------------------------------------------------

    def event(self, kind: str, about: dict[str, Any], secret: str = WEBHOOK_SECRET, age_s: int = 0) -> Event:
        """An event about an object, signed as Stripe signs."""
        content = {
            "id": _id("evt"),
            "object": "event",
            "api_version": stripe.api_version,
            "created": int(time.time()),
            "data": {"object": about},
            "livemode": False,
            "pending_webhooks": 1,
            "request": {"id": None, "idempotency_key": None},
            "type": kind,
        }
        return signed(msgspec.json.encode(content), secret, age_s)

    def charge_of(self, session: dict[str, Any]) -> dict[str, Any]:
        """The charge of a session, as in the event `charge.refunded`."""
        refunded = sum(its["amount"] for its in self.refunds.values() if its["payment_intent"] == session["payment_intent"])
        return {
            "id": _id("ch"),
            "object": "charge",
            "amount": session["amount_total"],
            "amount_refunded": refunded,
            "payment_intent": session["payment_intent"],
            "refunded": refunded == session["amount_total"],
        }

    # --- the API --------------------------------------------------------------------------------------------------------------

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while (line := await reader.readline()).strip():
                method, target, _ = line.decode().split()
                headers = {}
                while header := (await reader.readline()).decode().strip():
                    name, _, value = header.partition(":")
                    headers[name.lower()] = value.strip()
                body = (await reader.readexactly(int(headers.get("content-length", 0)))).decode()
                await asyncio.sleep(self.latency_s)
                status, answer = self._answer(method, target, headers, body)
                content = msgspec.json.encode(answer)
                head = f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
                writer.write(head.encode() + content)
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    def _answer(self, method: str, target: str, headers: dict[str, str], body: str) -> tuple[int, Any]:
        address = urlsplit(target)
        self.asked.append((method, address.path))
        if headers.get("authorization") != f"Bearer {KEY}":
            return 401, _error("invalid_request_error", "Invalid API Key provided")
        if self.broken:
            self.broken -= 1
            return 500, _error("api_error", "An unknown error occurred")
        given = _nested(body if method == "POST" else address.query)
        key = headers.get("idempotency-key")
        if method == "POST" and key in self.answers:
            before, status, answer = self.answers[key]
            if before != body:
                return 400, _error("idempotency_error", "Keys for idempotent requests can only be used with the same parameters")
            return status, answer
        status, answer = self._do(method, address.path.removeprefix("/v1/"), given)
        if method == "POST" and key is not None:
            self.answers[key] = (body, status, answer)
        return status, answer

    def _do(self, method: str, path: str, given: dict[str, Any]) -> tuple[int, Any]:
        if method == "POST":
            made = {"checkout/sessions": self._session, "refunds": self._refund}[path](given)
            return (400, made) if "error" in made else (200, made)
        if path.startswith("checkout/sessions/"):
            found = self.sessions.get(path.rsplit("/", 1)[-1])
            if found is None:
                return 404, _error("invalid_request_error", "No such checkout.session", code="resource_missing")
            intent = found["payment_intent"]
            return 200, {**found, "payment_intent": intent and {"id": intent, "object": "payment_intent", "status": "succeeded"}}
        kept = {"checkout/sessions": self.sessions, "refunds": self.refunds, "disputes": self.disputes}[path]
        return 200, _listed(list(reversed(kept.values())), f"/v1/{path}", given)

    def _session(self, given: dict[str, Any]) -> dict[str, Any]:
        (item,) = given["line_items"].values()
        session_id = f"cs_test_{secrets.token_hex(16)}"
        made = {
            "id": session_id,
            "object": "checkout.session",
            "amount_subtotal": int(item["price_data"]["unit_amount"]),
            "amount_total": int(item["price_data"]["unit_amount"]),
            "cancel_url": given["cancel_url"],
            "client_reference_id": given["client_reference_id"],
            "created": int(time.time()),
            "currency": item["price_data"]["currency"],
            "expires_at": int(given["expires_at"]),
            "livemode": False,
            "metadata": given["metadata"],
            "mode": given["mode"],
            "payment_intent": None,
            "payment_status": "unpaid",
            "status": "open",
            "success_url": given["success_url"],
            "url": f"https://checkout.stripe.com/c/pay/{session_id}",
        }
        self.sessions[session_id] = made
        return made

    def _refund(self, given: dict[str, Any]) -> dict[str, Any]:
        session = next(its for its in self.sessions.values() if its["payment_intent"] == given["payment_intent"])
        before = sum(
            its["amount"]
            for its in self.refunds.values()
            if its["payment_intent"] == given["payment_intent"] and its["status"] != "failed"
        )
        amount = int(given["amount"])
        if before + amount > session["amount_total"]:
            return _error(
                "invalid_request_error", "Refund amount is greater than unrefunded amount", code="charge_already_refunded"
            )
        made = {
            "id": _id("re"),
            "object": "refund",
            "amount": amount,
            "charge": _id("ch"),
            "created": int(time.time()),
            "currency": session["currency"],
            "metadata": given.get("metadata") or {},
            "payment_intent": given["payment_intent"],
            "reason": None,
            "status": "succeeded",
        }
        self.refunds[made["id"]] = made
        return made


def signed(body: bytes, secret: str = WEBHOOK_SECRET, age_s: int = 0) -> Event:
    """A body with Stripe's signature of so long ago."""
    at = int(time.time()) - age_s
    header = stripe.WebhookSignature.generate_signature_header(body.decode(), secret, timestamp=at)
    return Event(body, {"Stripe-Signature": header, "Content-Type": "application/json"})


def _listed(kept: list[dict[str, Any]], url: str, given: dict[str, Any]) -> dict[str, Any]:
    created = given.get("created", {})
    found = [
        its
        for its in kept
        if ("payment_intent" not in given or its["payment_intent"] == given["payment_intent"])
        and its["created"] >= int(created.get("gte", 0))
        and its["created"] <= int(created.get("lte", 2**62))
    ]
    after = next((place + 1 for place, its in enumerate(found) if its["id"] == given.get("starting_after")), 0)
    limit = int(given.get("limit", 10))
    page = found[after : after + limit]
    return {"object": "list", "data": page, "has_more": after + limit < len(found), "url": url}


def _nested(form: str) -> dict[str, Any]:
    """A form's fields by their bracketed names."""
    found: dict[str, Any] = {}
    for name, value in parse_qsl(form):
        *path, last = _PART.findall(name)
        into = found
        for part in path:
            into = into.setdefault(part, {})
        into[last] = value
    return found


def _id(kind: str) -> str:
    return f"{kind}_{secrets.token_hex(12)}"


def _error(kind: str, message: str, code: str | None = None) -> dict[str, Any]:
    return {"error": {"type": kind, "message": message, "code": code}}
