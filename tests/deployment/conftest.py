"""What the tests marked `install` share: a Docker engine of their own, with a base image made from Debian."""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.deployment.docker_engine import BARE, Engine, NoEngine, docker_engine

COMPOSE: Final = Path(__file__).parents[2] / "compose.yaml"


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """An engine whose images of Debian, Python, PostgreSQL and Mosquitto are one; skips where none can run, fails in CI.

    The workers of a parallel run share it.
    """
    named = re.findall(r"_IMAGE:-((?:python|postgres|eclipse-mosquitto):[^}]+)\}", COMPOSE.read_text())
    folder = tmp_path_factory.getbasetemp()
    shared = folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder
    try:
        with docker_engine(shared / "engine", [BARE, *sorted(set(named))]) as started:
            yield started
    except NoEngine as error:
        if os.environ.get("CI") == "true":
            pytest.fail(str(error))
        pytest.skip(str(error))
