"""What RabbitMQ's `rabbitmq_auth_backend_http` asks (3.10 to 4), answered from the one generator of rules.

It asks with a form: who may log in (`user`), use a virtual host (`vhost`), a queue or exchange (`resource`), and a topic of an
exchange (`topic`). Over MQTT each question names the client id; a question without one comes from another protocol, and is denied.
So devices and services have MQTT alone. The exception is the account by which this program closes connections: it opens the
management API, and nothing else.

RabbitMQ's topics are routing keys: `a/+/b` is `a.*.b` there. No topic of ours has a dot or a star, so each key has one topic.
"""

import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from tapwire_contracts.acl import Access
from tapwire_core.broker.login_rules import Logins

VIRTUAL_HOST: Final = "/"
EXCHANGE: Final = "amq.topic"
"""`mqtt.vhost` and `mqtt.exchange`; both are RabbitMQ's defaults."""
ALLOW: Final = "allow"
ALLOW_MANAGEMENT: Final = "allow administrator"
"""Its tag: RabbitMQ lets nobody else close the connections of others."""
DENY: Final = "deny"
_ACCESS: Final[Mapping[str, Access]] = {access.value: access for access in Access}
_PERMISSIONS: Final = frozenset(("configure", "write", "read"))

Form = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class RabbitQuestions:
    """Answers RabbitMQ; `managers` are the secrets of accounts of the management API, by name."""

    managers: Mapping[str, str] = field(repr=False)

    def answer(self, question: str, form: Form, logins: Logins) -> str:
        """Answer a question; one with a part missing, or of an unknown kind, is denied."""
        match question:
            case "user":
                return self._user(form, logins)
            case "vhost":
                return _said(_may_use_vhost(form, logins))
            case "resource":
                return _said(_may_use_resource(form, logins))
            case "topic":
                return _said(_may_use_topic(form, logins))
            case _:
                return DENY

    def _user(self, form: Form, logins: Logins) -> str:
        username, secret = form.get("username", ""), form.get("password", "")
        fits = logins.is_secret(username, secret)
        if "client_id" in form:
            return _said(fits and logins.may_use_client_id(username, form["client_id"]))
        expected = self.managers.get(username, "")
        is_manager = hmac.compare_digest(expected.encode(), secret.encode()) and expected != ""
        return ALLOW_MANAGEMENT if is_manager else DENY


def _may_use_vhost(form: Form, logins: Logins) -> bool:
    return form.get("vhost") == VIRTUAL_HOST and _client_of(form, logins) is not None


def _may_use_resource(form: Form, logins: Logins) -> bool:
    client_id, name, permission = _client_of(form, logins), form.get("name"), form.get("permission")
    if client_id is None or form.get("vhost") != VIRTUAL_HOST or permission not in _PERMISSIONS:
        return False
    match form.get("resource"):
        case "exchange":
            return name == EXCHANGE and permission != "configure"
        case "queue":
            return name in _queues_of(client_id)
        case _:
            return False


def _may_use_topic(form: Form, logins: Logins) -> bool:
    access, key = _ACCESS.get(form.get("permission", "")), form.get("routing_key", "")
    is_ours = form.get("vhost") == VIRTUAL_HOST and form.get("resource") == "topic" and form.get("name") == EXCHANGE
    if access is None or not is_ours or _client_of(form, logins) is None:
        return False
    topic = _topic_of(key)
    return topic is not None and logins.may_use_topic(form["username"], access, topic)


def _client_of(form: Form, logins: Logins) -> str | None:
    """The client id of an account's connection; None unless this account may have it."""
    client_id = form.get("client_id", form.get("variable_map.client_id"))
    return client_id if logins.may_use_client_id(form.get("username", ""), client_id) else None


def _queues_of(client_id: str) -> tuple[str, ...]:
    """The queues that RabbitMQ makes for an MQTT client: one for each QoS of its subscriptions, and one for a delayed will."""
    return (f"mqtt-subscription-{client_id}qos0", f"mqtt-subscription-{client_id}qos1", f"mqtt-will-{client_id}")


def _topic_of(key: str) -> str | None:
    """The topic or filter of a routing key; None for what no topic of ours becomes. `$share` has no meaning for RabbitMQ."""
    if key.startswith("$") or "/" in key or "+" in key:
        return None
    return key.replace(".", "/").replace("*", "+")


def _said(allowed: bool) -> str:
    return ALLOW if allowed else DENY
