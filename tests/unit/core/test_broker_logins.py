"""Brokers that ask about logins: the shapes of RabbitMQ and EMQX, what they may be told, and what a stranger gets at that door."""

import json
import logging
import os
import re
import subprocess
import time
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from urllib.parse import urlencode

import httpx
import pytest

from tapwire_core.broker.login_rules import InvalidLogins, Logins, hash_logins, read_services
from tapwire_core.broker.login_server import MAX_BODY_BYTES, LoginDoor
from tapwire_core.broker.management_api import InvalidApiUrl, read_api_addresses
from tapwire_core.broker.rabbitmq_logins import RabbitQuestions
from tapwire_core.services.devices import InvalidHash, broker_hash, is_secret_of

SHIPPED = Path(__file__).parents[3] / "broker-config"
DOOR = "a-secret-of-the-door-with-32-letters"
TAP, OTHER = "bar/taps/left", "bar/taps/right"
MANAGER = {"username": "tapwire", "password": "manager's secret"}
LOGINS = Logins(
    {TAP: broker_hash("tap's secret"), OTHER: broker_hash("other's secret")},
    {"core": broker_hash("core's secret"), "operator": broker_hash("operator's secret")},
)
OF_TAP = {"username": TAP, "client_id": TAP, "vhost": "/"}
QUEUE = {**OF_TAP, "resource": "queue", "name": f"mqtt-subscription-{TAP}qos1", "permission": "read"}
EXCHANGE = {**OF_TAP, "resource": "exchange", "name": "amq.topic", "permission": "write"}
TOPIC = {
    "username": TAP,
    "vhost": "/",
    "resource": "topic",
    "name": "amq.topic",
    "permission": "write",
    "routing_key": "tapwire.v1.bar.taps.left.card",
    "variable_map.client_id": TAP,
    "variable_map.username": TAP,
}
EMQX_TOPIC = {"username": TAP, "clientid": TAP, "action": "publish", "topic": f"tapwire/v1/{TAP}/card"}
AUTHORIZED = {"Authorization": f"Bearer {DOOR}"}


@pytest.fixture
async def door() -> AsyncIterator[httpx.AsyncClient]:
    """The door, as a broker reaches it."""
    app = LoginDoor(DOOR, RabbitQuestions({MANAGER["username"]: MANAGER["password"]}), lambda: LOGINS)
    async with client_of(app) as client:
        yield client


def client_of(app: LoginDoor) -> httpx.AsyncClient:
    """A client of a door."""
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://door")


async def asked(door: httpx.AsyncClient, question: str, form: Mapping[str, str]) -> str:
    """RabbitMQ's question and the answer."""
    answered = await door.post(f"/{DOOR}/rabbitmq/{question}", data=dict(form))
    assert answered.status_code == 200
    return answered.text


async def asked_by_emqx(door: httpx.AsyncClient, question: str, body: object) -> str:
    """EMQX's question and its result."""
    answered = await door.post(f"/emqx/{question}", json=body, headers=AUTHORIZED)
    assert (answered.status_code, answered.headers["content-type"]) == (200, "application/json")
    result = answered.json()
    assert not result.get("is_superuser")
    return str(result["result"])


@pytest.mark.parametrize(
    ("form", "answer"),
    [
        ({"username": TAP, "password": "tap's secret", "client_id": TAP}, "allow"),
        ({"username": TAP, "password": "tap's secret", "client_id": OTHER}, "deny"),
        ({"username": TAP, "password": "tap's secret", "client_id": ""}, "deny"),
        ({"username": TAP, "password": "tap's secret"}, "deny"),
        ({"username": TAP, "password": "tap's secret", "vhost": "/"}, "deny"),
        ({"username": TAP, "password": "other's secret", "client_id": TAP}, "deny"),
        ({"username": TAP, "password": "", "client_id": TAP}, "deny"),
        ({"username": TAP, "client_id": TAP}, "deny"),
        ({"username": "bar/taps/gone", "password": "tap's secret", "client_id": "bar/taps/gone"}, "deny"),
        ({"password": "tap's secret", "client_id": TAP}, "deny"),
        ({"username": "core", "password": "core's secret", "client_id": "a1b2c3"}, "allow"),
        ({"username": "core", "password": "core's secret", "client_id": TAP}, "deny"),
        ({"username": "core", "password": "core's secret", "client_id": "bar/readers/gone"}, "deny"),
        ({"username": "core", "password": "core's secret"}, "deny"),
        ({"username": "core", "password": "operator's secret", "client_id": "a1b2c3"}, "deny"),
        ({"username": "admin", "password": "core's secret", "client_id": "a1b2c3"}, "deny"),
        (MANAGER, "allow administrator"),
        ({**MANAGER, "vhost": "/"}, "allow administrator"),
        ({**MANAGER, "client_id": "a1b2c3"}, "deny"),
        ({**MANAGER, "password": "wrong"}, "deny"),
        ({"username": "nobody", "password": ""}, "deny"),
        ({"username": "guest", "password": "guest"}, "deny"),
        ({}, "deny"),
    ],
)
async def test_who_may_log_in_at_rabbitmq(door: httpx.AsyncClient, form: dict[str, str], answer: str) -> None:
    assert await asked(door, "user", form) == answer


@pytest.mark.parametrize(
    ("form", "answer"),
    [
        (OF_TAP, "allow"),
        ({**OF_TAP, "ip": "192.0.2.7", "tags": ""}, "allow"),
        ({**OF_TAP, "vhost": "other"}, "deny"),
        ({**OF_TAP, "client_id": OTHER}, "deny"),
        ({"username": TAP, "vhost": "/"}, "deny"),
        ({**OF_TAP, "username": "tapwire", "client_id": "x"}, "deny"),
        ({"username": "tapwire", "vhost": "/"}, "deny"),
    ],
)
async def test_which_virtual_host_may_be_used(door: httpx.AsyncClient, form: dict[str, str], answer: str) -> None:
    assert await asked(door, "vhost", form) == answer


@pytest.mark.parametrize(
    ("form", "answer"),
    [
        (QUEUE, "allow"),
        ({**QUEUE, "permission": "configure", "name": f"mqtt-subscription-{TAP}qos0"}, "allow"),
        ({**QUEUE, "name": f"mqtt-subscription-{OTHER}qos1"}, "deny"),
        ({**QUEUE, "name": f"mqtt-subscription-{TAP}qos12"}, "deny"),
        ({**QUEUE, "name": "any.queue"}, "deny"),
        ({**QUEUE, "permission": "delete"}, "deny"),
        ({**QUEUE, "client_id": OTHER}, "deny"),
        ({**QUEUE, "vhost": "other"}, "deny"),
        (EXCHANGE, "allow"),
        ({**EXCHANGE, "permission": "configure"}, "deny"),
        ({**EXCHANGE, "name": "amq.default"}, "deny"),
        ({**EXCHANGE, "name": "amq.topic\n"}, "deny"),
        ({**EXCHANGE, "name": "amq.rabbitmq.trace", "permission": "read"}, "deny"),
        ({**EXCHANGE, "resource": "topic"}, "deny"),
        ({name: value for name, value in EXCHANGE.items() if name != "client_id"}, "deny"),
        ({**EXCHANGE, "username": "tapwire", "tags": "administrator"}, "deny"),
    ],
)
async def test_which_queues_and_exchanges_may_be_used(door: httpx.AsyncClient, form: dict[str, str], answer: str) -> None:
    assert await asked(door, "resource", form) == answer


@pytest.mark.parametrize(
    ("form", "answer"),
    [
        (TOPIC, "allow"),
        ({**TOPIC, "permission": "read", "routing_key": "tapwire.v1.bar.taps.left.command"}, "allow"),
        ({**TOPIC, "permission": "read", "routing_key": "tapwire.v1.core.*.state"}, "allow"),
        ({**TOPIC, "permission": "read", "routing_key": "tapwire.v1.#"}, "deny"),
        ({**TOPIC, "permission": "read", "routing_key": "#"}, "deny"),
        ({**TOPIC, "permission": "read", "routing_key": "tapwire.v1.*.taps.*.command"}, "deny"),
        ({**TOPIC, "permission": "read", "routing_key": "tapwire.#.left.command"}, "deny"),
        ({**TOPIC, "permission": "configure"}, "deny"),
        ({**TOPIC, "routing_key": "tapwire.v1.bar.taps.right.card"}, "deny"),
        ({**TOPIC, "routing_key": "tapwire.v1.bar.taps.left.command"}, "deny"),
        ({**TOPIC, "routing_key": "tapwire.v1.*.taps.*.card"}, "deny"),
        ({**TOPIC, "routing_key": "tapwire/v1/bar/taps/left/card"}, "deny"),
        ({**TOPIC, "routing_key": "$SYS.broker"}, "deny"),
        ({**TOPIC, "name": "amq.direct"}, "deny"),
        ({**TOPIC, "resource": "exchange"}, "deny"),
        ({**TOPIC, "vhost": "other"}, "deny"),
        ({**TOPIC, "variable_map.client_id": OTHER}, "deny"),
        ({name: value for name, value in TOPIC.items() if name != "variable_map.client_id"}, "deny"),
        ({**TOPIC, "username": "core", "variable_map.client_id": "a1"}, "deny"),
        ({**TOPIC, "username": "core", "variable_map.client_id": "a1", "routing_key": "tapwire.v1.bar.taps.left.command"}, "allow"),
        ({**TOPIC, "username": "core", "variable_map.client_id": "a1", "routing_key": "tapwire.v1.*.taps.*.command"}, "deny"),
        (
            {
                **TOPIC,
                "username": "core",
                "variable_map.client_id": "a1",
                "permission": "read",
                "routing_key": "tapwire.v1.*.taps.*.card",
            },
            "allow",
        ),
        (
            {**TOPIC, "username": "operator", "variable_map.client_id": "a1", "permission": "read", "routing_key": "tapwire.v1.#"},
            "allow",
        ),
        ({**TOPIC, "username": "operator", "variable_map.client_id": "a1"}, "deny"),
    ],
)
async def test_which_topics_may_be_used_at_rabbitmq(door: httpx.AsyncClient, form: dict[str, str], answer: str) -> None:
    assert await asked(door, "topic", form) == answer


@pytest.mark.parametrize(
    ("body", "result"),
    [
        ({"username": TAP, "password": "tap's secret", "clientid": TAP}, "allow"),
        ({"username": TAP, "password": "tap's secret", "clientid": OTHER}, "deny"),
        ({"username": TAP, "password": "tap's secret"}, "deny"),
        ({"username": TAP, "password": "wrong", "clientid": TAP}, "deny"),
        ({"username": "core", "password": "core's secret", "clientid": "a1b2c3"}, "allow"),
        ({"username": "core", "password": "core's secret", "clientid": TAP}, "deny"),
        ({**MANAGER, "clientid": "x"}, "deny"),
        ({"username": None, "password": None, "clientid": None}, "deny"),
        ({"username": ["core"], "password": {"$ne": ""}, "clientid": "x"}, "deny"),
        ([], "deny"),
    ],
)
async def test_who_may_log_in_at_emqx(door: httpx.AsyncClient, body: object, result: str) -> None:
    assert await asked_by_emqx(door, "authenticate", body) == result


@pytest.mark.parametrize(
    ("body", "result"),
    [
        (EMQX_TOPIC, "allow"),
        ({**EMQX_TOPIC, "topic": f"tapwire/v1/{OTHER}/card"}, "deny"),
        ({**EMQX_TOPIC, "clientid": OTHER}, "deny"),
        ({**EMQX_TOPIC, "action": "subscribe"}, "deny"),
        ({**EMQX_TOPIC, "action": "subscribe", "topic": f"tapwire/v1/{TAP}/command"}, "allow"),
        ({**EMQX_TOPIC, "action": "subscribe", "topic": "#"}, "deny"),
        ({**EMQX_TOPIC, "action": "subscribe", "topic": "$share/tapwire/tapwire/v1/+/taps/+/card"}, "deny"),
        ({**EMQX_TOPIC, "topic": f"$delayed/5/tapwire/v1/{TAP}/card"}, "deny"),
        ({**EMQX_TOPIC, "action": "all"}, "deny"),
        ({**EMQX_TOPIC, "username": "core", "clientid": "a1", "topic": f"tapwire/v1/{TAP}/command"}, "allow"),
        (
            {
                "username": "core",
                "clientid": "a1",
                "action": "subscribe",
                "topic": "$share/tapwire/tapwire/v1/+/taps/+/card",
            },
            "allow",
        ),
        ({"username": TAP, "clientid": TAP, "action": "publish"}, "deny"),
        ("tapwire", "deny"),
    ],
)
async def test_which_topics_may_be_used_at_emqx(door: httpx.AsyncClient, body: object, result: str) -> None:
    assert await asked_by_emqx(door, "authorize", body) == result


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"username",
        b"username=bar%2Ftaps%2Fleft&password=tap%27s+secret&client_id=bar%2Ftaps%2Fright&client_id=bar%2Ftaps%2Fleft",
        b"username=%ff&password=tap%27s+secret&client_id=%ff",
        b"\xff\xfe",
        b"&".join(b"f%d=1" % number for number in range(100)),
        b"username=bar%2Ftaps%2Fleft%00&password=tap%27s+secret&client_id=bar%2Ftaps%2Fleft%00",
        "username=bar/taps/left".encode("utf-16"),
        b'{"username": "bar/taps/left"}',
    ],
)
async def test_a_form_that_is_none_is_denied(door: httpx.AsyncClient, body: bytes) -> None:
    for question in ("user", "vhost", "resource", "topic", "admin", ""):
        answered = await door.post(f"/{DOOR}/rabbitmq/{question}", content=body)
        assert (answered.status_code, answered.text) == (200, "deny")


async def test_a_body_that_is_too_long_is_not_read_to_its_end(door: httpx.AsyncClient) -> None:
    for path, headers in ((f"/{DOOR}/rabbitmq/user", {}), ("/emqx/authorize", AUTHORIZED)):
        assert (await door.post(path, content=b"x" * (MAX_BODY_BYTES + 1), headers=headers)).status_code == 413


async def test_without_the_doors_secret_nothing_is_there(door: httpx.AsyncClient) -> None:
    login = urlencode({"username": TAP, "password": "tap's secret", "client_id": TAP})
    paths = ("/", "/rabbitmq/user", "//rabbitmq/user", f"/{DOOR[:-1]}/rabbitmq/user", f"/{DOOR}x/rabbitmq/user", "/é/rabbitmq/user")
    for path in (*paths, f"/{DOOR}/emqx/authenticate", "/emqx/authenticate", f"/{DOOR}/rabbitmq/user/more"):
        for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": DOOR}, {"Authorization": "Bearer "}):
            answered = await door.post(path, content=login, headers=headers)
            assert (answered.status_code, answered.text) == (404, "Not Found"), (path, headers)
    twice = [("Authorization", "Bearer wrong"), ("Authorization", f"Bearer {DOOR}")]
    assert (await door.post("/emqx/authenticate", content=b"{}", headers=twice)).status_code == 404


async def test_only_post_is_answered_so_that_no_secret_is_in_an_address(door: httpx.AsyncClient) -> None:
    query = {"username": TAP, "password": "tap's secret", "client_id": TAP}

    assert (await door.get(f"/{DOOR}/rabbitmq/user", params=query)).status_code == 405
    assert (await door.post(f"/{DOOR}/rabbitmq/user", params=query)).text == "deny"


async def test_before_the_logins_are_known_no_answer_is_given() -> None:
    async with client_of(LoginDoor(DOOR, RabbitQuestions({}), lambda: None)) as client:
        answered = await client.post(f"/{DOOR}/rabbitmq/user", data={"username": TAP})
        by_emqx = await client.post("/emqx/authenticate", content=json.dumps({"username": TAP}), headers=AUTHORIZED)

    assert (answered.status_code, by_emqx.status_code) == (503, 503)


async def test_an_unknown_name_takes_as_long_as_a_wrong_secret() -> None:
    def took(username: str) -> float:
        began = time.perf_counter()
        for _ in range(300):
            LOGINS.is_secret(username, "wrong")
        return time.perf_counter() - began

    took(TAP)
    unknown, wrong = min(took("nobody") for _ in range(5)), min(took(TAP) for _ in range(5))

    assert 0.5 < unknown / wrong < 2


async def test_nothing_that_is_logged_or_shown_holds_a_secret(door: httpx.AsyncClient, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    for form in ({"username": TAP, "password": "tap's secret", "client_id": TAP}, MANAGER):
        await asked(door, "user", form)
    shown = f"{LOGINS} {RabbitQuestions(MANAGER)} {read_api_addresses('http://tapwire:hidden@127.0.0.1:15672')}"

    logged = " ".join(record.getMessage() for record in caplog.records if not record.name.startswith("httpx"))
    for secret in ("tap's secret", "manager's secret", "hidden", "$7$"):
        assert secret not in logged + shown


def test_services_are_read_from_mosquittos_own_form_and_from_no_other(tmp_path: Path) -> None:
    file = tmp_path / "services"
    file.write_text("core:one\nadmin:two words\n\n")
    assert hash_logins(file) == 2
    assert hash_logins(file) == 0
    assert file.stat().st_mode & 0o777 == 0o600

    read = read_services(file)

    assert (is_secret_of(read["core"], "one"), is_secret_of(read["admin"], "two words")) == (True, True)
    for line in ("core:in clear", "stranger:$7$101$YQ==$YQ==", "core:$7$99999999$YWFh$" + "A" * 86 + "==", "core:$argon2id$v=19$x"):
        file.write_text(line)
        with pytest.raises(InvalidLogins, match="line 1"):
            read_services(file)


def test_a_hash_of_mosquitto_with_other_iterations_is_checked() -> None:
    made = "$7$1000$c2FsdHNhbHQ=$" + "A" * 86 + "=="

    assert not is_secret_of(made, "secret")
    with pytest.raises(InvalidHash):
        is_secret_of("$6$abc$def", "secret")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "http://127.0.0.1:15672",
        "http://tapwire@127.0.0.1:15672",
        "ftp://a:hidden@b:1",
        "http://a:hidden@b",
        "http://a:hidden@b:1/api",
    ],
)
def test_an_address_that_is_no_management_api_is_refused_without_its_secret(text: str) -> None:
    with pytest.raises(InvalidApiUrl) as refused:
        read_api_addresses(f"http://a:hidden@one:1,{text}")
    assert "hidden" not in str(refused.value)


async def test_the_shipped_configurations_ask_what_is_answered(door: httpx.AsyncClient) -> None:
    rabbitmq = re.findall(r"LOGINS_SECRET(/rabbitmq/\w+)", (SHIPPED / "rabbitmq/tapwire.conf").read_text())
    emqx = re.findall(r'"http://[0-9.:]+(/emqx/\w+)"', (SHIPPED / "emqx/tapwire.conf").read_text())

    assert [path.rsplit("/")[-1] for path in rabbitmq] == ["user", "vhost", "resource", "topic"]
    assert emqx == ["/emqx/authenticate", "/emqx/authorize"]
    for path in rabbitmq:
        assert (await door.post(f"/{DOOR}{path}", content=b"")).status_code == 200
    for path in emqx:
        assert (await door.post(path, json={}, headers=AUTHORIZED)).json()["result"] == "deny"


def test_a_second_installation_keeps_the_secrets_and_names_each_member(tmp_path: Path) -> None:
    def installed(variant: str) -> tuple[str, str, str]:
        owner = {"BROKER_USER": "root"} if os.geteuid() == 0 else {}
        command = (SHIPPED / "rabbitmq/install.sh", tmp_path / "rabbitmq", tmp_path / "secrets", variant)
        subprocess.run(command, env={**os.environ, **owner, "MEMBERS": "one two"}, check=True, capture_output=True)
        secret, url, config = "secrets/broker_logins_secret", "secrets/broker_api_url", "rabbitmq/conf.d/tapwire.conf"
        return (tmp_path / secret).read_text(), (tmp_path / url).read_text(), (tmp_path / config).read_text()

    secret, url, first = installed("tls")
    assert installed("tls") == (secret, url, first)
    assert installed("plain")[:2] == (secret, url)

    assert [address.url for address in read_api_addresses(url.strip())] == ["https://one:15671", "https://two:15671"]
    assert first.count(secret) == 4
    assert "LOGINS_SECRET" not in first
    assert (tmp_path / "rabbitmq/conf.d/tapwire.conf").stat().st_mode & 0o077 == 0
    assert (tmp_path / "secrets/broker_api_url").stat().st_mode & 0o037 == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files to a group")
def test_the_group_of_the_secrets_folder_may_read_what_the_scripts_put_there(tmp_path: Path) -> None:
    secrets, group = tmp_path / "secrets", 54_321
    secrets.mkdir()
    os.chown(secrets, 0, group)
    environment = {**os.environ, "BROKER_USER": "root"}
    url = "mqtts://one:8883,mqtts://two:8883"
    install: list[str | Path] = [SHIPPED / "rabbitmq/install.sh", tmp_path / "rabbitmq", secrets]
    accounts: list[str | Path] = [SHIPPED / "accounts.sh", tmp_path / "broker", url, secrets]
    for command in (install, accounts):
        subprocess.run(command, env=environment, check=True, capture_output=True)

    given = {file.name: (file.stat().st_gid, file.stat().st_mode & 0o777) for file in secrets.iterdir()}
    assert len(given) == 7
    assert set(given.values()) == {(group, 0o640)}


def test_services_find_each_member_by_one_login_in_a_folder_that_was_not_there(tmp_path: Path) -> None:
    def accounts(url: str) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "BROKER_USER": str(os.geteuid())}
        command: list[str | Path] = [SHIPPED / "accounts.sh", tmp_path / "broker", url, tmp_path / "secrets"]
        return subprocess.run(command, env=environment, check=False, capture_output=True, text=True)

    refused = accounts("mqtts://one:8883,two:8883")
    assert (refused.returncode, list(tmp_path.iterdir())) == (2, [])

    assert accounts("mqtts://one:8883,mqtts://two:8883").returncode == 0

    first, second = (tmp_path / "secrets/core_broker_url").read_text().strip().split(",")
    login = first.removeprefix("mqtts://").removesuffix("@one:8883")
    assert login.startswith("core:")
    assert second == f"mqtts://{login}@two:8883"
    assert (tmp_path / "broker").stat().st_mode & 0o777 == 0o755, "broker-logins runs as a user of its own"
