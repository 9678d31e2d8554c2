"""Fixtures of the chaos tests: Mosquitto, for shared subscriptions."""

import os

import pytest

from tapwire_demo.broker import find_mosquitto


@pytest.fixture(autouse=True)
def _mosquitto() -> None:
    """Skip where it is missing; in CI it must not be."""
    if find_mosquitto() is None:
        reason = "mosquitto is not installed (Debian: apt-get install mosquitto)"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
