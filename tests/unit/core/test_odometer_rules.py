"""Volume is conserved: whatever facts come, in whatever order, every millilitre of the odometer leaves the keg once."""

import itertools
from collections import Counter
from enum import Enum, auto
from random import Random
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tapwire_contracts.reasons import IncidentKind
from tests.simulation.site import KEG_ML
from tests.unit.core.bench import Bench, flow_of

SOON_UNBELIEVABLE_ML = 1_000
"""No tap lets more flow in no time."""


class Told(Enum):
    """The node's fact for a piece of its odometer."""

    NOT = auto()
    FACT = auto()
    UNBELIEVABLY = auto()


PIECES = st.lists(st.tuples(st.integers(1, 60), st.sampled_from(Told)), min_size=1, max_size=8)
"""Pieces of an odometer: how long, and what the node makes of each."""


@given(pieces=PIECES, random=st.randoms(use_true_random=False), repeats=st.integers(1, 3), looks=st.integers(0, 4))
def test_facts_and_holes_cover_the_odometer_once(pieces: list[tuple[int, Told]], random: Random, repeats: int, looks: int) -> None:
    bench = Bench.open()
    (tap,) = bench.taps
    bench.idle(tap)
    lengths_ml = [length_ml + SOON_UNBELIEVABLE_ML * (told is Told.UNBELIEVABLY) for length_ml, told in pieces]
    ends_ml = list(itertools.accumulate(lengths_ml, initial=0))
    facts = [
        flow_of(tap, from_ml, to_ml) if told is Told.FACT else replace(flow_of(tap, from_ml, to_ml), duration_ms=0)
        for (from_ml, to_ml), (_, told) in zip(itertools.pairwise(ends_ml), pieces, strict=True)
        if told is not Told.NOT
    ] * repeats
    random.shuffle(facts)
    look_before = {random.randrange(len(facts) + 1) for _ in range(looks)}

    for number, fact in enumerate(facts):
        if number in look_before:
            tap.odometer_ml = random.choice(ends_ml)
            bench.idle(tap)
        bench.record(tap, fact)
    tap.odometer_ml = ends_ml[-1]
    bench.idle(tap)

    assert bench.booked_ml(tap) == ends_ml[-1]
    covered = sorted((row.from_ml, row.to_ml) for row in bench.tables.stretches)
    assert all(earlier[1] == later[0] for earlier, later in itertools.pairwise(covered))
    assert (covered[0][0], covered[-1][1]) == (0, ends_ml[-1])
    assert not [kind for kind, _ in bench.tables.incidents if kind == IncidentKind.ODOMETER_REWOUND]
    assert _told_ml(bench) == _missing_ml(bench)


def _told_ml(bench: Bench) -> Counter[UUID]:
    """Missing volume of the incidents of holes."""
    return Counter({row.gap.incident_id: row.gap.volume_ml for row in bench.tables.incidents.values() if row.gap})


def _missing_ml(bench: Bench) -> Counter[UUID]:
    """The holes that have an incident."""
    missing = Counter[UUID]()
    for row in bench.tables.stretches:
        if row.is_hole and bench.tables.gap(row.fact_id):
            missing[row.fact_id] += row.to_ml - row.from_ml
    return missing


@pytest.mark.parametrize(("hole_ml", "is_told"), [(4, False), (5, True)])
def test_a_hole_is_an_incident_from_five_millilitres_on(hole_ml: int, is_told: bool) -> None:
    bench = Bench.open()
    (tap,) = bench.taps
    bench.idle(tap)
    tap.odometer_ml = hole_ml

    bench.idle(tap)

    assert bench.booked_ml(tap) == hole_ml
    assert any(kind == IncidentKind.VOLUME_GAP for kind, _ in bench.tables.incidents) == is_told


def test_two_holes_of_an_overdrawn_keg_raise_one_incident_about_the_keg() -> None:
    bench = Bench.open()
    (tap,) = bench.taps
    bench.idle(tap)
    tap.odometer_ml = KEG_ML + 30
    bench.record(tap, flow_of(tap, 10, KEG_ML + 10))

    bench.idle(tap)

    assert bench.booked_ml(tap) == KEG_ML + 30
    assert [kind for kind, _ in bench.tables.incidents].count(IncidentKind.KEG_OVERDRAWN) == 1


def test_a_third_fact_over_the_same_stretch_is_recorded_and_counted() -> None:
    bench = Bench.open()
    (tap,) = bench.taps

    for _ in range(3):
        bench.record(tap, flow_of(tap, 0, 50))

    (rewound,) = [row for (kind, _), row in bench.tables.incidents.items() if kind == IncidentKind.ODOMETER_REWOUND]
    assert rewound.occurrences == 2
    assert bench.booked_ml(tap) == 150
