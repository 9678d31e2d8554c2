"""`tapwire-node calibrate` books what it measured at the real API, by a code; without one an engineer sets the factor by hand."""

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import uvicorn

from tapwire_admin.app import create_app
from tapwire_core.db.engine import Database
from tapwire_core.db.tables import User
from tapwire_core.services.calibrations import issue_calibration_code
from tapwire_demo.processes import free_port
from tapwire_node.commands.admin_api import AdminApi, ApiUnusable
from tapwire_node.commands.calibrate import BookedCalibration, MeasuredPour, Measurement, book, calibration_door, measurement_of
from tapwire_node.commands.terminal import Terminal
from tapwire_node.settings import load_settings
from tests.venue import OPERATOR, Venue

MEASURED = Measurement(reference_ml=1_000, metered_ml=1_020, pulses_per_liter=450)
TAP_TOML = """\
[tap]
path = "bar/taps/left"

[broker]
url = "mqtt://127.0.0.1"
password = "secret"

[hardware]
driver = "simulated"
"""


@pytest.fixture
async def door(venue: Venue) -> AsyncIterator[AdminApi]:
    """The API of the venue, on loopback."""
    app = create_app(Database.nowhere())
    app.state.db = venue.db
    async with venue.db.transaction() as store:
        await store.insert(User, username=OPERATOR.name, role="engineer", password_hash="none")
    port = free_port()
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_config=None, lifespan="off"))
    serving = asyncio.create_task(server.serve())
    try:
        while not server.started:
            await asyncio.sleep(0.01)
        yield AdminApi(f"http://127.0.0.1:{port}", None)
    finally:
        server.should_exit = True
        await serving


async def typed(door: AdminApi, *lines: str, code: str | None = None) -> BookedCalibration | None:
    """Book the measurement while a person types these lines."""
    read, write = os.pipe()
    os.write(write, "".join(f"{line}\n" for line in lines).encode())
    os.close(write)
    try:
        return await asyncio.to_thread(book, door, Terminal(read), code, MEASURED)
    finally:
        os.close(read)


async def rows(venue: Venue) -> list[tuple[int, str]]:
    found = await venue.db.pool.fetch("SELECT pulses_per_liter_after, calibrated_by FROM calibrations")
    return [tuple(row) for row in found]


async def test_a_measurement_is_booked_by_the_code_that_a_person_types(venue: Venue, door: AdminApi) -> None:
    code = (await issue_calibration_code(venue.db, OPERATOR, venue.tap.path)).code

    booked = await typed(door, "WRONG-CODE", f"{code[:4]}-{code[4:8]}-{code[8:]}")
    again = await typed(door, code=code)

    assert booked == again == BookedCalibration("bar/taps/left", 459)
    assert await rows(venue) == [(459, OPERATOR.name)]


async def test_a_measurement_that_is_outdated_or_has_no_code_is_left_to_an_engineer(
    venue: Venue, door: AdminApi, capsys: pytest.CaptureFixture[str]
) -> None:
    code = (await issue_calibration_code(venue.db, OPERATOR, venue.tap.path)).code
    await venue.db.pool.execute("UPDATE taps SET pulses_per_liter = 460")

    assert await typed(door, code=code) is None
    assert await typed(door, "") is None

    assert "NOT booked: The tap counts 460 pulses per litre now" in capsys.readouterr().out
    assert await rows(venue) == []


async def test_an_api_that_is_away_is_asked_again(venue: Venue, door: AdminApi, capsys: pytest.CaptureFixture[str]) -> None:
    nowhere = AdminApi(f"http://127.0.0.1:{free_port()}", None)

    assert await typed(nowhere, "", code="KXTM29PQABCD") is None

    assert "Enter the same code to try again" in capsys.readouterr().out


def test_what_all_pours_together_measured_is_what_the_node_counts() -> None:
    pours = [MeasuredPour(pulses=230, volume_ml=500), MeasuredPour(pulses=229, volume_ml=500)]

    assert measurement_of(pours, 450) == Measurement(reference_ml=1_000, metered_ml=1_020, pulses_per_liter=450)


def test_the_api_is_that_of_the_option_else_of_the_file_and_never_unencrypted(tmp_path: Path) -> None:
    file = tmp_path / "left.toml"
    file.write_text(TAP_TOML)
    assert calibration_door(load_settings(file), file, None, None) is None
    file.write_text(TAP_TOML + '\n[pairing]\napi = "https://pair.example"\n')
    settings = load_settings(file)

    of_file = calibration_door(settings, file, None, None)
    of_option = calibration_door(settings, file, "https://api.example/api", None)

    assert of_file is not None
    assert of_option is not None
    assert (of_file.address, of_option.address) == ("https://pair.example", "https://api.example")
    with pytest.raises(ApiUnusable, match="unencrypted"):
        calibration_door(settings, file, "http://api.example", None)
