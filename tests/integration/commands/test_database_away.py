"""Commands whose database does not answer, or does not let them in: one sentence that says what to check."""

import asyncio
from typing import Final
from urllib.parse import urlsplit, urlunsplit

import pytest

from tests.command_line import command

MODULES: Final = {"tapwire_core": "check", "tapwire_admin": "run"}
ADVICE: Final = "check TAPWIRE_DATABASE_URL"


@pytest.mark.parametrize("module", MODULES)
async def test_each_program_says_in_one_line_why_it_has_no_database(module: str, database_url: str) -> None:
    given = urlsplit(database_url)
    wrong_password = urlunsplit(given._replace(netloc=f"{given.username}:wrong@{given.hostname}:{given.port}"))
    cases = {
        "postgresql://127.0.0.1:1/tapwire": "the database does not answer",
        "postgresql://nowhere.invalid/tapwire": "the database does not answer",
        wrong_password: "the database refuses the login",
        urlunsplit(
            given._replace(path="/no_such_database")
        ): 'the database refuses the login (database "no_such_database" does not',
    }

    ended = await asyncio.gather(*(command(module, MODULES[module], TAPWIRE_DATABASE_URL=url) for url in cases))

    for expected, end in zip(cases.values(), ended, strict=True):
        program = module.replace("_", "-")
        assert len(end.errors.splitlines()) == 1, end.errors
        line = end.errors.strip()
        assert end.code == 1
        assert line.startswith(f"{program}: {expected}")
        assert line.endswith(ADVICE)
