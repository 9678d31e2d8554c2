"""Two core workers at one tap: whatever the order of their steps, the result is that of one after the other.

A new question proves that older ones never started. So what counts most is what happens while such a question is answered: the
older question itself comes late, or again; its report comes; an operator ends its pour. Each transaction is locked, written and
committed in every order with the other one, and may die before its commit.
"""

import itertools
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from inspect import unwrap
from typing import Any, Final
from uuid import UUID, uuid4

import asyncpg
import msgspec
import pytest

from tapwire_contracts.messages import CardPresented
from tapwire_core.db.engine import Database
from tapwire_core.domain.actor import Actor
from tapwire_core.domain.authorization import Question
from tapwire_core.domain.closed_sets import KegFinish, Role
from tapwire_core.domain.serving_limits import VolumeLimit
from tapwire_core.services import taps, venues, visits
from tapwire_core.services.pour_recovery import force_unlock, reconcile_pour
from tapwire_core.services.pours import Answered, RawMessage, authorize_pour, report_of_node, settle_report
from tests.simulation.stepping import UseCase, Worker, interleave
from tests.venue import OPERATOR, Guest, SimulatedTap, Venue

SCHEDULES: Final = sorted({"".join(order) for order in itertools.permutations("AAABBB")})
"""Each transaction locks, writes and commits."""
ONE_BY_ONE: Final = ("AAABBB", "BBBAAA")


@dataclass
class Scene:
    """A tap of its own, on which a guest's card was laid once: the question, and the pour that it was granted, if it came."""

    tap: SimulatedTap
    ann: Guest
    question: CardPresented
    pour_id: UUID
    other_tap: SimulatedTap | None = None

    @property
    def path(self) -> str:
        """The tap's path."""
        return str(self.tap.path)

    def ask(self, question: CardPresented) -> UseCase:
        """Answer a question."""
        asked, pour_id = Question.of_node(self.path, question), uuid4()
        return lambda store: unwrap(authorize_pour)(store, asked, question.event_id.hex * 2, Actor(self.path), pour_id)

    def ask_anew(self, *unsettled: UUID) -> UseCase:
        """Answer the tap's next question."""
        return self.ask(self.tap.question(self.ann.card_uid, unsettled=unsettled))

    def settle(self, volume_ml: int) -> UseCase:
        """Settle the report of the pour."""
        said = self.tap.report(self.pour_id, self.ann.card_uid, volume_ml)
        report, raw = report_of_node(self.path, said), RawMessage(self.tap.path.topic("pour/completed"), b"{}")
        return lambda store: unwrap(settle_report)(store, report, said.journal_id, Actor(self.path), {}, raw)

    def reconcile(self) -> UseCase:
        """An operator settles the pour by hand."""
        visit_id, pour_id = self.ann.visit_id, self.pour_id
        return lambda store: unwrap(reconcile_pour)(store, OPERATOR, visit_id, volume_ml=150, reason="none came", pour_id=pour_id)

    def rearm(self) -> UseCase:
        """A member of staff looks at the guest."""
        return lambda store: unwrap(visits.rearm)(store, OPERATOR, self.ann.visit_id, "looked at")

    def kick(self) -> UseCase:
        """The tap's keg is taken off: it was empty."""
        as_lead = {"finish": KegFinish.KICKED, "reason": "foam alone", "role": Role.SHIFT_LEAD}
        return lambda store: unwrap(taps.take_keg_off)(store, OPERATOR, self.tap.path, **as_lead)

    def ask_elsewhere(self) -> UseCase:
        """Answer a question of another tap about the same card."""
        assert self.other_tap is not None
        path, question = str(self.other_tap.path), self.other_tap.question(self.ann.card_uid)
        asked, pour_id = Question.of_node(path, question), uuid4()
        return lambda store: unwrap(authorize_pour)(store, asked, question.event_id.hex * 2, Actor(path), pour_id)

    def unlock(self) -> UseCase:
        """An operator frees the visit."""
        return lambda store: unwrap(force_unlock)(store, OPERATOR, self.ann.visit_id, reason="none came", pour_id=self.pour_id)


def late_question_and_new_one(scene: Scene) -> tuple[UseCase, UseCase]:
    """The first question was overtaken by the next one."""
    return scene.ask(scene.question), scene.ask_anew()


def repeated_question_and_new_one(scene: Scene) -> tuple[UseCase, UseCase]:
    """The first question, granted already, comes again."""
    return scene.ask(scene.question), scene.ask_anew()


def report_and_question_that_lists_it(scene: Scene) -> tuple[UseCase, UseCase]:
    """The pour's report comes beside a question that calls it unsettled."""
    return scene.settle(120), scene.ask_anew(scene.pour_id)


def report_of_nothing_and_question(scene: Scene) -> tuple[UseCase, UseCase]:
    """The report that the pour never started comes beside a question that proves the same."""
    return scene.settle(0), scene.ask_anew()


def two_new_questions(scene: Scene) -> tuple[UseCase, UseCase]:
    """Each proves that the pour never started, the later one also of the other's."""
    return scene.ask_anew(), scene.ask_anew()


def one_question_twice(scene: Scene) -> tuple[UseCase, UseCase]:
    """A new question is repeated."""
    question = scene.tap.question(scene.ann.card_uid)
    return scene.ask(question), scene.ask(question)


def reconcile_and_question(scene: Scene) -> tuple[UseCase, UseCase]:
    """An operator settles the pour that a question voids."""
    return scene.reconcile(), scene.ask_anew()


def unlock_and_question(scene: Scene) -> tuple[UseCase, UseCase]:
    """An operator frees the visit whose pour a question voids."""
    return scene.unlock(), scene.ask_anew()


def report_and_reconcile(scene: Scene) -> tuple[UseCase, UseCase]:
    """The report comes beside the operator who had given it up."""
    return scene.settle(120), scene.reconcile()


def one_report_twice(scene: Scene) -> tuple[UseCase, UseCase]:
    """A report is repeated."""
    settle = scene.settle(120)
    return settle, settle


def question_and_rearm(scene: Scene) -> tuple[UseCase, UseCase]:
    """A guest at the limit lays the card on while staff re-arm the visit."""
    return scene.ask_anew(), scene.rearm()


def report_and_rearm(scene: Scene) -> tuple[UseCase, UseCase]:
    """A pour's report comes while staff re-arm the visit."""
    return scene.settle(120), scene.rearm()


def void_and_rearm(scene: Scene) -> tuple[UseCase, UseCase]:
    """An operator frees the visit while another re-arms it."""
    return scene.unlock(), scene.rearm()


def two_rearms(scene: Scene) -> tuple[UseCase, UseCase]:
    """Two of the staff re-arm the visit."""
    return scene.rearm(), scene.rearm()


def two_taps_at_once(scene: Scene) -> tuple[UseCase, UseCase]:
    """One card is laid on two taps, or a copy of it."""
    return scene.ask_anew(), scene.ask_elsewhere()


def report_and_kick(scene: Scene) -> tuple[UseCase, UseCase]:
    """The pour's report comes while its keg is taken off as kicked: the rest is booked with the later one of the two."""
    return scene.settle(120), scene.kick()


def reconcile_and_kick(scene: Scene) -> tuple[UseCase, UseCase]:
    """An operator settles the pour while its keg is taken off as kicked."""
    return scene.reconcile(), scene.kick()


def question_and_kick(scene: Scene) -> tuple[UseCase, UseCase]:
    """The next question is asked while the keg is taken off as kicked."""
    return scene.ask_anew(), scene.kick()


def two_kicks(scene: Scene) -> tuple[UseCase, UseCase]:
    """Two of the staff take the keg off."""
    return scene.kick(), scene.kick()


Pair = Callable[[Scene], tuple[UseCase, UseCase]]
PAIRS: Final[Sequence[Pair]] = (
    late_question_and_new_one,
    repeated_question_and_new_one,
    report_and_question_that_lists_it,
    report_of_nothing_and_question,
    two_new_questions,
    one_question_twice,
    reconcile_and_question,
    unlock_and_question,
    report_and_reconcile,
    one_report_twice,
    report_and_kick,
    reconcile_and_kick,
    question_and_kick,
    two_kicks,
)
LIMIT_ML: Final = 150
LIMITED_PAIRS: Final[Sequence[Pair]] = (question_and_rearm, report_and_rearm, void_and_rearm, two_rearms, two_taps_at_once)


@pytest.fixture
async def connections(db: Database) -> AsyncIterator[list[asyncpg.Connection]]:
    """One for each worker, and one to watch them."""
    opened = [await asyncpg.connect(db.url) for _ in range(3)]
    yield opened
    for connection in opened:
        await connection.close()


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: pair.__name__)
async def test_every_interleaving_ends_like_one_after_the_other(
    venue: Venue, connections: list[asyncpg.Connection], pair: Pair
) -> None:
    await check_every_interleaving(venue, connections, pair)


@pytest.mark.parametrize("dying", ["A", "B"])
@pytest.mark.parametrize(
    "pair",
    [late_question_and_new_one, report_and_question_that_lists_it, two_new_questions, report_and_kick],
    ids=lambda pair: pair.__name__,
)
async def test_every_interleaving_with_a_worker_that_dies_ends_like_the_other_alone(
    venue: Venue, connections: list[asyncpg.Connection], pair: Pair, dying: str
) -> None:
    await check_every_interleaving(venue, connections, pair, dying)


@pytest.mark.parametrize("pair", LIMITED_PAIRS, ids=lambda pair: pair.__name__)
async def test_every_interleaving_under_a_serving_limit_ends_like_one_after_the_other(
    venue: Venue, connections: list[asyncpg.Connection], pair: Pair
) -> None:
    await venues.change_venue(venue.db, OPERATOR, venue.venue_id, serving_limit=VolumeLimit(limit_ml=LIMIT_ML))

    await check_every_interleaving(venue, connections, pair)


async def check_every_interleaving(venue: Venue, connections: list[asyncpg.Connection], pair: Pair, dying: str = "") -> None:
    """Take the pair's steps in every order, each on a tap of its own; `dying` is the worker that dies before it commits."""
    *of_workers, watcher = connections
    ends = {}
    for number, schedule in enumerate(SCHEDULES):
        scene = await set_scene(venue, f"tap{number}", granted=pair is not late_question_and_new_one)
        if pair is question_and_rearm:
            await do_before(venue, scene.settle(LIMIT_ML))
        if pair is two_taps_at_once:
            scene.other_tap = await venue.another_tap(f"other{number}")
        workers = {
            name: Worker(connection, venue.db.policy, use_case, dies=name == dying)
            for name, connection, use_case in zip("AB", of_workers, pair(scene), strict=True)
        }

        results = await interleave(schedule, workers, watcher)

        ends[schedule] = (*map(summary, results), *await what_is_left(venue, scene))
    one_by_one = {ends[schedule] for schedule in ONE_BY_ONE}
    assert {schedule: end for schedule, end in ends.items() if end not in one_by_one} == {}


async def do_before(venue: Venue, use_case: UseCase) -> None:
    """Do something before the race."""
    async with venue.db.transaction() as store:
        await use_case(store)


async def set_scene(venue: Venue, tap_id: str, *, granted: bool) -> Scene:
    """A new tap and a new guest; the first question is answered, or still on its way."""
    tap, ann = await venue.another_tap(tap_id), await venue.guest(balance_minor=100_00)
    question = tap.question(ann.card_uid)
    answer = msgspec.json.decode(await venue.ask_raw(question, tap)) if granted else {}
    return Scene(tap, ann, question, UUID(answer["pour_id"]) if granted else uuid4())


def summary(result: Any) -> str:
    """The result of a use case, without ids."""
    match result:
        case Answered(payload):
            answer = msgspec.json.decode(payload)
            return str(answer.get("reason", answer["type"]))
        case str() if result.startswith("{"):
            return str(msgspec.json.decode(result)["outcome"])
        case UUID() | None:
            return "done"
        case _:
            return str(result)


async def what_is_left(venue: Venue, scene: Scene) -> tuple[object, ...]:
    """The books after both: the tap's pours, the guest's money, the keg, and what was told to whom."""
    read = venue.db.pool.fetch
    pours = await read("SELECT seq, sync_status, volume_ml, amount_minor FROM pours WHERE tap_path = $1 ORDER BY seq", scene.path)
    kegs = await read(
        """SELECT book_volume_ml, finish, kind, sum(volume_ml) FROM kegs LEFT JOIN stock_movements USING (keg_id)
           WHERE keg_id IN (SELECT keg_id FROM pours WHERE tap_path = $1) GROUP BY keg_id, kind ORDER BY kind""",
        scene.path,
    )
    incidents = await read("SELECT kind FROM incidents WHERE tap_path = $1 AND status <> 'resolved' ORDER BY kind", scene.path)
    audited = await read("SELECT action FROM audit WHERE $1 = ANY(subjects) ORDER BY action", scene.path)
    told = [tuple(row[0] for row in rows) for rows in (incidents, audited)]
    served = await venue.db.pool.fetchval("SELECT used FROM served($1, 'bar', 'volume', NULL, NULL)", scene.ann.guest_id)
    stood_at = await read(
        "SELECT details->>'used' FROM audit WHERE action = 'serving_limit_rearmed' AND $1 = ANY(subjects) ORDER BY audit_id",
        str(scene.ann.guest_id),
    )
    return (
        tuple(map(tuple, pours)),
        await venue.balance(scene.ann),
        tuple(map(tuple, kegs)),
        served,
        tuple(map(tuple, stood_at)),
        *told,
    )
