"""The demo: a stranger sees guests pour, programs from outside can join in, and it keeps what it has."""

import asyncio
import os
import re
import signal
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from tapwire_core.domain.money import charge
from tapwire_demo.address import own_address
from tapwire_demo.broker import BrokerKind, best_broker
from tapwire_demo.demo_file import DemoFile, DemoTap
from tapwire_demo.postgres import remove_postgres
from tapwire_demo.processes import free_port
from tests.running_demo import OutsideTap, RunningDemo, of_kind, running_demo

SECONDS: Final = "20"
MORE_SECONDS: Final = "60"
"""For a machine that stood still while the story was to be told."""
STORY: Final = (
    r"left +DENIED  Zoe's card: insufficient_funds",
    r"Insufficient funds: top up guest balance before pouring\.",
    r"Недостаточно средств: пополните баланс гостя перед наливом\.",
    r"middle +granted: up to 400 ml of Night Stout \(hold 2\.56 of 50\.00\)",
    r"middle +… \d+ ml",
    r"middle +poured \d+ ml: the grant is used up",
    r"poured \d+ ml: the card was taken off",
    r"settled \d+ ml, \d+\.\d\d EUR, Ben's balance \d+\.\d\d",
)
POURED_ML: Final = 300

pytestmark = [pytest.mark.timeout(240), pytest.mark.lasts]


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A demo's folder; its database is deleted afterwards."""
    folder = tmp_path / "demo"
    yield folder
    asyncio.run(remove_postgres(folder))


def test_the_demo_shows_grants_a_denial_and_settled_pours_and_proves_its_books(folder: Path) -> None:
    demo, exit_code = shown_for(SECONDS, folder)
    if untold(demo):
        asyncio.run(remove_postgres(folder))
        demo, exit_code = shown_for(MORE_SECONDS, folder)

    assert untold(demo) == [], demo.output
    assert exit_code == 0, demo.output


def shown_for(seconds: str, folder: Path) -> tuple[RunningDemo, int]:
    """A demo that has ended by itself after so many seconds, and its exit code; its books balance, whatever it has shown."""
    with running_demo(folder, "--seconds", seconds) as demo:
        exit_code = demo.ended()
    assert "The books balance." in demo.output, demo.output
    assert demo.left() == []
    return demo, exit_code


def untold(demo: RunningDemo) -> list[str]:
    """Lines that a stranger should have seen and has not."""
    return [line for line in STORY if not re.search(line, demo.output)]


def test_programs_from_outside_pour_with_what_demo_json_tells_and_the_next_start_knows_it(folder: Path) -> None:
    port = str(free_port())
    with running_demo(folder, *of_kind(BrokerKind.AMQTT), "--host", "0.0.0.0", "--port", port) as demo:
        first = demo.ready()
        assert first.api_url == f"http://127.0.0.1:{port}"
        demo.wait_for(f"tablet   http://{own_address()}:{port}")
        assert httpx.get(f"http://{own_address()}:{port}/login").status_code == 200
        assert stat.S_IMODE((folder / "demo.json").stat().st_mode) == 0o600
        settled = pour_as_an_outside_program(first)
        assert balance_over_rest(first, first.cards[0].guest_id) == settled["balance_minor"]
        demo.wait_for("Ben's balance")
        assert demo.end() == 0
    assert not (folder / "demo.json").exists()

    with running_demo(folder, *of_kind(best_broker())) as demo:
        again = demo.ready()

        assert again.operator == first.operator
        assert [card.card_uid for card in again.cards] == [card.card_uid for card in first.cards]
        assert [card.guest_id for card in again.cards] == [card.guest_id for card in first.cards]
        assert again.cards[0].balance_minor == settled["balance_minor"]
        pour_as_an_outside_program(again)


def test_a_program_of_the_demo_that_was_killed_is_started_again_and_a_second_demo_refused(folder: Path) -> None:
    with running_demo(folder) as demo:
        before = demo.ready()
        second = RunningDemo(folder, "--seconds", "1")
        os.kill(before.pids["core"], signal.SIGKILL)

        demo.wait_for("core is started again")
        demo.wait_for(" is there\n", times=len(["core", "left", "middle", "right", "core again"]))

        assert demo.ready().pids["core"] != before.pids["core"]
        pour_as_an_outside_program(demo.ready())
        assert second.ended() == 1
        assert "is in use by another demo" in second.output
        assert "Traceback" not in second.output
        assert demo.end_impatiently() == 0
        assert "Traceback" not in demo.output
        assert demo.left() == []


def pour_as_an_outside_program(demo: DemoFile) -> dict[str, Any]:
    """Lay a card with money on the open tap, pour, and say each thing three times; the verdict."""
    card = demo.cards[0]
    with OutsideTap.connected(demo, open_tap(demo)) as tap:
        price_minor = tap.next("tap_config")["sell_price_per_liter_minor"]
        question = tap.question(card.card_uid)
        grants = [tap.ask(question) for _ in range(3)]
        assert grants[0]["type"] == "pour_authorized", grants[0]
        assert grants[0]["max_volume_ml"] >= POURED_ML

        report = tap.report(grants[0], POURED_ML)
        verdicts = [tap.settle(report) for _ in range(3)]

        assert grants == [grants[0]] * 3
        assert verdicts == [verdicts[0]] * 3
        assert (verdicts[0]["status"], verdicts[0]["volume_ml"]) == ("accepted", POURED_ML)
        assert verdicts[0]["amount_minor"] == charge(POURED_ML, price_minor)
        assert verdicts[0]["balance_minor"] == grants[0]["display"]["balance_minor"] - charge(POURED_ML, price_minor)
        assert tap.ask(question)["reason"] == "stale_request"
        without_money = next(card for card in demo.cards if card.balance_minor == 0)
        assert tap.ask(tap.question(without_money.card_uid))["reason"] == "insufficient_funds"
        return verdicts[0]


def open_tap(demo: DemoFile) -> DemoTap:
    (tap,) = [tap for tap in demo.taps if not tap.simulated]
    assert tap.path == f"{demo.venue_id}/taps/open"
    return tap


def balance_over_rest(demo: DemoFile, guest_id: str) -> int:
    """The balance as the admin API tells it to the operator."""
    login = {"username": demo.operator.username, "password": demo.operator.password}
    token = httpx.post(f"{demo.api_url}/api/session", json=login).raise_for_status().json()["token"]
    headers = {"Authorization": f"Bearer {token}"}
    guest = httpx.get(f"{demo.api_url}/api/guests/{guest_id}", headers=headers).raise_for_status().json()
    return int(guest["balance_minor"])
