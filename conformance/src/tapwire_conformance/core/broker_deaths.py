"""A core whose broker is killed and started again, with or without what it had kept: CONTRACT.md, "MQTT"."""

import time
from typing import Any, Final

from tapwire_conformance.core.node import PlayedNode
from tapwire_conformance.core.settlement import expect_money
from tapwire_conformance.core.stage import ML_MINOR, CoreStage
from tapwire_conformance.rules import MQTT, Broken, Catalogue
from tapwire_conformance.transcript import Wanted
from tapwire_contracts.topics import ROOT

RULES: Final[Catalogue[CoreStage]] = Catalogue()
MESSAGES: Final = ("question", "grant", "report", "verdict")
REPEAT_S: Final = 1.0
POURED_ML: Final = 20


@RULES.must("BROKER-4", MQTT)
def comes_back(stage: CoreStage) -> None:
    """After the broker was killed, a core publishes its `core_state` and each tap's `tap_config` again, also if they were lost."""
    for command in stage.need_broker().commands:
        stage.kill_broker()
        mark = stage.transcript.mark
        stage.start_broker(command)
        said = [(tap.path.topic("config"), f"tap_config of {tap.path}") for tap in (stage.left, stage.right)]
        for topic, what in [*said, (f"{ROOT}/core/", "core_state")]:
            stage.transcript.wait(mark, _said_on(topic), stage.timing.sweep_s, what)


@RULES.must("BROKER-5", MQTT)
def killed_at_each_message(stage: CoreStage) -> None:
    """Wherever the broker is killed, at any message of a pour, what is said again gets the one grant and the one verdict."""
    for command in stage.need_broker().commands:
        for message in MESSAGES:
            try:
                _whole_pour(stage, message, command)
            except Broken as broken:
                raise Broken(f"killed after the {message}: {broken}") from broken


def _said_on(topic: str) -> Wanted:
    return lambda heard: heard.topic.startswith(topic) and heard.payload


def _whole_pour(stage: CoreStage, killed_after: str, command: str) -> None:
    def die(message: str) -> None:
        if message == killed_after:
            stage.kill_broker()
            stage.start_broker(command)

    ann, node, keg_ml = stage.guest(100_00), stage.node(), stage.keg_ml()
    question = node.question(ann.card_uid)
    node.send("card", question)
    die("question")
    grant = _insist(stage, node, "card", question, "pour_authorized", request_id=question["event_id"])
    die("grant")
    again = _insist(stage, node, "card", question, "pour_authorized", request_id=question["event_id"])
    if again["pour_id"] != grant["pour_id"]:
        raise Broken(f"one question got the grants {grant} and {again}")
    report = node.report_of(grant, POURED_ML)
    node.send("pour/completed", report)
    die("report")
    verdict = _insist(stage, node, "pour/completed", report, "pour_settled", pour_id=grant["pour_id"])
    die("verdict")
    if (again := _insist(stage, node, "pour/completed", report, "pour_settled", pour_id=grant["pour_id"])) != verdict:
        raise Broken(f"one report got the verdicts {verdict} and {again}")
    expect_money(stage, ann, 100_00 - POURED_ML * ML_MINOR)
    if (pours := len(stage.pours_of(ann))) != 1 or keg_ml - stage.keg_ml() != POURED_ML:
        raise Broken(f"one pour of {POURED_ML} ml became {pours}, and took {keg_ml - stage.keg_ml()} ml from the keg")


def _insist(stage: CoreStage, node: PlayedNode, leaf: str, message: dict[str, Any], answer: str, **of: str) -> dict[str, Any]:
    """Say something again until its answer comes, as a node does; the answer."""
    mark, until_s = node.mark, time.monotonic() + stage.timing.sweep_s
    while True:
        node.send(leaf, message)
        try:
            return node.command(answer, mark, 1, REPEAT_S, **of)
        except Broken:
            if time.monotonic() > until_s:
                raise
