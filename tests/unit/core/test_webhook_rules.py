"""Webhooks, the rules: where nothing is sent, when something is sent again, and what a signature is."""

from datetime import timedelta
from ipaddress import ip_address

import pytest

from tapwire_core.domain.webhooks import (
    FAILURES_BEFORE_PAUSE,
    AddressRefused,
    WebhookLimits,
    backoff_ms,
    check_address,
    check_url,
    is_given_up,
    is_switched_off,
    pause_ms,
    sign,
)

PUBLIC, INSIDE = WebhookLimits(), WebhookLimits(private_targets=True)


def test_a_signature_is_the_one_of_the_specifications_example() -> None:
    signed = sign("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, '{"test": 2432232314}')

    assert signed == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/hook",
        "ftp://example.com/hook",
        "https://anna:secret@example.com/hook",
        "https://example.com/hook#part",
        "https://exam ple.com/",
        "https://",
        "https://[::1",
        "https://example.com:99999/",
        "https://127.0.0.1/",
        "https://localhost/",
        "https://10.1.2.3/",
        "https://[::ffff:10.1.2.3]/",
        "https://[fd00::1]/",
        "https://169.254.169.254/latest/meta-data",
        f"https://example.com/{'x' * 2_000}",
        "not a url",
    ],
)
def test_nothing_is_sent_inside_or_in_clear_or_with_a_login(url: str) -> None:
    with pytest.raises(AddressRefused):
        check_url(url, PUBLIC)


@pytest.mark.parametrize("url", ["https://example.com/hook?x=1", "https://example.com:8443", "https://93.184.215.14/"])
def test_a_receiver_outside_is_reached_by_https(url: str) -> None:
    check_url(url, PUBLIC)


def test_with_private_targets_receivers_inside_need_no_tls_and_those_outside_still_do() -> None:
    for inside in ("127.0.0.1", "10.1.2.3", "192.168.0.5", "fd00::1", "::1", "100.64.0.9"):
        check_address(ip_address(inside), is_encrypted=False, limits=INSIDE)
    with pytest.raises(AddressRefused, match="https"):
        check_address(ip_address("93.184.215.14"), is_encrypted=False, limits=INSIDE)


@pytest.mark.parametrize(
    "address",
    [
        "169.254.169.254",
        "169.254.0.1",
        "fe80::1",
        "fd00:ec2::254",
        "100.100.100.200",
        "64:ff9b::a9fe:a9fe",
        "::ffff:169.254.169.254",
        "2002:a9fe:a9fe::1",
        "0.0.0.0",
        "::",
        "224.0.0.1",
        "255.255.255.255",
        "240.0.0.1",
        "192.0.0.192",
        "192.0.2.1",
        "198.51.100.7",
        "2001:db8::1",
        "2001::1",
        "3fff::1",
        "5f00::1",
        "fec0::1",
        "ff02::1",
        "64:ff9b:1::a00:1",
        "::ffff:0:169.254.169.254",
        "::169.254.169.254",
    ],
)
def test_where_clouds_tell_credentials_and_where_nobody_is_nothing_is_ever_sent(address: str) -> None:
    with pytest.raises(AddressRefused):
        check_address(ip_address(address), is_encrypted=True, limits=INSIDE)


ADDRESSES_INSIDE = (
    *("64:ff9b::7f00:1", "2002:7f00:1::1", "::ffff:192.168.1.1", "::127.0.0.1", "::ffff:0:127.0.0.1"),
    *("2a00:1450::5efe:7f00:1", "2a00:1450::200:5efe:a00:1"),
)


@pytest.mark.parametrize("address", ADDRESSES_INSIDE)
def test_an_address_inside_another_one_is_what_counts(address: str) -> None:
    with pytest.raises(AddressRefused, match="private"):
        check_address(ip_address(address), is_encrypted=True, limits=PUBLIC)


@pytest.mark.parametrize("address", ["93.184.215.14", "2a00:1450:4001::5", "2606:2800:220:1::1", "2002:5db8:d70e::1"])
def test_global_unicast_addresses_are_reached(address: str) -> None:
    check_address(ip_address(address), is_encrypted=True, limits=PUBLIC)


def test_waits_double_up_to_the_most_and_are_spread() -> None:
    limits = WebhookLimits(retry_first_ms=1_000, retry_most_ms=10_000)

    assert [backoff_ms(failures, 0, limits) for failures in (1, 2, 3, 4, 5, 1_000)] == [1_000, 2_000, 4_000, 8_000, 10_000, 10_000]
    assert backoff_ms(3, 1, limits) == 2_000


def test_one_event_that_fails_leaves_its_endpoint_alone_and_several_in_a_row_pause_it() -> None:
    paused = [pause_ms(failures, 0, PUBLIC) for failures in range(1, FAILURES_BEFORE_PAUSE + 3)]

    assert paused == [0, 0, 5_000, 10_000, 20_000]


def test_what_fails_for_days_is_given_up_and_its_endpoint_switched_off_later() -> None:
    assert not is_given_up(timedelta(hours=71), PUBLIC)
    assert is_given_up(timedelta(hours=72), PUBLIC)
    assert not is_switched_off(timedelta(days=4, hours=23), PUBLIC)
    assert is_switched_off(timedelta(days=5), PUBLIC)
