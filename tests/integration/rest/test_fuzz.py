"""schemathesis against `/schema` of the real program on a real PostgreSQL: it sends what the document allows, and what it doesn't.

The seed is fixed, so that a run that fails here fails everywhere.
"""

import asyncio
import os
import sys
from pathlib import Path
from typing import Final

import pytest

from tapwire_core.db.engine import Database
from tapwire_core.domain.closed_sets import Role
from tapwire_core.domain.policy import Policy
from tapwire_core.services import devices
from tapwire_core.services.books import check_books
from tests.integration.rest.test_process import running
from tests.rest import add_user
from tests.thoroughness import short_or_long
from tests.venue import OPERATOR, Venue

SEED: Final = 20260501
PHASES: Final = short_or_long("examples,coverage", "examples,coverage,fuzzing")
"""The documented examples and all edges of each schema, then random cases."""
EXAMPLES: Final = short_or_long(2, 8)
"""Random cases of each kind for an operation."""
ENDS_WITHIN_S: Final = 540
"""For a busy machine; on a quiet one it takes a quarter of it."""
ROOT: Final = Path(__file__).parents[3]

EXCLUDED_CHECKS: Final = {
    "positive_data_acceptance": "in its place: what_fits_its_schema_is_refused_by_rule_alone, which names what no schema can say",
    "object_level_authorization": "every operator sees every guest: there is one house",
}
EXCLUDED_OPERATIONS: Final = {
    "GET /api/events": "the stream never ends; test_rest_events follows it",
    "DELETE /api/session": "it would end the session that all other requests come with; test_rest_access logs out",
}


async def run_schemathesis(folder: Path, url: str, *arguments: str, phases: str = PHASES) -> None:
    """Run it to its end in a folder of its own, where it keeps what it finds; fails with its report when a check does."""
    options = ["--seed", str(SEED), "--phases", phases, "--max-examples", str(EXAMPLES), "--checks", "all"]
    command = ["-m", "schemathesis.cli", "run", f"{url}/schema/openapi.json", *options, "--no-color", "--workers", "1", *arguments]
    excluded = [f"--exclude-checks={','.join(EXCLUDED_CHECKS)}", *(f"--exclude-name={name}" for name in EXCLUDED_OPERATIONS)]
    environment = {**os.environ, "SCHEMATHESIS_HOOKS": "tests.schemathesis_checks", "PYTHONPATH": str(ROOT)}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *command,
        *excluded,
        cwd=folder,
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(ENDS_WITHIN_S):
            output, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
    assert process.returncode == 0, output.decode()[-20_000:]


@pytest.mark.lasts
@pytest.mark.thorough
@pytest.mark.timeout(600)
async def test_no_request_whatever_it_holds_makes_a_fault_or_an_undocumented_answer(database_url: str, tmp_path: Path) -> None:
    async with Database.open(database_url, Policy()) as db:
        venue = await Venue.open(db)
        await venue.guest(balance_minor=100_00)
        token, device = await add_user(db, Role.ENGINEER), await devices.add_device(db, OPERATOR, venue.tap.path)
        async with running(database_url) as client:
            logins = ["--header", f"Authorization: Bearer {token}", "--header", f"X-Internal-Token: {device.secret}"]
            await run_schemathesis(tmp_path, str(client.base_url).rstrip("/"), *logins)

        assert await check_books(db) == []


@pytest.mark.slow  # test_access asks each route once
@pytest.mark.timeout(600)
async def test_without_a_login_no_request_is_told_anything(database_url: str, tmp_path: Path) -> None:
    async with running(database_url) as client:
        await run_schemathesis(tmp_path, str(client.base_url).rstrip("/"), phases="examples,coverage")
