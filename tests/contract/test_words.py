"""Ids, texts, bytes and broker rules of the contract."""

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapwire_contracts.acl import Access, BrokerRole, may, mosquitto_acl
from tapwire_contracts.card_uid import InvalidCardUid, normalize_card_uid
from tapwire_contracts.codec import MAX_PAYLOAD_BYTES, Malformed, decode_from_device, encode
from tapwire_contracts.denials import DENIALS, GRANT_TEXTS, denial_text
from tapwire_contracts.messages import COMMAND, Display, PourDenied
from tapwire_contracts.reasons import DenyReason, Locale, Malformation, Outcome
from tapwire_contracts.topics import DevicePath, InvalidPath, InvalidTopic, parse_device_topic

CARD = "tapwire/v1/bar/taps/left/card"


@pytest.mark.parametrize("given_uid", ["04 A1:B2-c3", "04a1b2c3", b"\x04\xa1\xb2\xc3", " 04:A1:B2:C3 "])
def test_one_card_has_one_stored_id_however_it_is_written(given_uid: str | bytes) -> None:
    assert normalize_card_uid(given_uid) == "04a1b2c3"


@pytest.mark.parametrize("given_uid", ["", "04a1b2", "04a1b2c", "04a1b2c3d4", "zzzzzzzz", "04a1b2c3\0", "٠٤a1b2c3", b"\x04"])
def test_what_is_no_card_id_is_refused(given_uid: str | bytes) -> None:
    with pytest.raises(InvalidCardUid):
        normalize_card_uid(given_uid)


@given(st.sampled_from([4, 7, 10]).flatmap(lambda size: st.binary(min_size=size, max_size=size)))
def test_normalizing_twice_changes_nothing(uid: bytes) -> None:
    assert normalize_card_uid(normalize_card_uid(uid)) == normalize_card_uid(uid)


@pytest.mark.parametrize(
    "text", ["bar/taps", "bar/taps/left/x", "Bar/taps/left", "bar/kegs/left", "-bar/taps/left", "bar/taps/" + "x" * 32]
)
def test_what_is_no_device_path_is_refused(text: str) -> None:
    with pytest.raises(InvalidPath):
        DevicePath.parse(text)


def test_a_topic_is_split_into_path_and_leaf() -> None:
    path, leaf = parse_device_topic("tapwire/v1/bar/taps/left/pour/completed")

    assert (str(path), leaf) == ("bar/taps/left", "pour/completed")
    with pytest.raises(InvalidTopic):
        parse_device_topic("tapwire/v2/bar/taps/left/card")


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused_with_a_word(payload: bytes) -> None:
    with pytest.raises(Malformed) as refused:
        decode_from_device(CARD, payload)

    assert refused.value.malformation in (Malformation.NOT_JSON, Malformation.UNKNOWN_TYPE, Malformation.INVALID_FIELD)


def test_a_payload_over_the_limit_is_neither_read_nor_sent() -> None:
    with pytest.raises(Malformed) as refused:
        decode_from_device(CARD, b" " * (MAX_PAYLOAD_BYTES + 1))

    assert refused.value.malformation is Malformation.OVERSIZE


def test_a_desk_readers_card_needs_no_journal_and_a_taps_does() -> None:
    payload = (
        b'{"type":"card_presented","event_id":"5e0c1c9e-2b6e-4d8a-9a53-111111111111","card_uid":"04a1b2c3","reader_id":"r",'
        b'"read_at":"","boot_id":"5e0c1c9e-2b6e-4d8a-9a53-222222222222","a_field_of_tomorrow":1}'
    )

    decode_from_device("tapwire/v1/bar/readers/desk/card", payload)
    with pytest.raises(Malformed):
        decode_from_device(CARD, payload)


def test_every_denial_has_a_text_in_every_language() -> None:
    assert list(DENIALS) == list(DenyReason)
    assert all(denial_text(reason, locale) for reason in DenyReason for locale in Locale)
    assert set(GRANT_TEXTS) == set(Locale)
    assert all(set(denial.for_guest) in (set(), set(Locale)) for denial in DENIALS.values())
    assert denial_text(DenyReason.INSUFFICIENT_FUNDS, Locale.EN) == "Insufficient funds: top up guest balance before pouring."


def test_the_outcome_that_must_not_exist_does_not() -> None:
    assert "synced_without_pending" not in list(Outcome)


def test_a_denial_says_what_kind_of_message_it_is() -> None:
    shown = Display(message="no")
    denied = PourDenied(request_id=UUID(int=1), reason=DenyReason.LOST_CARD, message="no", display=shown)

    assert encode(denied).startswith(b'{"type":"pour_denied"')
    assert not COMMAND.retain


@pytest.mark.parametrize(
    ("role", "username", "access", "topic", "allowed"),
    [
        (BrokerRole.DEVICE, "bar/taps/left", Access.WRITE, "tapwire/v1/bar/taps/left/card", True),
        (BrokerRole.DEVICE, "bar/taps/left", Access.WRITE, "tapwire/v1/bar/taps/right/card", False),
        (BrokerRole.DEVICE, "bar/taps/left", Access.WRITE, "tapwire/v1/bar/taps/left/command", False),
        (BrokerRole.DEVICE, "bar/taps/left", Access.WRITE, "tapwire/v1/core/evil/state", False),
        (BrokerRole.DEVICE, "bar/taps/left", Access.READ, "tapwire/v1/bar/taps/left/command", True),
        (BrokerRole.DEVICE, "bar/taps/left", Access.READ, "tapwire/v1/bar/taps/+/command", False),
        (BrokerRole.DEVICE, "bar/taps/left", Access.READ, "tapwire/v1/#", False),
        (BrokerRole.DEVICE, "bar/taps/left", Access.READ, "tapwire/v1/core/+/state", True),
        (BrokerRole.CORE, "core", Access.READ, "$share/tapwire/tapwire/v1/+/taps/+/card", True),
        (BrokerRole.CORE, "core", Access.WRITE, "tapwire/v1/bar/taps/left/command", True),
        (BrokerRole.CORE, "core", Access.WRITE, "tapwire/v1/bar/taps/left/card", False),
        (BrokerRole.CORE, "core", Access.WRITE, "homeassistant/device/tapwire_bar_left/config", True),
        (BrokerRole.CORE, "core", Access.WRITE, "tapwire/home/v1/bar/left", True),
        (BrokerRole.DEVICE, "bar/taps/left", Access.WRITE, "homeassistant/device/tapwire_bar_left/config", False),
        (BrokerRole.DEVICE, "bar/taps/left", Access.WRITE, "tapwire/home/v1/bar/left", False),
        (BrokerRole.HOME, "home", Access.READ, "homeassistant/#", True),
        (BrokerRole.HOME, "home", Access.READ, "tapwire/home/v1/#", True),
        (BrokerRole.HOME, "home", Access.READ, "tapwire/v1/#", False),
        (BrokerRole.HOME, "home", Access.WRITE, "tapwire/v1/bar/taps/left/command", False),
        (BrokerRole.HOME, "home", Access.WRITE, "tapwire/home/v1/bar/left", False),
        (BrokerRole.WATCHER, "watcher", Access.READ, "tapwire/v1/#", True),
        (BrokerRole.WATCHER, "watcher", Access.WRITE, "tapwire/v1/bar/taps/left/command", False),
        (BrokerRole.WATCHER, "watcher", Access.READ, "$SYS/#", False),
    ],
)
def test_the_brokers_rules_let_each_do_its_own(role: BrokerRole, username: str, access: Access, topic: str, allowed: bool) -> None:
    assert may(role, username, access, topic) is allowed


def test_the_acl_file_has_the_named_accounts_and_one_rule_set_for_all_devices() -> None:
    written = mosquitto_acl({"core": BrokerRole.CORE, "bar/taps/left": BrokerRole.DEVICE})

    assert "user core" in written
    assert "pattern write tapwire/v1/%u/card" in written
    assert "bar/taps/left" not in written
