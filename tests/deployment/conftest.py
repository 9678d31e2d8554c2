"""What the tests marked `install` share: a Docker engine of their own, with a base image made from Debian."""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.deployment.docker_engine import BARE, Engine, NoEngine, docker_engine, import_base

COMPOSE: Final = Path(__file__).parents[2] / "compose.yaml"


@pytest.fixture(scope="session")
def engine() -> Iterator[Engine]:
    """An engine whose images of Debian, Python, PostgreSQL and Mosquitto are one; skips where none can run, fails in CI."""
    named = re.findall(r"_IMAGE:-((?:python|postgres|eclipse-mosquitto):[^}]+)\}", COMPOSE.read_text())
    try:
        with docker_engine() as started:
            import_base(started, [BARE, *sorted(set(named))])
            yield started
    except NoEngine as error:
        if os.environ.get("CI") == "true":
            pytest.fail(str(error))
        pytest.skip(str(error))
