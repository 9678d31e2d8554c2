"""Ids of pours: unique, in the order of their time, and of the version that says so."""

import time
import uuid

import pytest

from tapwire_core.services.pours import new_pour_id

MS_NS = 1_000_000


def test_ids_are_of_version_7_and_never_the_same() -> None:
    ids = {new_pour_id() for _ in range(1_000)}
    assert len(ids) == 1_000
    assert {(made.version, made.variant) for made in ids} == {(7, uuid.RFC_4122)}


def test_a_later_pour_has_a_greater_id(monkeypatch: pytest.MonkeyPatch) -> None:
    now_ns = time.time_ns()
    made = []
    for later_ms in range(100):
        monkeypatch.setattr("time.time_ns", lambda later_ms=later_ms: now_ns + later_ms * MS_NS)
        made.append(new_pour_id())
    assert made == sorted(made)
    assert made[0].int >> 80 == now_ns // MS_NS
