"""Volume is conserved: whatever facts come, in whatever order, every millilitre of the odometer leaves the keg once."""

import itertools
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapwire_contracts.reasons import IncidentKind
from tests.simulation.site import KEG_ML
from tests.unit.core.bench import Bench, flow_of

PIECES = st.lists(st.tuples(st.integers(1, 60), st.booleans()), min_size=1, max_size=8)
"""Pieces of an odometer: how long, and whether the node made a fact of it."""


@given(pieces=PIECES, random=st.randoms(use_true_random=False), repeats=st.integers(1, 3), looks=st.integers(0, 4))
def test_facts_and_holes_cover_the_odometer_once(pieces: list[tuple[int, bool]], random: Random, repeats: int, looks: int) -> None:
    bench = Bench.open()
    (tap,) = bench.taps
    bench.idle(tap)
    ends_ml = list(itertools.accumulate((length_ml for length_ml, _ in pieces), initial=0))
    stretches = list(itertools.pairwise(ends_ml))
    facts = [flow_of(tap, *stretch) for stretch, (_, is_fact) in zip(stretches, pieces, strict=True) if is_fact] * repeats
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
