"""What a grant is worth, and what a question does however often and in whatever order it comes: SYSTEM.md, "Authorisation"."""

from concurrent.futures import ThreadPoolExecutor
from typing import Final

from tapwire_conformance.core.stage import ML_MINOR, CoreStage
from tapwire_conformance.rules import AUTHORISATION, Broken, Catalogue

RULES: Final[Catalogue[CoreStage]] = Catalogue()

COPIES: Final = 6


@RULES.must("AUTH-20", AUTHORISATION)
def limit_and_hold(stage: CoreStage) -> None:
    """A grant is for the least of what the guest can pay, the keg has and the tap allows; what it may cost is held."""
    ann, node = stage.guest(100 * ML_MINOR + 1), stage.node()
    grant = node.grant(ann.card_uid)
    if grant["max_volume_ml"] != 100 or stage.money(ann) != (100 * ML_MINOR + 1, 100 * ML_MINOR):
        raise Broken(f"money for 100 ml was granted {grant['max_volume_ml']} ml, balance and hold are {stage.money(ann)}")
    pour = stage.pour(grant["pour_id"])
    if (pour["sync_status"], pour["volume_ml"], pour["amount_minor"]) != ("pending_sync", 0, 0):
        raise Broken(f"the granted pour is {pour['sync_status']}, {pour['volume_ml']} ml, {pour['amount_minor']}")
    node.deliver(node.report_of(grant, 0))
    stage.set_tap(max_pour_ml=30)
    stage.afterwards(lambda: stage.set_tap(max_pour_ml=1_000))
    if (capped := node.grant(ann.card_uid))["max_volume_ml"] != 30:
        raise Broken(f"at a tap that allows 30 ml the grant was for {capped['max_volume_ml']} ml")


@RULES.must("AUTH-21", AUTHORISATION)
def same_question_same_answer(stage: CoreStage) -> None:
    """The same question again gives the same answer, grant or denial, however often and however concurrently."""
    ann, bob, node = stage.guest(100_00), stage.guest(), stage.node()
    for card_uid in (ann.card_uid, bob.card_uid):
        question, mark = node.question(card_uid), node.mark
        with ThreadPoolExecutor(COPIES) as senders:
            list(senders.map(lambda said: node.send("card", said), [question] * COPIES))
        node.answer(question, mark, count=COPIES)
        answers = {entry.payload for entry in node.answers(question, mark)}
        if len(answers) != 1:
            raise Broken(f"one question got {len(answers)} answers: {sorted(answers)}")
        if card_uid == ann.card_uid:
            if len(stage.pours_of(ann)) != 1:
                raise Broken(f"one question made {len(stage.pours_of(ann))} pours")
            node.deliver(node.report_of(node.answer(question, mark), 0))


@RULES.must("AUTH-22", AUTHORISATION)
def no_grant_of_an_ended_pour(stage: CoreStage) -> None:
    """A grant is repeated only while its pour is pending; afterwards the same question is answered `stale_request`."""
    ann, node = stage.guest(100_00), stage.node()
    question = node.question(ann.card_uid)
    grant = node.ask(question)
    node.deliver(node.report_of(grant, 20))
    node.denied(question, "stale_request")


@RULES.must("AUTH-23", AUTHORISATION)
def reused_event_id(stage: CoreStage) -> None:
    """The same `event_id` with other content gets no answer (at the HTTP door 422)."""
    ann, bob, node = stage.guest(100_00), stage.guest(100_00), stage.node()
    question = node.question(ann.card_uid)
    node.ask(question)
    mark = node.mark
    node.send("card", {**question, "card_uid": bob.card_uid})
    node.nothing_about(mark, ("pour_authorized", "pour_denied"), request_id=question["event_id"])
    if stage.pours_of(bob):
        raise Broken("a question with another question's event_id made a pour")


@RULES.must("AUTH-24", AUTHORISATION)
def never_started(stage: CoreStage) -> None:
    """A newer question of the journal that does not list a pending pour as unsettled proves it never started: it is voided."""
    ann, bob, node = stage.guest(100_00), stage.guest(), stage.node()
    grant = node.grant(ann.card_uid)
    node.denied(node.question(bob.card_uid), "insufficient_funds")
    if (status := stage.pour(grant["pour_id"])["sync_status"]) != "voided" or stage.money(ann) != (100_00, 0):
        raise Broken(f"the pour that never started is {status}, its guest has {stage.money(ann)}")
    if not stage.audited("pour_voided", grant["pour_id"]):
        raise Broken("the void is not in the audit log as pour_voided")


@RULES.must("AUTH-25", AUTHORISATION)
def other_journals_prove_nothing(stage: CoreStage) -> None:
    """Across different `journal_id`s nothing is concluded: the pour of another journal stays pending."""
    ann, bob, node, renewed = stage.guest(100_00), stage.guest(100_00), stage.node(), stage.node()
    grant = node.grant(ann.card_uid)
    renewed.denied(renewed.question(bob.card_uid, seq=7), "processing_sync")
    if (status := stage.pour(grant["pour_id"])["sync_status"]) != "pending_sync":
        raise Broken(f"the other journal's pour is {status}")


@RULES.must("AUTH-26", AUTHORISATION)
def one_card_at_two_taps(stage: CoreStage) -> None:
    """One card at two taps at once is granted once."""
    ann = stage.guest(100_00)
    nodes = (stage.node(), stage.node(stage.right))
    questions = [node.question(ann.card_uid) for node in nodes]
    mark = nodes[0].mark
    with ThreadPoolExecutor(2) as senders:
        list(senders.map(lambda node, said: node.send("card", said), nodes, questions))
    answers = [node.answer(question, mark)["type"] for node, question in zip(nodes, questions, strict=True)]
    if sorted(answers) != ["pour_authorized", "pour_denied"]:
        raise Broken(f"the two taps were answered {answers}")


@RULES.must("AUTH-27", AUTHORISATION)
def price_change_mid_pour(stage: CoreStage) -> None:
    """A change of price while a pour runs changes none of that pour's money."""
    ann, node = stage.guest(100_00), stage.node()
    grant = node.grant(ann.card_uid)
    beverage = f"/api/beverages/{stage.beverage_id}"
    stage.afterwards(lambda: stage.api.patch(beverage, {"sell_price_per_liter_minor": ML_MINOR * 1_000}))
    stage.api.patch(beverage, {"sell_price_per_liter_minor": ML_MINOR * 2_000})
    verdict = node.deliver(node.report_of(grant, 100))
    if verdict["amount_minor"] != 100 * ML_MINOR:
        raise Broken(f"100 ml were charged {verdict['amount_minor']}, and granted at {100 * ML_MINOR}")
