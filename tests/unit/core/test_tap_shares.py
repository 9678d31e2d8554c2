"""Workers share the taps among themselves: who decides for which tap, and what becomes of a message that nobody answered."""

from collections import Counter
from uuid import uuid4

from hypothesis import given
from hypothesis import strategies as st

from tapwire_contracts.topics import core_state_topic
from tapwire_core.domain.tap_shares import decides
from tapwire_core.mqtt.tap_shares import ADOPTED_S, MAX_REMEMBERED, TapShares

WORKERS = st.sets(st.text("abcdef0123456789", min_size=1, max_size=8), min_size=1, max_size=6)
TAPS = [f"bar/taps/tap-{number}" for number in range(200)]
TAKEOVER_S = 5.0


@given(WORKERS)
def test_of_workers_that_agree_exactly_one_decides_for_each_tap(workers: set[str]) -> None:
    for tap in TAPS[:20]:
        assert [decides(worker, workers, tap) for worker in workers].count(True) == 1


@given(WORKERS, st.data())
def test_when_a_worker_goes_only_its_own_taps_move(workers: set[str], data: st.DataObject) -> None:
    gone = data.draw(st.sampled_from(sorted(workers)))
    for worker in workers - {gone}:
        for tap in TAPS[:20]:
            had, has = decides(worker, workers, tap), decides(worker, workers - {gone}, tap)
            assert has or not had
            assert has == had or decides(gone, workers, tap)


def test_a_worker_that_knows_of_no_other_decides_for_every_tap() -> None:
    assert all(decides("one", (), tap) for tap in TAPS)


def test_the_taps_are_spread_evenly() -> None:
    workers = {"core-1a2b", "core-3c4d", "core-5e6f", "core-7a8b"}
    counted = Counter(next(worker for worker in workers if decides(worker, workers, tap)) for tap in TAPS)
    assert all(25 <= counted[worker] <= 75 for worker in workers), counted


def two_shares() -> tuple[TapShares, str]:
    """The part of one of two workers, and a tap of the other."""
    shares = TapShares("one", TAKEOVER_S)
    shares.set_announced(["one", "two"])
    shares.hear_presence(core_state_topic("two"), b"{}")
    return shares, next(tap for tap in TAPS if not shares.owns(tap))


def test_a_worker_is_there_that_announces_itself_and_shows_its_presence() -> None:
    shares, tap = two_shares()
    shares.hear_presence(core_state_topic("two"), b"")
    assert shares.owns(tap), "the broker says that it is gone"
    shares.hear_presence(core_state_topic("two"), b"{}")
    assert not shares.owns(tap)
    shares.set_announced(["one"])
    assert shares.owns(tap), "it is gone without a word"


def question(event_id: object = None) -> bytes:
    return f'{{"type":"card_presented","event_id":"{event_id or uuid4()}","seq":1}}'.encode()


def test_another_workers_question_is_left_to_it_until_it_comes_again_unanswered() -> None:
    shares, tap = two_shares()
    asked = question()
    assert [shares.takes(tap, asked, float(second)) for second in (0, 1, 1.9)] == [False, False, False]
    assert shares.takes(tap, asked, 2.0)
    assert shares.takes(tap, question(), 2.1), "what else this tap says is decided too, for a while"
    assert not shares.takes(tap, question(), 2.0 + ADOPTED_S)


def test_a_report_is_known_again_although_its_age_has_changed() -> None:
    shares, tap = two_shares()
    report = '{{"type":"pour_completed","pour_id":"{}","age_ms":{}}}'
    pour_id = uuid4()
    assert not shares.takes(tap, report.format(pour_id, 0).encode(), 0.0)
    assert shares.takes(tap, report.format(pour_id, 4_000).encode(), 4.0)


def test_a_busy_tap_whose_questions_are_answered_stays_with_its_worker() -> None:
    shares, tap = two_shares()
    assert not any(shares.takes(tap, question(), float(second)) for second in range(60))


def test_what_others_decide_takes_no_endless_memory() -> None:
    shares, tap = two_shares()
    for number in range(MAX_REMEMBERED + 100):
        shares.takes(tap, question(number), 0.0)
    assert len(shares._left) == MAX_REMEMBERED
    assert not shares.takes(tap, question(0), 10.0), "the oldest is forgotten, and remembered anew"
    assert shares.takes(tap, question(MAX_REMEMBERED), 10.0)
