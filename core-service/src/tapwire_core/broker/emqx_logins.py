"""What EMQX's HTTP authenticator and HTTP authorizer ask (5.x), answered from the one generator of rules.

Each asks with a JSON object that the configuration composes (`broker-config/emqx/tapwire.conf`); the answer is a `result`.
"""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from tapwire_contracts.acl import Access
from tapwire_core.broker.login_rules import Logins

_ACTIONS: Final = {"publish": Access.WRITE, "subscribe": Access.READ}


class Login(msgspec.Struct, frozen=True):
    """A client that wants to log in."""

    username: str = msgspec.field(default="")
    password: str = msgspec.field(default="")
    clientid: str = msgspec.field(default="")


class Action(msgspec.Struct, frozen=True):
    """A client that wants to publish or subscribe."""

    username: str
    clientid: str
    action: str
    topic: str


def answer_emqx(question: str, body: bytes, logins: Logins) -> Mapping[str, Any]:
    """Answer a question; one that can't be read is denied."""
    try:
        match question:
            case "authenticate":
                return {"result": _said(_may_log_in(msgspec.json.decode(body, type=Login), logins)), "is_superuser": False}
            case "authorize":
                return {"result": _said(_may_act(msgspec.json.decode(body, type=Action), logins))}
    except msgspec.MsgspecError:
        pass
    return {"result": "deny"}


def _may_log_in(login: Login, logins: Logins) -> bool:
    fits = logins.is_secret(login.username, login.password)
    return fits and logins.may_use_client_id(login.username, login.clientid)


def _may_act(asked: Action, logins: Logins) -> bool:
    access = _ACTIONS.get(asked.action)
    if access is None or not logins.may_use_client_id(asked.username, asked.clientid):
        return False
    return logins.may_use_topic(asked.username, access, asked.topic)


def _said(allowed: bool) -> str:
    return "allow" if allowed else "deny"
