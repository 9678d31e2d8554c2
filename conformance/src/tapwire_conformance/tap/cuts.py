"""A whole pour while the connection breaks, or the broker dies, at each of its messages: SYSTEM.md, "The tap node"."""

import time
from collections.abc import Callable, Iterator
from typing import Any, Final

from tapwire_conformance.rules import MQTT, TAP_NODE, Broken, Catalogue
from tapwire_conformance.tap.closing import OVER_ML
from tapwire_conformance.tap.configs import confirmed, refuses
from tapwire_conformance.tap.core_messages import grant_of
from tapwire_conformance.tap.facts import same
from tapwire_conformance.tap.link import Cut
from tapwire_conformance.tap.opening import WRONG_BY_ML
from tapwire_conformance.tap.stage import CARD, LOOK_S, TapStage
from tapwire_conformance.transcript import Way

RULES: Final[Catalogue[TapStage]] = Catalogue()
AWAY_S: Final = 0.3
"""How long the link stays cut, or the broker dead, at a message."""
FIRST_REVISION: Final = 1

Fits = Callable[[dict[str, Any]], bool]


def _kind(kind: str, **fields: object) -> Fits:
    return lambda said: {"type": kind, **fields}.items() <= said.items()


MESSAGES: Final[dict[str, Fits]] = {
    "question": _kind("card_presented"),
    "answer": _kind("pour_authorized"),
    "state with the open valve": _kind("node_state", valve="open"),
    "progress": _kind("pour_progress"),
    "report": _kind("pour_completed"),
    "verdict": _kind("pour_settled"),
}
"""The messages of a pour; a node that sends no progress is not cut there."""


@RULES.must("LINK-5", TAP_NODE)
def cut_at_each_message(stage: TapStage) -> None:
    """Wherever the connection breaks, at any message of a pour, only a grant opens, and what flowed is reported once."""
    stage.need_link()
    _break_at_each_message(stage, "cut", None)


@RULES.must("LINK-6", TAP_NODE)
def cut_for_good(stage: TapStage) -> None:
    """A pour whose broker stays away ends all the same: when the card is taken off, after `max_duration_ms`, without flow."""
    stage.need_link()
    for end_reason, limits in (
        ("card_removed", {}),
        ("max_duration", {"max_duration_ms": 1_500}),
        ("no_flow", {"idle_timeout_ms": 1_500}),
    ):
        stage.act("flow off" if end_reason == "no_flow" else "flow on")
        grant = stage.pour(**limits)
        stage.cut()
        if end_reason == "card_removed":
            stage.act("card-off")
        stage.until(lambda: stage.act("valve") != "open", f"the valve did not close without its broker ({end_reason})")
        mark = stage.mark
        stage.mend()
        report = stage.report(grant, mark)
        if report["end_reason"] != end_reason:
            raise Broken(f"without its broker the pour should have ended by {end_reason}, and was reported as {report}")
        stage.settle(report)
        stage.act("card-off")
        stage.until(lambda: stage.state()["phase"] == "IDLE", "the node was not ready for the next card")


@RULES.must("BROKER-1", TAP_NODE)
def killed_at_each_message(stage: TapStage) -> None:
    """Wherever the broker is killed, at any message of a pour, only a grant opens, and what flowed is reported once."""
    for command in stage.need_broker().commands:
        _break_at_each_message(stage, "killed", command)


@RULES.must("BROKER-2", MQTT)
def comes_back(stage: TapStage) -> None:
    """After the broker was killed, a node comes back by itself and says its state anew, also where the broker has lost it."""
    for command in stage.need_broker().commands:
        before = stage.state()
        stage.kill_broker()
        time.sleep(AWAY_S)
        stage.start_broker(command)
        retained = stage.retained_state()
        if retained["status"] != "online" or retained["connection"] <= before["connection"]:
            raise Broken(f"before the broker died its state was {before}, and who connects later reads {retained}")


@RULES.must("BROKER-3", TAP_NODE)
def config_lost(stage: TapStage) -> None:
    """A node goes by its last config, also where a broker that was killed has lost it, or comes back with an older one."""
    for command in stage.need_broker().commands:
        confirmed(stage, stage.configure(status="locked"))
        stage.kill_broker()
        stage.start_broker(command, is_config_lost=True)
        refuses(stage, "locked, before its broker died")
        stage.configure(revision=FIRST_REVISION)
        refuses(stage, "locked, and its broker came back with an older config")
        confirmed(stage, stage.configure())
        stage.kill_broker()
        stage.start_broker(command, is_config_lost=True)
        stage.deny(stage.ask())
        stage.take_card_off()


def _break_at_each_message(stage: TapStage, how: str, command: str | None) -> None:
    """A pour for each of its messages and both sides of it; the broker dies there if there is a command to start it again."""
    if not stage.sees_messages:
        stage.transcript.add(Way.DONE, "no message is seen on its way: the break comes when the kit has said or heard it itself")
    for name, fits in MESSAGES.items():
        for is_lost in (False, True):
            if is_lost and not stage.sees_messages:
                continue  # it can't be lost on its way; what is lost is what follows the message before it
            try:
                _WholePour(stage, Cut(fits, is_lost), command).run()
            except Broken as broken:
                raise Broken(f"{how} {'before' if is_lost else 'after'} the {name}: {broken}") from broken


class _WholePour:
    """One pour with a core that answers everything, as often as it is said."""

    def __init__(self, stage: TapStage, cut: Cut, command: str | None) -> None:
        self._stage = stage
        self._cut = cut
        self._command = command
        self._mark = stage.mark
        self._is_cut = False
        self._grants: dict[str, dict[str, Any]] = {}
        self._answered = 0

    def run(self) -> None:
        """Pour to the cap, with the connection broken at one message; raises `Broken`."""
        stage, cap_ml, before_ml = self._stage, self._stage.settings.pour_ml, self._stage.flowed_ml()
        if stage.sees_messages:
            stage.need_link().close_at(self._cut)
        stage.act(f"card-on {CARD}")
        until_s, is_poured = time.monotonic() + 2 * stage.settings.answer_s, False
        while not self._is_over():
            if time.monotonic() > until_s:
                raise Broken(f"the pour did not come to its end, the node's state is {stage.state()}")
            self._break()
            self._answer()
            self._break()
            if not is_poured and stage.valve_is_open():
                is_poured = True
                if not self._grants:
                    raise Broken("the valve opened without any grant")
                stage.act(f"pour {cap_ml}")
            time.sleep(LOOK_S)
        if stage.sees_messages:
            stage.need_link().close_at(None)
        self._ask_for_what_is_missing()
        after_ml = stage.flowed_ml()
        self._judge(None if before_ml is None or after_ml is None else after_ml - before_ml)
        stage.take_card_off()

    def _break(self) -> None:
        """Cut or kill when the message has come, once, and mend it after a while."""
        stage = self._stage
        if self._is_cut or not self._has_come():
            return
        self._is_cut = True
        if self._command is not None:
            stage.kill_broker()
        elif stage.is_linked:
            stage.cut()
        time.sleep(AWAY_S)
        if self._command is not None:
            stage.start_broker(self._command)
        else:
            stage.mend()

    def _has_come(self) -> bool:
        """Whether the link has closed at the message; where it sees none, whether the kit itself has said or heard it."""
        if self._stage.sees_messages:
            return not self._stage.is_linked
        said = self._stage.transcript.since(self._mark)
        return any(entry.way is not Way.DONE and not entry.retain and self._cut.fits(entry.content) for entry in said)

    def _is_over(self) -> bool:
        state = self._stage.state()
        wanted = {"status": "online", "phase": "CARD_MUST_BE_REMOVED", "valve": "closed", "facts_open": 0}
        return self._stage.is_linked and wanted.items() <= state.items()

    def _answer(self) -> None:
        """Grant each question, the same one with the same grant, and settle each report."""
        asked = self._stage.all("card_presented", self._mark)
        for question in asked[self._answered :]:
            grant = self._grants.get(question["event_id"])
            if grant is None:
                grant = grant_of(question, max_volume_ml=self._stage.settings.pour_ml)
                self._grants[question["event_id"]] = grant
            self._stage.command("pour_authorized", **grant)
        self._answered = len(asked)
        self._stage.settle_all()

    def _ask_for_what_is_missing(self) -> None:
        """A core asks for each pour whose report did not come."""
        stage = self._stage
        for grant in self._grants.values():
            if not stage.all("pour_completed", self._mark, pour_id=grant["pour_id"]):
                stage.command("report_pour", pour_id=grant["pour_id"], journal_id=stage.state()["journal_id"])
                stage.report(grant, self._mark)
        stage.settle_all()

    def _judge(self, flowed_ml: int | None) -> None:
        reported_ml = 0
        for first in self._reported_once():
            reported_ml += first["volume_ml"]
            if first["volume_ml"] > self._stage.settings.pour_ml + OVER_ML:
                raise Broken(f"{first['volume_ml']} ml flowed on a grant for {self._stage.settings.pour_ml}")
        if flowed_ml is not None and abs(flowed_ml - reported_ml) > WRONG_BY_ML:
            raise Broken(f"{flowed_ml} ml flowed, and {reported_ml} ml were reported")

    def _reported_once(self) -> Iterator[dict[str, Any]]:
        """Each pour's report, which must be the same each time that it came, and of a pour that was granted."""
        granted = {grant["pour_id"] for grant in self._grants.values()}
        firsts: dict[str, dict[str, Any]] = {}
        for report in self._stage.all("pour_completed", self._mark):
            first = firsts.setdefault(report["pour_id"], report)
            if not same(first, report):
                raise Broken(f"one pour was reported as {first} and as {report}")
        if strange := firsts.keys() - granted:
            raise Broken(f"it reported pours that nobody granted: {sorted(strange)}")
        yield from firsts.values()
