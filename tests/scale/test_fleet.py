"""The measurement of very many taps, with a few."""

import resource

import pytest

from tests.conftest import require_mosquitto
from tests.scale.fleet import ADMIN, BROKER, CORE, NODES, POSTGRES, TooFewFiles, need_files, open_field
from tests.scale.fleet_figures import Came, measure_load, memory_mib

TAPS = 5


@pytest.mark.slow
async def test_taps_of_one_process_pour_and_are_measured() -> None:
    require_mosquitto()
    async with open_field(TAPS) as field:
        field.start_services()
        since = await field.now()
        field.start_fleets(with_guests=True)
        poured_s = await field.until_poured(since, 120)
        used = memory_mib(field)
        dry, later_dry = await field.why_dry(since), await field.why_dry(await field.now())
        load = await measure_load(field, 1.0, lambda *_: None, "load")

    assert len(poured_s) == len(field.busy) == 2
    assert poured_s == sorted(poured_s)
    assert (came := Came.of(poured_s)) is not None
    assert not dry
    assert sum(later_dry.values()) == 2
    assert all(state.startswith("active, online") for state in later_dry)
    assert came.last_s == round(poured_s[-1], 1)
    assert all(used[program] > 1 for program in (BROKER, POSTGRES, CORE, ADMIN, NODES))
    assert load.cores.keys() == used.keys()
    assert not any(child.running for child in field.fleets + field.cores)


def test_too_few_open_files_are_said_before_anything_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (256, 1_024))
    raised: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "setrlimit", lambda _, limits: raised.append(limits))

    assert need_files(2) == 256
    assert need_files(100) == 1_000
    with pytest.raises(TooFewFiles, match=r"2000 taps need 2200 open files in one process, and `ulimit -Hn` says 1024"):
        need_files(2_000)

    assert raised == [(1_000, 1_024)]
